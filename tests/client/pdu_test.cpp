#include "tests/client/pdu.h"

#include <gtest/gtest.h>

namespace client {
namespace {

Bytes pattern(std::size_t bytes) {
  Bytes data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i);
  return data;
}

TEST(Pdu, IcRequestIs128BytesAsTheSpecificationDrawsThem) {
  const Pdu pdu =
      to_pdu(IcRequest{.hpda = 3, .header_digest = true, .data_digest = true, .maxr2t = 15});
  const Bytes bytes = encode(pdu, {.header_digest = true, .data_digest = true});
  Bytes expected = from_hex("00 00 80 00 80000000  0000 03 03 0f000000");
  expected.resize(128);
  EXPECT_EQ(to_hex(bytes), to_hex(expected));
}

TEST(Pdu, CommandCapsuleWithoutDataHasNoPdo) {
  Bytes entry(64);
  entry[0] = std::byte{0x18};
  EXPECT_EQ(to_hex(encode(command_capsule(entry), {})).substr(0, 18), "040048004800000018");
}

TEST(Pdu, HeaderDigestFollowsTheHeaderAndCoversIt) {
  // CRC-32C of these 24 bytes, computed with an independent bitwise implementation.
  const Pdu pdu = h2c_data(1, 2, 0, {}, true);
  EXPECT_EQ(to_hex(encode(pdu, {.header_digest = true})),
            "06051800"
            "1c000000"
            "01000200"
            "00000000"
            "00000000"
            "00000000"
            "9b329eca");
}

TEST(Pdu, DataStartsWhereTheAlignmentSaysAndItsDigestEndsThePdu) {
  const Bytes bytes = encode(h2c_data(7, 9, 4096, pattern(8), true),
                             {.header_digest = true, .data_digest = true, .data_alignment = 64});
  ASSERT_EQ(bytes.size(), 64u + 8 + 4);
  EXPECT_EQ(to_hex(std::span(bytes).first(24)),
            "060718404c0000000700090000100000"
            "0800000000000000");
  EXPECT_EQ(to_hex(std::span(bytes).subspan(28, 36)), std::string(72, '0'));
  EXPECT_EQ(to_hex(std::span(bytes).subspan(64, 8)), "0001020304050607");
  EXPECT_EQ(to_hex(std::span(bytes).subspan(72)), "3bbc2c8a");
}

TEST(Pdu, TerminationCarriesTheOffenderWithoutPdo) {
  const Bytes bytes = encode(h2c_terminate(2, 0x01020304, pattern(8)), {.header_digest = true});
  EXPECT_EQ(to_hex(bytes),
            "02001800"
            "20000000"
            "0200"
            "04030201"
            "00000000000000000000"
            "0001020304050607");
}

TEST(Pdu, AnyFieldCanBeWrongOnPurpose) {
  Pdu pdu = h2c_data(1, 2, 0, pattern(4), false);
  pdu.wire_type = 0xee;
  pdu.wire_flags = 0xff;
  pdu.hlen = 1;
  pdu.pdo = 2;
  pdu.plen = 0xffffffff;
  EXPECT_EQ(to_hex(encode(pdu, {})).substr(0, 16), "eeff0102ffffffff");
}

TEST(Pdu, FlippedDigestsDifferFromTheRightOnesInThatBit) {
  const Framing framing{.header_digest = true, .data_digest = true};
  Pdu pdu = h2c_data(1, 2, 0, pattern(4), false);
  const Bytes good = encode(pdu, framing);
  pdu.header_digest_flip = 1;
  pdu.data_digest_flip = 0x80000000;
  const Bytes bad = encode(pdu, framing);
  EXPECT_EQ(get<std::uint32_t>(good, 24) ^ get<std::uint32_t>(bad, 24), 1u);
  EXPECT_EQ(get<std::uint32_t>(good, 32) ^ get<std::uint32_t>(bad, 32), 0x80000000u);
}

TEST(Pdu, WhatWasEncodedIsTakenApartAgainForEveryFraming) {
  for (const bool header_digest : {false, true}) {
    for (const bool data_digest : {false, true}) {
      for (const std::uint32_t alignment : {4u, 8u, 64u, 128u}) {
        const Framing framing{header_digest, data_digest, alignment};
        Bytes buffer = encode(h2c_data(3, 4, 512, pattern(512), true), framing);
        buffer.push_back(std::byte{0x42});
        auto taken = take_pdu(buffer, framing);
        ASSERT_TRUE(taken && taken.value());
        EXPECT_EQ(taken.value()->data().size(), 512u);
        EXPECT_EQ(to_hex(taken.value()->data()), to_hex(pattern(512)));
        EXPECT_TRUE(taken.value()->header_digest_ok);
        EXPECT_TRUE(taken.value()->data_digest_ok);
        EXPECT_EQ(buffer.size(), 1u);
      }
    }
  }
}

TEST(Pdu, TruncatedAtAnyByteIsNotTaken) {
  const Framing framing{.header_digest = true, .data_digest = true};
  const Bytes whole = encode(h2c_data(3, 4, 512, pattern(64), true), framing);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    Bytes buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    auto taken = take_pdu(buffer, framing);
    ASSERT_TRUE(taken);
    EXPECT_FALSE(taken.value()) << bytes;
    EXPECT_EQ(buffer.size(), bytes);
  }
}

TEST(Pdu, DamagedBytesAreNoticedByTheDigests) {
  const Framing framing{.header_digest = true, .data_digest = true};
  const Bytes whole = encode(h2c_data(3, 4, 512, pattern(64), true), framing);
  Bytes header = whole;
  header[10] ^= std::byte{1};
  EXPECT_FALSE(take_pdu(header, framing).value()->header_digest_ok);
  Bytes data = whole;
  data[40] ^= std::byte{1};
  EXPECT_FALSE(take_pdu(data, framing).value()->data_digest_ok);
}

TEST(Pdu, LengthsThatCannotBeRightAreViolations) {
  const auto judged = [](const char* hex) {
    Bytes buffer = from_hex(hex);
    buffer.resize(128);
    return take_pdu(buffer, {}).has_error();
  };
  EXPECT_TRUE(judged("05 00 18 00 07000000"));  // PLEN shorter than a header
  EXPECT_TRUE(judged("05 00 18 00 ffffffff"));  // PLEN beyond reason
  EXPECT_TRUE(judged("05 00 18 00 10000000"));  // HLEN beyond PLEN
  EXPECT_TRUE(judged("05 00 04 00 18000000"));  // HLEN inside the common header
  EXPECT_TRUE(judged("07 00 18 ff 40000000"));  // PDO beyond PLEN
  EXPECT_TRUE(judged("07 00 18 10 40000000"));  // PDO inside the header
  EXPECT_FALSE(judged("05 00 18 00 18000000"));
}

TEST(Pdu, IcResponseWithReservedBitsIsAViolation) {
  const auto parse = [](std::size_t offset, std::uint8_t value) {
    Bytes bytes = encode(to_pdu(IcResponse{.maxh2cdata = 131072}), {});
    bytes[offset] = static_cast<std::byte>(value);
    auto taken = take_pdu(bytes, {});
    return taken && taken.value() ? parse_ic_response(*taken.value()).has_value() : false;
  };
  EXPECT_TRUE(parse(11, 3));
  EXPECT_FALSE(parse(11, 4));
  EXPECT_FALSE(parse(1, 1));
  EXPECT_FALSE(parse(2, 24));
  EXPECT_FALSE(parse(127, 1));
}

}  // namespace
}  // namespace client
