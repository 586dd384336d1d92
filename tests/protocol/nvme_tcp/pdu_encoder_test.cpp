#include "protocol/nvme_tcp/pdu_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "engine/foundation/crc32c.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::nvme_tcp {
namespace {

// Dirty, so that padding and reserved bytes left unwritten show.
std::array<std::byte, largest_encoded_bytes> dirty_space() {
  std::array<std::byte, largest_encoded_bytes> space{};
  space.fill(std::byte{0xee});
  return space;
}

std::array<std::byte, cqe_bytes> sample_cqe() {
  std::array<std::byte, cqe_bytes> cqe{};
  for (std::size_t i = 0; i < cqe.size(); ++i) cqe[i] = static_cast<std::byte>(0xa0 + i);
  return cqe;
}

template <class Space>
std::string written(const Space& space, std::size_t length) {
  return wire::hex(std::span(space).first(length));
}

TEST(PduEncoder, IcRespGolden) {
  auto space = dirty_space();
  const NegotiatedLink link{.hdgst = true, .ddgst = true, .cpda = 7, .maxh2cdata = 0x20000};
  ASSERT_EQ(encode_ic_resp(space, link), ic_resp_bytes);
  EXPECT_EQ(written(space, 16), "01 00 80 00 80 00 00 00 00 00 07 03 00 00 02 00");
  EXPECT_TRUE(std::all_of(space.begin() + 16, space.begin() + 128,
                          [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_EQ(space[128], std::byte{0xee});
}

TEST(PduEncoder, CapsuleRespGolden) {
  auto space = dirty_space();
  ASSERT_EQ(encode_capsule_resp(space, {}, sample_cqe()), 24U);
  EXPECT_EQ(written(space, 25),
            "05 00 18 00 18 00 00 00 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af ee");
  ASSERT_EQ(encode_capsule_resp(space, {.hdgst = true}, sample_cqe()), 28U);
  EXPECT_EQ(written(space, 29),
            "05 01 18 00 1c 00 00 00 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af "
            "89 2a 30 17 ee");
}

TEST(PduEncoder, R2tGolden) {
  auto space = dirty_space();
  const ReadyToTransfer request{
      .cccid = 0x1234, .ttag = 0x5678, .offset = 0x2000, .length = 0x20000};
  ASSERT_EQ(encode_r2t(space, {}, request), 24U);
  EXPECT_EQ(written(space, 25),
            "09 00 18 00 18 00 00 00 34 12 78 56 00 20 00 00 00 00 02 00 00 00 00 00 ee");
  ASSERT_EQ(encode_r2t(space, {.hdgst = true, .ddgst = true}, request), 28U);
  EXPECT_EQ(written(space, 29),
            "09 01 18 00 1c 00 00 00 34 12 78 56 00 20 00 00 00 00 02 00 00 00 00 00 "
            "92 79 ec 21 ee");
}

TEST(PduEncoder, C2hDataGolden) {
  auto space = dirty_space();
  const ControllerData plain{.cccid = 0x1234, .offset = 0x1000, .length = 512};
  ASSERT_EQ(encode_c2h_data_header(space, {}, plain), 24U);
  EXPECT_EQ(written(space, 25),
            "07 00 18 18 18 02 00 00 34 12 00 00 00 10 00 00 00 02 00 00 00 00 00 00 ee");

  // Both digests, data aligned to 16 bytes, success in place of a response.
  const NegotiatedLink link{.hdgst = true, .ddgst = true, .hpda = 3};
  const ControllerData last{
      .cccid = 0x1234, .offset = 0x1000, .length = 512, .last = true, .success = true};
  ASSERT_EQ(encode_c2h_data_header(space, link, last), 32U);
  EXPECT_EQ(written(space, 33),
            "07 0f 18 20 24 02 00 00 34 12 00 00 00 10 00 00 00 02 00 00 00 00 00 00 "
            "11 4e 6a 59 00 00 00 00 ee");
}

TEST(PduEncoder, C2hDataFlagsSayWhatFollows) {
  auto space = dirty_space();
  for (unsigned bits = 0; bits < 16; ++bits) {
    const NegotiatedLink link{.hdgst = (bits & 1U) != 0, .ddgst = (bits & 2U) != 0};
    const ControllerData data{.length = 4, .last = (bits & 12U) != 0, .success = (bits & 8U) != 0};
    const auto header_bytes = encode_c2h_data_header(space, link, data);
    const unsigned expected = bits | (data.last ? 4U : 0U);
    EXPECT_EQ(static_cast<unsigned>(space[1]), expected);
    EXPECT_EQ(static_cast<std::size_t>(space[4]), header_bytes + 4 + link.data_digest_bytes(4));
  }
}

TEST(PduEncoder, C2hDataIsPaddedToEveryHostAlignment) {
  for (unsigned hpda = 0; hpda <= largest_pda; ++hpda) {
    for (const bool hdgst : {false, true}) {
      const NegotiatedLink link{.hdgst = hdgst, .hpda = static_cast<std::uint8_t>(hpda)};
      auto space = dirty_space();
      const auto pdo = encode_c2h_data_header(space, link, {.length = 4096, .last = true});
      const std::size_t end = hdgst ? 28 : 24;
      EXPECT_EQ(pdo, c2h_data_header_bytes(link));
      EXPECT_EQ(static_cast<std::size_t>(space[3]), pdo);
      EXPECT_EQ(pdo % (4 * (hpda + 1)), 0U);
      EXPECT_GE(pdo, end);
      EXPECT_LT(pdo - end, 4 * (hpda + 1));
      for (std::size_t i = end; i < pdo; ++i) EXPECT_EQ(space[i], std::byte{0});
      EXPECT_EQ(space[pdo], std::byte{0xee});
    }
  }
}

TEST(PduEncoder, C2hTermReqGolden) {
  auto space = dirty_space();
  const PduError error{FatalErrorStatus::invalid_pdu_header_field, 3, PduFault::bad_pdo};
  const auto offending = wire::bytes_from_hex("04 00 48 02 48 00 00 00");
  ASSERT_EQ(encode_term_req(space, error, offending), 32U);
  EXPECT_EQ(written(space, 33),
            "03 00 18 00 20 00 00 00 01 00 03 00 00 00 00 00 00 00 00 00 00 00 00 00 "
            "04 00 48 02 48 00 00 00 ee");
}

TEST(PduEncoder, C2hTermReqCarriesTheReceivedDigest) {
  auto space = dirty_space();
  const PduError error{FatalErrorStatus::header_digest_error, 0xdeadbeef,
                       PduFault::header_digest_mismatch};
  ASSERT_EQ(encode_term_req(space, error, {}), 24U);
  EXPECT_EQ(written(space, 25),
            "03 00 18 00 18 00 00 00 03 00 ef be ad de 00 00 00 00 00 00 00 00 00 00 ee");
}

TEST(PduEncoder, C2hTermReqNeverExceeds152Bytes) {
  const std::array<std::byte, 300> offending{};
  for (std::size_t size = 0; size <= offending.size(); ++size) {
    auto space = dirty_space();
    const auto header = std::span(offending).first(size);
    const auto length = encode_term_req(space, out_of_range_error(), header);
    EXPECT_EQ(length, std::min<std::size_t>(24 + size, 152));
    EXPECT_EQ(length, term_req_bytes(header));
    EXPECT_EQ(static_cast<std::size_t>(space[4]), length);
  }
}

TEST(PduEncoderDeathTest, WhatTheProtocolForbidsIsNotEncoded) {
  auto space = dirty_space();
  EXPECT_DEATH(encode_c2h_data_header(space, {}, {.length = 0}), "length");
  EXPECT_DEATH(encode_c2h_data_header(space, {}, {.length = 4, .success = true}), "success");
  EXPECT_DEATH(encode_term_req(space, {.fault = PduFault::malformed_term_req}, {}), "silently");
  EXPECT_DEATH(encode_ic_resp(std::span(space).first(127), {}), "space");
  EXPECT_DEATH(encode_r2t(std::span(space).first(27), {.hdgst = true}, {}), "space");
}

}  // namespace
}  // namespace protocol::nvme_tcp
