// What our encoders write, read by the test client, which shares no code with them: every field
// comes back, with and without digests, at every alignment.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <span>
#include <utility>

#include "protocol/nvme_tcp/data_digest.h"
#include "protocol/nvme_tcp/pdu_encoder.h"
#include "tests/client/pdu.h"

namespace protocol::nvme_tcp {
namespace {

using client::Bytes;
using client::PduType;
using client::ReceivedPdu;

client::Framing framing_of(const NegotiatedLink& link) {
  return {.header_digest = link.hdgst,
          .data_digest = link.ddgst,
          .data_alignment = 4U * (link.hpda + 1U)};
}

// Random values, the same in each run.
class PduRoundTrip : public testing::Test {
 protected:
  template <class T>
  T any() {
    return static_cast<T>(random_());
  }
  Bytes any_bytes(std::size_t count) {
    Bytes bytes(count);
    for (std::byte& byte : bytes) byte = any<std::byte>();
    return bytes;
  }
  // Of every combination of digests and alignments.
  template <class Check>
  void for_every_link(Check check) {
    for (unsigned digests = 0; digests < 4; ++digests) {
      for (unsigned hpda = 0; hpda <= largest_pda; ++hpda) {
        check(NegotiatedLink{.hdgst = (digests & 1U) != 0,
                             .ddgst = (digests & 2U) != 0,
                             .hpda = static_cast<std::uint8_t>(hpda)});
      }
    }
  }
  // The one PDU that `bytes` are.
  static ReceivedPdu received(Bytes bytes, const NegotiatedLink& link) {
    const auto taken = client::take_pdu(bytes, framing_of(link));
    EXPECT_TRUE(taken.has_value());
    if (!taken || !taken.value()) {
      ADD_FAILURE() << "the client finds no PDU";
      return {.raw = Bytes(client::common_header_bytes)};
    }
    EXPECT_TRUE(bytes.empty()) << "the PDU is shorter than what was written";
    EXPECT_TRUE(taken.value()->header_digest_ok);
    EXPECT_TRUE(taken.value()->data_digest_ok);
    return *taken.value();
  }

  std::array<std::byte, largest_encoded_bytes> space_{};

 private:
  std::mt19937_64 random_;
};

TEST_F(PduRoundTrip, CapsuleResp) {
  for_every_link([&](const NegotiatedLink& link) {
    const Bytes cqe = any_bytes(cqe_bytes);
    const auto written = encode_capsule_resp(space_, link, std::span(cqe).first<cqe_bytes>());
    const auto pdu = received({space_.begin(), space_.begin() + written}, link);
    EXPECT_TRUE(pdu.is(PduType::response));
    EXPECT_EQ(pdu.flags(), link.hdgst ? client::pdu_flag::header_digest : 0);
    const auto header = pdu.header().subspan(client::common_header_bytes);
    EXPECT_EQ(Bytes(header.begin(), header.end()), cqe);
  });
}

TEST_F(PduRoundTrip, R2t) {
  for_every_link([&](const NegotiatedLink& link) {
    const ReadyToTransfer request{.cccid = any<std::uint16_t>(),
                                  .ttag = any<std::uint16_t>(),
                                  .offset = any<std::uint32_t>(),
                                  .length = any<std::uint32_t>()};
    const auto written = encode_r2t(space_, link, request);
    const auto pdu = received({space_.begin(), space_.begin() + written}, link);
    EXPECT_TRUE(pdu.is(PduType::r2t));
    EXPECT_EQ(pdu.hlen(), 24);
    EXPECT_EQ(pdu.field<std::uint16_t>(8), request.cccid);
    EXPECT_EQ(pdu.field<std::uint16_t>(10), request.ttag);
    EXPECT_EQ(pdu.field<std::uint32_t>(12), request.offset);
    EXPECT_EQ(pdu.field<std::uint32_t>(16), request.length);
  });
}

TEST_F(PduRoundTrip, C2hDataWithItsDataAndDigest) {
  for_every_link([&](const NegotiatedLink& link) {
    const Bytes payload = any_bytes(1 + any<std::uint8_t>());
    const bool success = (any<unsigned>() & 1U) != 0;
    const ControllerData data{.cccid = any<std::uint16_t>(),
                              .offset = any<std::uint32_t>(),
                              .length = static_cast<std::uint32_t>(payload.size()),
                              .last = success || (any<unsigned>() & 1U) != 0,
                              .success = success};
    const auto written = encode_c2h_data_header(space_, link, data);
    Bytes stream(space_.begin(), space_.begin() + written);
    stream.insert(stream.end(), payload.begin(), payload.end());
    if (link.ddgst) {
      DataDigest digest;
      digest.update(payload);
      stream.resize(stream.size() + digest_bytes);
      digest.write(std::span(stream).last<digest_bytes>());
    }
    const auto pdu = received(std::move(stream), link);
    EXPECT_TRUE(pdu.is(PduType::c2h_data));
    EXPECT_EQ((pdu.flags() & client::pdu_flag::last) != 0, data.last);
    EXPECT_EQ((pdu.flags() & client::pdu_flag::success) != 0, data.success);
    EXPECT_EQ(pdu.field<std::uint16_t>(8), data.cccid);
    EXPECT_EQ(pdu.field<std::uint32_t>(12), data.offset);
    EXPECT_EQ(pdu.field<std::uint32_t>(16), data.length);
    EXPECT_EQ(Bytes(pdu.data().begin(), pdu.data().end()), payload);
  });
}

TEST_F(PduRoundTrip, C2hTermReqOfEveryLength) {
  for (std::size_t length = 0; length <= largest_term_req_data_bytes; ++length) {
    const PduError error{static_cast<FatalErrorStatus>(1 + any<std::uint16_t>() % 6),
                         any<std::uint32_t>(), PduFault::bad_plen};
    const Bytes offender = any_bytes(length);
    const auto written = encode_term_req(space_, error, offender);
    const auto pdu = received({space_.begin(), space_.begin() + written}, {});
    const auto termination = client::parse_termination(pdu);
    ASSERT_TRUE(termination.has_value()) << termination.error().text;
    EXPECT_EQ(termination.value().fes, static_cast<std::uint16_t>(error.fes));
    EXPECT_EQ(termination.value().fei, error.fei);
    EXPECT_EQ(termination.value().offender, offender);
  }
}

TEST_F(PduRoundTrip, IcResp) {
  for_every_link([&](NegotiatedLink link) {
    link.cpda = any<std::uint8_t>() % (largest_pda + 1);
    link.maxh2cdata = any<std::uint32_t>();
    const auto written = encode_ic_resp(space_, link);
    const auto pdu = received({space_.begin(), space_.begin() + written}, {});
    const auto response = client::parse_ic_response(pdu);
    ASSERT_TRUE(response.has_value()) << response.error().text;
    EXPECT_EQ(response.value().pfv, 0);
    EXPECT_EQ(response.value().cpda, link.cpda);
    EXPECT_EQ(response.value().header_digest, link.hdgst);
    EXPECT_EQ(response.value().data_digest, link.ddgst);
    EXPECT_EQ(response.value().maxh2cdata, link.maxh2cdata);
  });
}

}  // namespace
}  // namespace protocol::nvme_tcp
