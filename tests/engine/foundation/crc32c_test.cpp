#include "engine/foundation/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace engine {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// Check value of the CRC catalogue and the vectors of RFC 7143 (and RFC 3720), appendix A.4.
TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c(bytes("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43U);
  std::vector<std::byte> rising(32);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(rising), 0x46dd794eU);
}

TEST(Crc32c, ExtendEqualsTheWhole) {
  const auto whole = bytes("forebay stands in front of the reservoir");
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    EXPECT_EQ(crc32c_extend(crc32c(whole.first(cut)), whole.subspan(cut)), crc32c(whole)) << cut;
  }
}

TEST(Crc32c, JoinedOnesAreThoseOfTheWhole) {
  std::vector<std::byte> whole(3 * 4096 + 17);
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::byte>(i * i >> 3);
  const std::span<const std::byte> bytes(whole);
  for (const std::size_t back : {0U, 1U, 512U, 4095U, 4096U, 4097U, 8192U, 3 * 4096U + 17U}) {
    const std::size_t front = whole.size() - back;
    EXPECT_EQ(crc32c_join(crc32c(bytes.first(front)), crc32c(bytes.subspan(front)), back),
              crc32c(bytes))
        << back;
  }
}

TEST(Crc32c, NothingIsZero) { EXPECT_EQ(crc32c({}), 0U); }

}  // namespace
}  // namespace engine
