// What stock kernels really send: every host frame decodes, and what a stock controller answered is
// what our encoders write for the same values.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <tuple>

#include "protocol/nvme_tcp/data_digest.h"
#include "protocol/nvme_tcp/pdu_decoder.h"
#include "protocol/nvme_tcp/pdu_encoder.h"
#include "tests/protocol/nvme_tcp/golden_frame.h"

namespace protocol::nvme_tcp {
namespace {

using wire::hex;

NegotiatedLink link_of(bool digests) {
  NegotiatedLink link;
  link.hdgst = digests;
  link.ddgst = digests;
  link.maxh2cdata = 0x400000;
  return link;
}

template <class Header>
Header header_of(std::span<const std::byte> frame) {
  Header header;
  std::memcpy(&header, frame.data(), sizeof(header));
  return header;
}

class KernelFrame : public testing::TestWithParam<std::tuple<const char*, bool>> {
 protected:
  bool digests() const { return std::get<1>(GetParam()); }
  std::vector<std::byte> frame() const { return golden_frame(name(std::get<0>(GetParam()))); }
  std::string name(const std::string& kind) const { return kind + (digests() ? "_digests" : ""); }
};

std::string test_name(const testing::TestParamInfo<std::tuple<const char*, bool>>& info) {
  return std::string(std::get<0>(info.param)) + (std::get<1>(info.param) ? "_digests" : "");
}

using KernelCapsule = KernelFrame;

TEST_P(KernelCapsule, DecodesToItsLastByteAndNotBefore) {
  const auto bytes = frame();
  PduDecoder decoder;
  decoder.establish(link_of(digests()));
  const auto decoded = decoder.next(bytes);
  ASSERT_TRUE(decoded.has_value()) << describe(decoded.error().fault);
  ASSERT_TRUE(decoded.value().has_value());
  const Pdu& pdu = *decoded.value();
  const auto& capsule = std::get<CommandCapsule>(pdu.header);
  EXPECT_EQ(hex(capsule.sqe), hex(std::span(bytes).subspan(8, sqe_bytes)));
  EXPECT_EQ(pdu.header_bytes + pdu.data_bytes + pdu.data_digest_bytes, bytes.size());
  for (std::size_t length = 0; length < pdu.header_bytes; ++length) {
    const auto early = decoder.next(std::span(bytes).first(length));
    ASSERT_TRUE(early.has_value() && !early.value().has_value()) << length;
  }
}

TEST_P(KernelCapsule, DataDigestIsTheKernels) {
  const auto bytes = frame();
  PduDecoder decoder;
  decoder.establish(link_of(digests()));
  const Pdu pdu = *decoder.next(bytes).value();
  EXPECT_EQ(pdu.data_digest_bytes, digests() && pdu.data_bytes != 0 ? digest_bytes : 0);
  if (pdu.data_digest_bytes == 0) return;
  DataDigest digest;
  digest.update(std::span(bytes).subspan(pdu.header_bytes, pdu.data_bytes));
  EXPECT_TRUE(digest.matches(std::span(bytes).last<digest_bytes>()));
}

INSTANTIATE_TEST_SUITE_P(
    Linux, KernelCapsule,
    testing::Combine(testing::Values("connect_admin", "connect_io", "property_get_cap",
                                     "property_set_cc", "identify_controller", "identify_namespace",
                                     "set_number_of_queues", "get_ana_log", "async_event_request",
                                     "keep_alive", "read_4k", "write_4k", "write_64k", "flush",
                                     "write_zeroes", "deallocate"),
                     testing::Bool()),
    test_name);

using KernelHandshake = KernelFrame;

TEST_P(KernelHandshake, IsNegotiatedAndAnsweredAsTheKernelDoes) {
  const auto request_bytes = golden_frame(name("ic_req"));
  const auto decoded = PduDecoder{}.next(request_bytes);
  ASSERT_TRUE(decoded.has_value() && decoded.value().has_value());
  const auto& request = std::get<InitializeRequest>(decoded.value()->header);
  LinkLimits limits;
  limits.maxh2cdata = 0x400000;
  const auto link = negotiate(request, limits);
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link.value(), link_of(digests()));
  std::array<std::byte, ic_resp_bytes> response;
  ASSERT_EQ(encode_ic_resp(response, link.value()), ic_resp_bytes);
  EXPECT_EQ(hex(response), hex(golden_frame(name("ic_resp"))));
}

TEST_P(KernelHandshake, OurCapsuleRespIsTheKernels) {
  const auto golden = golden_frame(name("capsule_resp"));
  const auto header = header_of<CapsuleResp>(golden);
  std::array<std::byte, largest_encoded_bytes> space;
  const auto size = encode_capsule_resp(
      space, link_of(digests()), std::as_bytes(std::span<const std::uint8_t, 16>(header.cqe)));
  EXPECT_EQ(hex(std::span(space).first(size)), hex(golden));
}

TEST_P(KernelHandshake, OurReadyToTransferIsTheKernels) {
  const auto golden = golden_frame(name("r2t"));
  const auto header = header_of<R2t>(golden);
  std::array<std::byte, largest_encoded_bytes> space;
  const auto size = encode_r2t(space, link_of(digests()),
                               {.cccid = header.cccid.value(),
                                .ttag = header.ttag.value(),
                                .offset = header.r2to.value(),
                                .length = header.r2tl.value()});
  EXPECT_EQ(hex(std::span(space).first(size)), hex(golden));
}

TEST_P(KernelHandshake, OurDataHeaderAndDigestAreTheKernels) {
  const auto golden = golden_frame(name("c2h_data"));
  const auto header = header_of<C2hData>(golden);
  const auto link = link_of(digests());
  std::array<std::byte, largest_encoded_bytes> space;
  const auto size = encode_c2h_data_header(space, link,
                                           {.cccid = header.cccid.value(),
                                            .offset = header.datao.value(),
                                            .length = header.datal.value(),
                                            .last = (header.common.flags & flag_last_pdu) != 0,
                                            .success = (header.common.flags & flag_success) != 0});
  ASSERT_EQ(size, c2h_data_header_bytes(link));
  EXPECT_EQ(hex(std::span(space).first(size)), hex(std::span(golden).first(size)));
  const std::size_t data_bytes = header.datal.value();
  EXPECT_EQ(golden.size(), size + data_bytes + link.data_digest_bytes(header.datal.value()));
  if (digests()) {
    DataDigest digest;
    digest.update(std::span(golden).subspan(size, data_bytes));
    EXPECT_TRUE(digest.matches(std::span(golden).last<digest_bytes>()));
  }
}

TEST_P(KernelHandshake, HostDataDecodesAndItsDigestIsRight) {
  const auto bytes = golden_frame(name("h2c_data"));
  PduDecoder decoder;
  decoder.establish(link_of(digests()));
  const auto decoded = decoder.next(bytes);
  ASSERT_TRUE(decoded.has_value() && decoded.value().has_value());
  const Pdu& pdu = *decoded.value();
  const auto& data = std::get<HostData>(pdu.header);
  EXPECT_EQ(data.offset, 0U);
  EXPECT_TRUE(data.last);
  EXPECT_EQ(pdu.data_bytes, 8192U);
  EXPECT_EQ(pdu.header_bytes + pdu.data_bytes + pdu.data_digest_bytes, bytes.size());
  if (digests()) {
    DataDigest digest;
    digest.update(std::span(bytes).subspan(pdu.header_bytes, pdu.data_bytes));
    EXPECT_TRUE(digest.matches(std::span(bytes).last<digest_bytes>()));
  }
}

INSTANTIATE_TEST_SUITE_P(Linux, KernelHandshake,
                         testing::Combine(testing::Values("link"), testing::Bool()), test_name);

}  // namespace
}  // namespace protocol::nvme_tcp
