#include "engine/foundation/byte_cursor.h"

#include <gtest/gtest.h>

#include <array>

namespace engine {
namespace {

TEST(ByteReader, AShortReadConsumesNothing) {
  const std::array<std::byte, 3> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
  ByteReader reader(bytes);
  EXPECT_FALSE(reader.read<std::uint32_t>().has_value());
  EXPECT_FALSE(reader.take(4).has_value());
  EXPECT_EQ(reader.remaining(), 3U);
  EXPECT_EQ(reader.read<std::uint8_t>(), 1U);
  EXPECT_EQ(reader.take(2)->size(), 2U);
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(ByteWriter, WhatDoesNotFitIsNotWritten) {
  std::array<std::byte, 4> space{};
  ByteWriter writer(space);
  EXPECT_TRUE(writer.write(std::uint8_t{9}));
  EXPECT_FALSE(writer.write(std::uint32_t{1}));
  EXPECT_FALSE(writer.write_zeros(4));
  EXPECT_EQ(writer.used(), 1U);
  EXPECT_TRUE(writer.write_zeros(3));
  EXPECT_EQ(writer.written()[0], std::byte{9});
}

}  // namespace
}  // namespace engine
