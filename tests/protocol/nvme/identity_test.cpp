#include "protocol/nvme/identity.h"

#include <gtest/gtest.h>

#include <set>

namespace protocol::nvme {
namespace {

Nguid nguid_of_text(std::string_view uuid) { return nguid_of(*engine::Uuid::parse(uuid)); }

std::string hex(const Nguid& nguid) {
  std::string text;
  for (const auto byte : nguid) {
    constexpr char digits[] = "0123456789abcdef";
    text.push_back(digits[std::to_integer<unsigned>(byte) >> 4]);
    text.push_back(digits[std::to_integer<unsigned>(byte) & 15u]);
  }
  return text;
}

// Hosts name their devices after these bytes: a change here renames every volume in the field.
TEST(Identity, GoldenNguids) {
  EXPECT_EQ(hex(nguid_of_text("00000000-0000-0000-0000-000000000000")),
            "00000000000000000246420000000000");
  EXPECT_EQ(hex(nguid_of_text("00000000-0000-0000-0000-000000000001")),
            "00000000000000000246429e3779b97f");
  EXPECT_EQ(hex(nguid_of_text("0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f")),
            "0fdb0a0e6b3f4f0a024642e82d67a304");
  EXPECT_EQ(hex(nguid_of_text("ffffffff-ffff-ffff-ffff-ffffffffffff")),
            "ffffffffffffffff02464261c8864680");
}

TEST(Identity, NobodysOuiIsClaimed) {
  const auto first = std::to_integer<unsigned>(locally_administered_prefix[0]);
  EXPECT_EQ(first & 0x01u, 0u) << "not a group address";
  EXPECT_EQ(first & 0x02u, 0x02u) << "locally administered";
  EXPECT_EQ(first & 0x0cu, 0x00u) << "administratively assigned quadrant";
}

TEST(Identity, UuidsThatDifferInOneBitHaveDifferentNguids) {
  const auto base = *engine::Uuid::parse("0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f");
  std::set<std::string> seen{hex(nguid_of(base))};
  for (unsigned bit = 0; bit < 128; ++bit) {
    auto other = base;
    other.bytes[bit / 8] ^= std::byte{static_cast<unsigned char>(1u << (bit % 8))};
    EXPECT_TRUE(seen.insert(hex(nguid_of(other))).second) << "bit " << bit;
  }
}

// UUIDs written by hand count up in their last group.
TEST(Identity, CountedUuidsHaveDifferentNguids) {
  std::set<std::string> seen;
  for (unsigned number = 0; number < 65536; ++number) {
    engine::Uuid uuid;
    uuid.bytes[14] = static_cast<std::byte>(number >> 8);
    uuid.bytes[15] = static_cast<std::byte>(number & 0xff);
    ASSERT_TRUE(seen.insert(hex(nguid_of(uuid))).second) << number;
  }
}

}  // namespace
}  // namespace protocol::nvme
