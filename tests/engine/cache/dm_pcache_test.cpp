// Faults that dm-pcache has and this engine must not: those that no test of the engine's own parts
// shows by itself. The table of all of them is in docs/testing.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/reclaim_kit.h"

namespace engine::test {
namespace {

using testing::Each;

// Where a segment was freed and used again, and the crash came before the log forgot the keys of
// its first use.
struct UsedAgain {
  std::uint32_t segment = 0;
  std::uint64_t at = 0;  // eight sectors in it that are dirty, and filled with 7
};
UsedAgain crash_inside_reclaim(SimPmem& pmem) {
  ReclaimedVolume open(pmem);
  const auto fill_segment = [&](std::uint64_t at, std::uint8_t value) {
    must(open.write(0, 8, value));
    for (std::uint64_t part = 0; part < 24; part += 8) must(open.write(at + part, 8, value));
  };
  fill_segment(100, 1);
  fill_segment(200, 2);
  UsedAgain found{.segment = *open.segment_of(0), .at = 400};
  must(open.write(300, 8, 1));  // the head has gone on
  open.write_back();
  open.evict(0, 8);
  open.evict(200, 24);
  (void)open.reclaim->step(*open.actor);
  EXPECT_TRUE(open.is_free(found.segment));
  EXPECT_EQ(open.tails().key_tail, 0U);
  for (;; found.at += 8) {
    must(open.write(found.at, 8, 7));
    if (open.segment_of(found.at) == found.segment) return found;
  }
}

// Its data is somebody else's by now, so its checksum is wrong: that says nothing of a key whose
// generation is over.
TEST(DmPcache, AKeyWhoseDataWasOverwrittenKeepsNothingFromOpening) {
  const auto pmem = cache_pmem(true);
  const UsedAgain used = crash_inside_reclaim(*pmem);
  OpenVolume again(*pmem);
  EXPECT_FALSE(again.report.damaged());
  EXPECT_TRUE(again.volume->is_writable());
  EXPECT_GT(again.report.stale_keys, 0U);
  EXPECT_THAT(again.read(0, 8), Each(-1)) << "the backing has it";
  EXPECT_THAT(again.read(100, 24), Each(1));
  EXPECT_THAT(again.read(used.at, 8), Each(7));
}

// And when the log forgets that key at last, it takes nothing of what lies there now.
TEST(DmPcache, AKeyOfAnEarlierUseDoesNotCountAgainstTheSegmentsNextUse) {
  const auto pmem = cache_pmem(true);
  const UsedAgain used = crash_inside_reclaim(*pmem);
  ReclaimedVolume again(*pmem);
  const std::uint64_t before = again.device->segments().counters(used.segment).live_sectors;
  again.go_round();
  EXPECT_GE(again.tails().key_tail, again.tails().dirty_tail);
  EXPECT_FALSE(again.is_free(used.segment));
  EXPECT_EQ(again.device->segments().counters(used.segment).live_sectors, before);
  EXPECT_THAT(again.read(used.at, 8), Each(7));
  again.device->segments().check_invariants();
}

TEST(DmPcache, AnOverwriteThatFindsNoRoomUncoversNothing) {
  const auto pmem = cache_pmem(true, 10);
  OpenVolume open(*pmem);
  std::uint64_t at = 0;
  while (open.write(at, 8, 5)) at += 8;
  for (std::uint64_t again = 0; again < at; again += 8) {
    EXPECT_EQ(open.write(again, 8, 6).error(), CacheRefusal::no_space);
  }
  EXPECT_THAT(open.read(0, at), Each(5));
  OpenVolume next(*pmem);
  EXPECT_THAT(next.read(0, at), Each(5));
}

TEST(DmPcache, ReadersOfOneSegmentDoNotWaitForEachOther) {
  const auto pmem = cache_pmem(true);
  ReclaimedVolume open(*pmem);
  must(open.write(0, 8, 1));
  must(open.write(8, 8, 2));
  ASSERT_EQ(open.segment_of(0), open.segment_of(8));
  const auto first = pin_front(*open.volume, {{0}, {8}});
  const auto second = pin_front(*open.volume, {{8}, {8}});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(open.device->segments().counters(*open.segment_of(0)).pins, 2U);
  EXPECT_THAT(open.read(0, 8), Each(1)) << "beside both";
  must(open.write(16, 8, 3));
  EXPECT_EQ(open.segment_of(16), open.segment_of(0)) << "and a writer beside them";
}

}  // namespace
}  // namespace engine::test
