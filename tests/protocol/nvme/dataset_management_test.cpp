#include "protocol/nvme/dataset_management.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace protocol::nvme {
namespace {

std::vector<std::byte> bytes_of_list(std::initializer_list<std::uint8_t> list) {
  std::vector<std::byte> bytes;
  for (const auto value : list) bytes.push_back(std::byte{value});
  return bytes;
}

TEST(DatasetManagement, GoldenRanges) {
  const auto data = bytes_of_list(
      {0,    0,    0,    0,    8,    0,    0,    0,    0x10, 0x32, 0x54, 0x76, 0x98, 0, 0, 0,  //
       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,    0,    0,    0,    0,    0, 0, 0x80});
  const auto ranges = parse_dataset_ranges(data, 2);
  ASSERT_TRUE(ranges);
  ASSERT_EQ(ranges.value().span().size(), 2u);
  EXPECT_EQ(ranges.value().span()[0], (BlockRange{{0x98'7654'3210}, {8}}));
  EXPECT_EQ(ranges.value().span()[1], (BlockRange{{0x8000'0000'0000'0001}, {0xffff'ffff}}));
}

TEST(DatasetManagement, EveryTruncationIsRefused) {
  const std::vector<std::byte> data(4096);
  for (const std::uint32_t count : {1u, 2u, 3u, 256u}) {
    for (std::size_t length = 0; length < count * 16; ++length) {
      const auto ranges = parse_dataset_ranges(std::span(data).first(length), count);
      ASSERT_FALSE(ranges) << length << " bytes for " << count;
      ASSERT_EQ(ranges.error().status, status::data_sgl_length_invalid);
    }
    const auto whole = parse_dataset_ranges(std::span(data).first(count * 16), count);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole.value().span().size(), count);
  }
}

TEST(DatasetManagement, ExtraBytesAreNotRanges) {
  const std::vector<std::byte> data(4096);
  const auto ranges = parse_dataset_ranges(data, 1);
  ASSERT_TRUE(ranges);
  EXPECT_EQ(ranges.value().span().size(), 1u);
  EXPECT_EQ(ranges.value().span()[0].count, engine::BlockCount{0}) << "0 is no block, not one";
}

TEST(DatasetManagement, ImpossibleCountsAreRefused) {
  const std::vector<std::byte> data(8192);
  for (const std::uint32_t count : {0u, 257u, 0xffff'ffffu}) {
    const auto ranges = parse_dataset_ranges(data, count);
    ASSERT_FALSE(ranges);
    EXPECT_EQ(ranges.error().status, status::invalid_field);
  }
}

}  // namespace
}  // namespace protocol::nvme
