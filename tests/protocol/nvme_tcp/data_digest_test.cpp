#include "protocol/nvme_tcp/data_digest.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/protocol/wire/hex.h"

namespace protocol::nvme_tcp {
namespace {

TEST(DataDigest, IsTheSameHoweverTheDataIsCut) {
  const auto data = wire::bytes_from_hex("de ad be ef");
  const auto digest = wire::bytes_from_hex("8e 77 dc f1");
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    DataDigest pieces;
    pieces.update(std::span(data).first(cut));
    pieces.update(std::span(data).subspan(cut));
    EXPECT_TRUE(pieces.matches(std::span(digest).first<digest_bytes>())) << cut;
  }
}

TEST(DataDigest, IsWrittenLittleEndian) {
  DataDigest digest;
  digest.update(wire::bytes_from_hex("de ad be ef"));
  std::array<std::byte, digest_bytes> space{};
  digest.write(space);
  EXPECT_EQ(wire::hex(space), "8e 77 dc f1");
}

TEST(DataDigest, OneFlippedBitOfDataOrDigestIsSeen) {
  const auto data = wire::bytes_from_hex("de ad be ef");
  const auto digest = wire::bytes_from_hex("8e 77 dc f1");
  for (std::size_t bit = 0; bit < 64; ++bit) {
    auto stream = data;
    stream.insert(stream.end(), digest.begin(), digest.end());
    stream[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    DataDigest check;
    check.update(std::span(stream).first(4));
    EXPECT_FALSE(check.matches(std::span(stream).subspan<4, 4>())) << bit;
  }
}

}  // namespace
}  // namespace protocol::nvme_tcp
