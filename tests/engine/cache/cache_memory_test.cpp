#include "engine/cache/cache_memory.h"

#include <gtest/gtest.h>

#include "engine/cache/admission_filter.h"
#include "engine/cache/segment_table.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

CacheLayout layout_of(ByteCount size) { return must(plan_layout(size, {})); }

TEST(CacheMemory, IsThirtyTwoBytesForEachFourKib) {
  for (const ByteCount size : {4_GiB, 64_GiB, 1024_GiB}) {
    const CacheLayout layout = layout_of(size);
    const std::uint64_t blocks = std::uint64_t{layout.segment_count} * layout.segment_bytes / 4096;
    for (const std::uint32_t volumes : {1U, 100U}) {
      const CacheMemory memory = cache_memory(layout, volumes);
      EXPECT_EQ(memory.all.value, 32 * blocks) << size.value << " " << volumes;
      // 27 at worst (docs/decisions.md), tables of stripes included.
      EXPECT_GE(memory.index.value, 28 * blocks) << size.value << " " << volumes;
    }
  }
}

TEST(CacheMemory, OfASmallDeviceIsEnoughForCommandsUnderWay) {
  const CacheMemory memory = cache_memory(layout_of(32_MiB), 1);
  EXPECT_EQ(memory.index, 16_MiB);
  EXPECT_LT(memory.all, 17_MiB);
}

// Each has its part of one memory of misses, however many there are.
TEST(CacheMemory, VolumesShareWhatIsRememberedOfMisses) {
  const CacheLayout layout = layout_of(64_GiB);
  const std::uint64_t blocks = std::uint64_t{layout.segment_count} * layout.segment_bytes / 4096;
  EXPECT_EQ(cache_memory(layout, 1).remembered_misses, blocks / 4);
  EXPECT_EQ(cache_memory(layout, 0).remembered_misses, blocks / 4);
  EXPECT_EQ(cache_memory(layout, 100).remembered_misses, blocks / 400);
  EXPECT_EQ(cache_memory(layout, 1'000'000).remembered_misses, 1024U);
  const CacheMemory memory = cache_memory(layout, 1000);
  EXPECT_LT(1000 * AdmissionFilter::memory_of(memory.remembered_misses).value, 2 * blocks);
}

}  // namespace
}  // namespace engine::test
