// Where everything lies, for every size; and superblocks that say something else.
#include "engine/cache/cache_layout.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

void expect_no_overlap(const CacheLayout& layout) {
  const std::uint64_t volumes = layout.volume_slots * 256ULL;
  const std::uint64_t segments = layout.segment_slots * 64ULL;
  struct Part {
    MediaOffset begin;
    std::uint64_t length;
  };
  const std::array parts{
      Part{layout.superblock[0], 4096},
      Part{layout.volume_table[0], volumes},
      Part{layout.segment_table[0], segments},
      Part{layout.segments, std::uint64_t{layout.segment_count} * layout.segment_bytes},
      Part{layout.segment_table[1], segments},
      Part{layout.volume_table[1], volumes},
      Part{layout.superblock[1], 4096}};
  std::uint64_t end = 0;
  for (const Part& part : parts) {
    EXPECT_GE(part.begin.value, end);
    EXPECT_EQ(part.begin.value % 4096, 0U);
    end = part.begin.value + part.length;
  }
  EXPECT_EQ(end, layout.device_bytes.value);
}

TEST(CacheLayout, SegmentSizeFollowsTheDevice) {
  struct Row {
    ByteCount size;
    std::uint32_t segment;
    std::uint32_t chunk;
  };
  for (const Row& row :
       {Row{64_MiB, 1U << 20, 64U << 10}, Row{256_GiB, 1U << 20, 64U << 10},
        Row{257_GiB, 2U << 20, 128U << 10}, Row{1024_GiB, 4U << 20, 256U << 10},
        Row{4096_GiB, 16U << 20, 256U << 10}, Row{65536_GiB, 16U << 20, 256U << 10}}) {
    const auto layout = must(plan_layout(row.size, {}));
    EXPECT_EQ(layout.segment_bytes, row.segment) << row.size.value;
    EXPECT_EQ(layout.chunk_bytes, row.chunk) << row.size.value;
    expect_no_overlap(layout);
  }
  EXPECT_EQ(must(plan_layout(1_GiB, {.kset_alignment = 4096})).chunk_bytes, 256U << 10);
}

TEST(CacheLayout, OddSizesLoseLessThanASegmentAndAPage) {
  for (std::uint64_t extra = 0; extra < 3 * small_segment; extra += 511) {
    const ByteCount size{small_size.value + extra};
    const auto layout = must(plan_layout(size, small_layout));
    expect_no_overlap(layout);
    EXPECT_EQ(layout.segment_count, 8 + extra / 4096 * 4096 / small_segment);
    EXPECT_LT(size.value - layout.device_bytes.value, 4096U);
  }
}

TEST(CacheLayout, ImpossibleWishesAreRefused) {
  const auto refused = [](ByteCount size, LayoutOptions options) {
    const auto layout = plan_layout(size, options);
    return !layout && layout.error().kind == CacheError::Kind::bad_options;
  };
  EXPECT_TRUE(refused({0}, {}));
  EXPECT_TRUE(refused({4095}, {}));
  EXPECT_TRUE(refused(1_MiB, {}));
  EXPECT_TRUE(refused(64_MiB, {.segment_bytes = 3U << 20}));
  EXPECT_TRUE(refused(64_MiB, {.segment_bytes = 8U << 10}));
  EXPECT_TRUE(refused(1_GiB, {.segment_bytes = 32U << 20}));
  EXPECT_TRUE(refused(64_MiB, {.chunk_bytes = 4096}));
  EXPECT_TRUE(refused(64_MiB, {.chunk_bytes = 8192, .kset_alignment = 4096}));
  EXPECT_TRUE(refused(64_MiB, {.chunk_bytes = 2U << 20}));
  EXPECT_TRUE(refused(64_MiB, {.kset_alignment = 512}));
  EXPECT_TRUE(refused(64_MiB, {.volume_slots = 0}));
  EXPECT_TRUE(refused(64_MiB, {.volume_slots = 65537}));
  EXPECT_TRUE(refused(64_MiB, {.segment_slots = 3}));
}

TEST(CacheLayout, GrowsWithinItsTables) {
  const auto layout = must(plan_layout(small_size, small_layout));
  const auto refused = [&](std::uint64_t more) {
    return !grow_layout(layout, {small_size.value + more}).has_value();
  };
  EXPECT_TRUE(refused(0));
  EXPECT_TRUE(refused(small_segment - 1));
  const auto larger = must(grow_layout(layout, {small_size.value + 3 * small_segment}));
  EXPECT_EQ(larger.segment_count, 11U);
  EXPECT_EQ(larger.segments, layout.segments);
  EXPECT_EQ(larger.segment_table[0], layout.segment_table[0]);
  expect_no_overlap(larger);
  const auto full = must(grow_layout(layout, {small_size.value + 100 * small_segment}));
  EXPECT_EQ(full.segment_count, 32U);
  EXPECT_FALSE(grow_layout(full, {small_size.value + 200 * small_segment}).has_value());
}

TEST(CacheLayout, PlacesLeadBackToSegments) {
  const auto layout = must(plan_layout(small_size, small_layout));
  EXPECT_FALSE(layout.segment_of({layout.segments.value - 1}));
  for (std::uint32_t segment = 0; segment < layout.segment_count; ++segment) {
    const MediaOffset begin = layout.segment_place(segment);
    EXPECT_EQ(layout.segment_of(begin), segment);
    EXPECT_EQ(layout.segment_of(begin + ByteCount{small_segment - 1}), segment);
    EXPECT_TRUE(layout.is_chunk_place(begin + ByteCount{8192}));
    EXPECT_FALSE(layout.is_chunk_place(begin + ByteCount{4096}));
  }
  EXPECT_FALSE(layout.segment_of(layout.segment_place(7) + ByteCount{small_segment}));
  EXPECT_FALSE(layout.segment_of({~std::uint64_t{0}}));
}

format::CacheSuperblock good_block() {
  format::CacheSuperblock block{};
  block.device_uuid = uuid_of(7).bytes;
  block.sequence = 1;
  describe_layout(block, must(plan_layout(small_size, small_layout)));
  return block;
}

void reseal(format::CacheSuperblock& block) {
  block.crc = 0;
  block.crc = crc32c(bytes_of(block));
}

TEST(CacheLayout, HostileSuperblocks) {
  using Block = format::CacheSuperblock;
  using Kind = CacheError::Kind;
  struct Row {
    const char* what;
    std::function<void(Block&)> change;
    Kind kind;
  };
  const std::vector<Row> rows{
      {"version 0", [](Block& b) { b.version = 0; }, Kind::unsupported},
      {"version 2", [](Block& b) { b.version = 2; }, Kind::unsupported},
      {"unknown incompatible", [](Block& b) { b.features.incompatible = 2; }, Kind::unsupported},
      {"unknown read-only", [](Block& b) { b.features.read_only = 1; }, Kind::unsupported},
      {"nil UUID", [](Block& b) { b.device_uuid = {}; }, Kind::damaged},
      {"sequence 0", [](Block& b) { b.sequence = 0; }, Kind::damaged},
      {"reserved", [](Block& b) { b.reserved[3000] = std::byte{1}; }, Kind::damaged},
      {"size 0", [](Block& b) { b.device_bytes = 0; }, Kind::damaged},
      {"size odd", [](Block& b) { b.device_bytes = b.device_bytes + 1; }, Kind::damaged},
      {"size endless", [](Block& b) { b.device_bytes = ~std::uint64_t{0} - 4095; }, Kind::damaged},
      {"segment size 0", [](Block& b) { b.segment_bytes = 0; }, Kind::damaged},
      {"segment size odd", [](Block& b) { b.segment_bytes = 12345; }, Kind::damaged},
      {"segment size large", [](Block& b) { b.segment_bytes = 1U << 31; }, Kind::damaged},
      {"no segments", [](Block& b) { b.segment_count = 0; }, Kind::damaged},
      {"a segment too many", [](Block& b) { b.segment_count = 9; }, Kind::damaged},
      {"no slots", [](Block& b) { b.segment_slots = 0; }, Kind::damaged},
      {"endless slots", [](Block& b) { b.segment_slots = ~0U; }, Kind::damaged},
      {"no volume slots", [](Block& b) { b.volume_slots = 0; }, Kind::damaged},
      {"endless volume slots", [](Block& b) { b.volume_slots = ~0U; }, Kind::damaged},
      {"chunk 0", [](Block& b) { b.chunk_bytes = 0; }, Kind::damaged},
      {"chunk odd", [](Block& b) { b.chunk_bytes = 9000; }, Kind::damaged},
      {"chunk above a segment", [](Block& b) { b.chunk_bytes = 32U << 10; }, Kind::damaged},
      {"alignment 0", [](Block& b) { b.kset_alignment = 0; }, Kind::damaged},
      {"alignment 128", [](Block& b) { b.kset_alignment = 128; }, Kind::damaged},
      {"volume table elsewhere", [](Block& b) { b.volume_table[1] = 8192; }, Kind::damaged},
      {"segment table nowhere", [](Block& b) { b.segment_table[0] = ~0ULL; }, Kind::damaged},
      {"segments elsewhere", [](Block& b) { b.segments = 0; }, Kind::damaged},
  };
  for (const Row& row : rows) {
    Block block = good_block();
    row.change(block);
    EXPECT_FALSE(is_superblock(block)) << row.what;
    reseal(block);
    const auto layout = check_superblock(block);
    ASSERT_FALSE(layout.has_value()) << row.what;
    EXPECT_EQ(layout.error().kind, row.kind) << row.what << ": " << layout.error().text;
  }
  // A feature that need not be known may use the reserved bytes.
  Block block = good_block();
  block.features.compatible = 4;
  block.reserved[0] = std::byte{1};
  reseal(block);
  EXPECT_TRUE(check_superblock(block).has_value());
}

}  // namespace
}  // namespace engine::test
