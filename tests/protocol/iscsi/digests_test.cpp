// Golden vectors of RFC 3720, appendix B.4: digests as they lie on the wire.
#include "protocol/iscsi/digests.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/protocol/iscsi/initiator_pdus.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::iscsi {
namespace {

using wire::bytes_from_hex;
using wire::hex;

std::string digest_of(std::span<const std::byte> bytes) {
  DataDigest digest;
  digest.update(bytes);
  std::array<std::byte, digest_bytes> space{};
  digest.write(space);
  EXPECT_TRUE(digest.matches(space));
  return hex(space);
}

TEST(Digests, GoldenZeros) { EXPECT_EQ(digest_of(Bytes(32)), "aa 36 91 8a"); }

TEST(Digests, GoldenOnes) { EXPECT_EQ(digest_of(Bytes(32, std::byte{0xff})), "43 ab a8 62"); }

TEST(Digests, GoldenIncrementing) {
  Bytes bytes(32);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(digest_of(bytes), "4e 79 dd 46");
}

TEST(Digests, GoldenDecrementing) {
  Bytes bytes(32);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(digest_of(bytes), "5c db 3f 11");
}

TEST(Digests, GoldenReadCommand) {
  EXPECT_EQ(digest_of(bytes_from_hex("01c00000 00000000 00000000 00000000"
                                     "14000000 00000400 00000014 00000018"
                                     "28000000 00000000 02000000 00000000")),
            "56 3a 96 d9");
}

TEST(Digests, PiecesAndPaddingAreOneSegment) {
  const auto data = bytes_from_hex("0102030405");
  auto padded = data;
  padded.resize(8);
  DataDigest digest;
  digest.update(std::span(data).first(2));
  digest.update(std::span(data).subspan(2));
  digest.pad(pad_bytes_of(5));
  EXPECT_EQ(digest.value(), slow_crc32c(padded));
  EXPECT_EQ(DataDigest(digest.value()).value(), digest.value());
}

TEST(Digests, EveryDamagedBitIsAMismatch) {
  DataDigest digest;
  digest.update(Bytes(32));
  for (unsigned bit = 0; bit < 32; ++bit) {
    std::array<std::byte, digest_bytes> space{};
    digest.write(space);
    space[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(digest.matches(space));
  }
}

TEST(Digests, PaddingFillsWords) {
  EXPECT_EQ(pad_bytes_of(0), 0U);
  EXPECT_EQ(pad_bytes_of(1), 3U);
  EXPECT_EQ(pad_bytes_of(2), 2U);
  EXPECT_EQ(pad_bytes_of(3), 1U);
  EXPECT_EQ(pad_bytes_of(4), 0U);
  EXPECT_EQ(pad_bytes_of(largest_data_segment_bytes), 1U);
}

TEST(Digests, NoDataHasNoDigest) {
  const Digests both{.header = true, .data = true};
  EXPECT_EQ(both.header_digest_bytes(), 4U);
  EXPECT_EQ(both.data_digest_bytes(0), 0U);
  EXPECT_EQ(both.data_digest_bytes(1), 4U);
  EXPECT_EQ(Digests{}.header_digest_bytes(), 0U);
  EXPECT_EQ(Digests{}.data_digest_bytes(1), 0U);
}

}  // namespace
}  // namespace protocol::iscsi
