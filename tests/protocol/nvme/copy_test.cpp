#include "protocol/nvme/copy.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

Parsed<IoCommand> parse(const RawEntry& entry) { return parse_io_command(entry.entry()); }

Copy expect_copy(const RawEntry& entry) {
  const auto parsed = parse(entry);
  if (!parsed || !std::holds_alternative<Copy>(parsed.value())) {
    ADD_FAILURE() << "it is no Copy";
    return {};
  }
  return std::get<Copy>(parsed.value());
}

RawEntry raw(std::uint32_t cdw12, std::uint32_t bytes) {
  return RawEntry(0x19).nsid(3).in_capsule_sgl(bytes).dword(12, cdw12);
}

TEST(Copy, SaysWhatItWants) {
  const auto copy = expect_copy(raw(1u << 30 | 2u << 8 | 2u, 96).dword(10, 0x9abc).dword(11, 1));
  EXPECT_EQ(copy.nsid, NamespaceId{3});
  EXPECT_EQ(copy.destination, engine::Lba{0x1'0000'9abc});
  EXPECT_EQ(copy.range_count, 3u);
  EXPECT_EQ(copy.format, CopyFormat::any_namespace);
  EXPECT_TRUE(copy.force_unit_access);
  EXPECT_FALSE(copy.limited_retry);
  EXPECT_EQ(copy.data, DataPointer((InCapsuleData{0, 96})));
  EXPECT_EQ(expect_copy(raw(255, 8192)).range_count, 256u);
}

TEST(Copy, OtherFormatsAndProtectionInformationAreRefused) {
  for (std::uint32_t format = 0; format < 16; ++format) {
    const auto parsed = parse(raw(format << 8, 32));
    ASSERT_EQ(parsed.has_value(), format == 0 || format == 2) << format;
    if (!parsed) {
      EXPECT_EQ(parsed.error(), (Refusal{status::invalid_field, at_dword(12, 8)}));
    }
  }
  for (const unsigned bit : {12u, 15u, 24u, 26u, 29u}) {
    const auto parsed = parse(raw(1u << bit, 32));
    ASSERT_FALSE(parsed) << bit;
    EXPECT_TRUE(parsed.error().status.is(status::invalid_protection_information)) << bit;
  }
  for (const unsigned bit : {16u, 20u, 25u}) {
    const auto parsed = parse(raw(1u << bit, 32));
    ASSERT_FALSE(parsed) << bit;
    EXPECT_EQ(parsed.error(), (Refusal{status::invalid_field, at_dword(12, bit)})) << bit;
  }
}

TEST(Copy, EveryTruncationOfTheListIsRefused) {
  for (std::uint32_t bytes = 0; bytes < 64; ++bytes) {
    const auto parsed = parse(raw(1, bytes));
    ASSERT_FALSE(parsed) << bytes;
    EXPECT_TRUE(parsed.error().status.is(status::data_sgl_length_invalid)) << bytes;
  }
}

// As `nvme copy --format=2` sends two ranges; format 0h does not look at the source's namespace.
TEST(Copy, GoldenRanges) {
  std::array<std::byte, 64> list{};
  const auto put = [&list](std::size_t at, std::initializer_list<int> bytes) {
    for (const int byte : bytes) list[at++] = static_cast<std::byte>(byte);
  };
  put(0, {0x07, 0x00, 0x00, 0x00});
  put(8, {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xff, 0xff});
  put(32, {0x08, 0x00, 0x00, 0x00});
  put(40, {0x01, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0, 0, 0, 0, 0x01, 0x00});
  const Copy any{.nsid = {3}, .range_count = 2, .format = CopyFormat::any_namespace};
  const auto first = copy_source(list, any, 0);
  EXPECT_EQ(first.nsid, NamespaceId{7});
  EXPECT_EQ(first.blocks, (BlockRange{{0x1122'3344'5566'7788}, {65536}}));
  EXPECT_FALSE(first.fast_only);
  const auto second = copy_source(list, any, 1);
  EXPECT_EQ(second.nsid, NamespaceId{8});
  EXPECT_EQ(second.blocks, (BlockRange{{1}, {1}}));
  EXPECT_TRUE(second.fast_only);
  const Copy same{.nsid = {3}, .range_count = 2};
  EXPECT_EQ(copy_source(list, same, 1).nsid, NamespaceId{3});
  EXPECT_FALSE(copy_source(list, same, 1).fast_only);
}

}  // namespace
}  // namespace protocol::nvme
