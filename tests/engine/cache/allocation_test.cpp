// The 4 KiB write and the read hit take nothing from the heap, also where segments and log chunks
// change. A program of its own: it counts every allocation of the process.
#include <gtest/gtest.h>

#include "engine/media/open_pmem.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/engine/counted_heap.h"

namespace engine::test {
namespace {

constexpr std::uint64_t blocks = 256;

TEST(CacheAllocation, A4KibWriteAndAReadHitTakeNothingFromTheHeap) {
  const auto region = threads_pmem();
  OpenVolume open(*region);
  std::vector<std::byte> data(4096, std::byte{1});
  CommitRecord record(open.sink);
  SeededRandom random(1);
  const auto write_some = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(open.volume->write(*open.actor, record, {{random.below(blocks) * 8}, {8}}, data));
      ASSERT_FALSE(open.actor->end_turn());
    }
  };
  // Until each stripe of the index is there.
  write_some(2000);
  const std::uint32_t segments = open.device->segments().free_count();
  const std::uint64_t chunk = open.volume->log().chunk_of_next();

  const std::size_t before = allocations;
  ASSERT_GT(before, 0U) << "they are not counted";
  write_some(4000);
  EXPECT_EQ(allocations, before) << "writes";
  const auto no_gap = [](const CacheGap&) { ADD_FAILURE(); };
  for (std::uint64_t block = 0; block < blocks; ++block) {
    open.volume->read({{block * 8}, {8}}, data, ExtentIndex::Heat::warm, no_gap);
  }
  EXPECT_EQ(allocations, before) << "reads";
  EXPECT_LT(open.device->segments().free_count(), segments) << "no segment was changed";
  EXPECT_GT(open.volume->log().chunk_of_next(), chunk) << "no chunk was changed";
  EXPECT_EQ(open.sink.completed, 6000);
}

}  // namespace
}  // namespace engine::test
