#include "protocol/scsi/unmap.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

constexpr engine::BlockCount no_limit{~std::uint64_t{0}};

Parsed<UnmapList> parse_ranges(std::string_view hex_text, engine::BlockCount most = no_limit) {
  return parse_unmap_list(wire::bytes_from_hex(hex_text), most);
}
const std::string two_ranges =
    "00 26 00 20 00 00 00 00"
    "00 00 00 12 34 56 78 9a 00 00 00 08 00 00 00 00"
    "00 00 00 00 00 00 00 01 ff ff ff ff 00 00 00 00";

TEST(UnmapList, Golden) {
  const auto list = parse_ranges(two_ranges);
  ASSERT_TRUE(list);
  ASSERT_EQ(list.value().count, 2u);
  EXPECT_EQ(list.value().entries[0], (BlockRange{{0x12'3456'789a}, {8}}));
  EXPECT_EQ(list.value().entries[1], (BlockRange{{1}, {0xffff'ffff}}));
}

TEST(UnmapList, NothingToDoIsNoError) {
  EXPECT_EQ(parse_ranges("").value().count, 0u);
  EXPECT_EQ(parse_ranges("00 06 00 00 00 00 00 00").value().count, 0u);
  const auto none =
      parse_ranges("00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 00");
  EXPECT_EQ(none.value().span()[0], (BlockRange{{9}, {0}}));
}

TEST(UnmapList, AtEveryTruncationWholeDescriptorsAreLeft) {
  const auto whole = wire::bytes_from_hex(two_ranges);
  for (std::size_t length = 1; length <= whole.size(); ++length) {
    const auto list = parse_unmap_list(std::span(whole).first(length), no_limit);
    if (length < 8) {
      EXPECT_EQ(refusal(list), sense::parameter_list_length_error) << length;
    } else {
      EXPECT_EQ(list.value().count, (length - 8) / 16) << length;
    }
  }
}

TEST(UnmapList, HalfADescriptorByItsLengthIsNotRead) {
  auto bytes = wire::bytes_from_hex(two_ranges);
  bytes[3] = std::byte{0x1f};
  EXPECT_EQ(parse_unmap_list(bytes, no_limit).value().count, 1u);
}

TEST(UnmapList, BlocksOfAllDescriptorsAreCountedTogether) {
  EXPECT_TRUE(parse_ranges(two_ranges, {0xffff'ffffull + 8}));
  EXPECT_EQ(refusal(parse_ranges(two_ranges, {0xffff'ffffull + 7})),
            sense::invalid_list(8 + 16 + 8));
  EXPECT_EQ(refusal(parse_ranges(two_ranges, {7})), sense::invalid_list(8 + 8));
}

TEST(UnmapList, AsManyDescriptorsAsAreSaidAndNoMore) {
  for (const std::size_t count :
       {std::size_t{max_unmap_descriptors}, std::size_t{max_unmap_descriptors + 1}}) {
    std::vector<std::byte> bytes(8 + 16 * count);
    const std::size_t length = 16 * count;
    bytes[2] = static_cast<std::byte>(length >> 8);
    bytes[3] = static_cast<std::byte>(length & 0xff);
    const auto list = parse_unmap_list(bytes, no_limit);
    if (count == max_unmap_descriptors) {
      EXPECT_EQ(list.value().count, max_unmap_descriptors);
    } else {
      EXPECT_EQ(refusal(list), sense::invalid_list(2));
    }
  }
}

}  // namespace
}  // namespace protocol::scsi
