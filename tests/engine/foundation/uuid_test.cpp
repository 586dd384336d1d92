#include "engine/foundation/uuid.h"

#include <gtest/gtest.h>

#include <string>

namespace engine {
namespace {

TEST(Uuid, TextRoundTrips) {
  const auto uuid = Uuid::parse("6F0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(uuid->text(), "6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  EXPECT_EQ(uuid->bytes[0], std::byte{0x6f});
  EXPECT_EQ(uuid->bytes[15], std::byte{0x10});
}

TEST(Uuid, RandomCarriesVersionAndVariant) {
  const auto text = Uuid::random().text();
  EXPECT_EQ(text[14], '4');
  EXPECT_NE(std::string("89ab").find(text[19]), std::string::npos) << text;
  EXPECT_NE(Uuid::random(), Uuid::random());
}

TEST(Uuid, DamagedTextIsRefused) {
  const std::string good = "6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10";
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(Uuid::parse(good.substr(0, length)).has_value()) << length;
  }
  EXPECT_FALSE(Uuid::parse(good + "0").has_value());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string damaged = good;
    damaged[at] = 'g';
    EXPECT_FALSE(Uuid::parse(damaged).has_value()) << at;
  }
}

}  // namespace
}  // namespace engine
