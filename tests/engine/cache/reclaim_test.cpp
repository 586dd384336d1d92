#include "engine/cache/reclaim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/reclaim_kit.h"

namespace engine::test {
namespace {

using testing::Each;

struct Media {
  const char* name;
  bool pages;
  bool checksums;
};

class ReclaimAllWays : public testing::TestWithParam<Media> {
 protected:
  std::unique_ptr<PmemRegion> pmem = []() -> std::unique_ptr<PmemRegion> {
    const Media& media = GetParam();
    if (media.pages) return page_pmem(media.checksums, 32);
    return cache_pmem(media.checksums);
  }();
};

INSTANTIATE_TEST_SUITE_P(Media, ReclaimAllWays,
                         testing::Values(Media{"Lines", false, false},
                                         Media{"LinesWithChecksums", false, true},
                                         Media{"Pages", true, false},
                                         Media{"PagesWithChecksums", true, true}),
                         [](const auto& media) { return std::string(media.param.name); });

TEST_P(ReclaimAllWays, ColdLeavesAndHotStaysAcrossARestart) {
  {
    ReclaimedVolume open(*pmem);
    must(open.write(0, 8, 1));
    must(open.write(100, 8, 2));
    must(open.write(200, 8, 3));
    open.write_back();
    open.warm(100, 8);
    open.go_round();
    EXPECT_EQ(open.tails().key_tail, 3U);
    EXPECT_EQ(open.reclaim->figures().dropped, 16U);
    EXPECT_EQ(open.reclaim->figures().relogged + open.reclaim->figures().moved, 8U);
    EXPECT_EQ(open.live_sectors(), 8U);
  }
  OpenVolume again(*pmem);
  EXPECT_THAT(again.read(0, 8), Each(-1));
  EXPECT_THAT(again.read(100, 8), Each(2));
  EXPECT_THAT(again.read(200, 8), Each(-1));
  EXPECT_EQ(again.live_sectors(), 8U);
}

TEST_P(ReclaimAllWays, EveryRoundHalvesTheHeat) {
  ReclaimedVolume open(*pmem);
  must(open.write(0, 8, 1));
  open.write_back();
  for (int look = 0; look < 5; ++look) open.warm(0, 8);
  // 3, 1, 0.
  for (int round = 0; round < 2; ++round) {
    open.write_back();
    open.go_round();
    EXPECT_THAT(open.read(0, 8), Each(1)) << round;
  }
  open.write_back();
  open.go_round();
  EXPECT_THAT(open.read(0, 8), Each(-1));
  EXPECT_EQ(open.live_sectors(), 0U);
}

TEST_P(ReclaimAllWays, WhatIsNotWrittenBackIsNotTouched) {
  ReclaimedVolume open(*pmem);
  must(open.write(0, 8, 1));
  open.write_back();
  must(open.write(0, 4, 2));
  must(open.write(50, 4, 3));
  open.drain();
  EXPECT_EQ(open.tails().key_tail, 1U);
  EXPECT_EQ(open.tails().dirty_tail, 1U);
  EXPECT_THAT(open.read(0, 4), Each(2));
  EXPECT_THAT(open.read(4, 4), Each(-1));
  EXPECT_THAT(open.read(50, 4), Each(3));
}

TEST_P(ReclaimAllWays, WhatIsLeftOfAnExtentIsKeptWholeOrInParts) {
  {
    ReclaimedVolume open(*pmem);
    must(open.write(0, 30, 1));
    must(open.write(9, 3, 2));
    must(open.write(20, 1, 3));
    open.write_back();
    open.warm(0, 30);
    open.go_round();
    EXPECT_EQ(open.reclaim->figures().dropped, 0U);
    EXPECT_EQ(open.live_sectors(), 30U);
    EXPECT_THAT(open.read(0, 9), Each(1));
  }
  OpenVolume again(*pmem);
  for (const auto& [at, count, value] :
       {std::array{0, 9, 1}, {9, 3, 2}, {12, 8, 1}, {20, 1, 3}, {21, 9, 1}}) {
    EXPECT_THAT(again.read(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(count)),
                Each(value));
  }
}

TEST_P(ReclaimAllWays, WhatIsMovedTogetherKeepsItsOwnData) {
  constexpr std::array<std::uint8_t, 3> values{1, 2, 3};
  {
    ReclaimedVolume open(*pmem);
    for (const std::uint8_t value : values) must(open.write(value * 32U, 24, value));
    // Cut, so that they have to be moved where there are checksums.
    for (const std::uint8_t value : values) must(open.write(value * 32U, 1, 9));
    open.write_back();
    // Twice: it may be met again in the last step.
    for (int look = 0; look < 2; ++look) open.warm(32, 96);
    open.go_round();
    EXPECT_EQ(open.reclaim->figures().dropped, 0U);
  }
  OpenVolume again(*pmem);
  for (const std::uint8_t value : values) {
    EXPECT_THAT(again.read(value * 32U + 1, 23), Each(value));
  }
}

TEST_P(ReclaimAllWays, ASparseSegmentIsLeftBehind) {
  ReclaimedVolume open(*pmem);
  std::uint64_t at = 0;
  for (; at < 24 * 8; at += 8) must(open.write(at, 8, static_cast<std::uint8_t>(at + 1)));
  const std::uint32_t sparse = *open.segment_of(0);
  // One extent of the first segment stays.
  for (std::uint64_t block = 8; open.segment_of(block) == sparse; block += 8) {
    must(open.write(block, 8, 0xee));
  }
  open.write_back();
  // Twice: it may be met again in the last step.
  for (int look = 0; look < 2; ++look) open.warm(0, 8);
  EXPECT_FALSE(open.is_free(sparse));
  open.go_round();
  EXPECT_GE(open.reclaim->figures().moved, 8U);
  EXPECT_TRUE(open.is_free(sparse));
  const std::uint32_t moved = *open.segment_of(0);
  EXPECT_NE(moved, sparse);
  EXPECT_THAT(open.read(0, 8), Each(1));
  // With nothing left to do it does not keep back what it has begun to fill.
  open.drain();
  EXPECT_TRUE(open.is_free(moved) || !open.device->segments().counters(moved).is_open());
}

TEST(Reclaim, RotIsNotMovedIntoANewChecksum) {
  const auto pmem = cache_pmem(true);
  ReclaimedVolume open(*pmem);
  // Cut, so that it has to be moved to be kept.
  must(open.write(0, 24, 1));
  must(open.write(0, 1, 2));
  const auto hit = pin_front(*open.volume, {{16}, {8}});
  ASSERT_TRUE(hit.has_value());
  flip_bit(*pmem, {hit->value.place.value * 512});
  open.write_back();
  open.warm(0, 24);
  open.go_round();
  EXPECT_THAT(open.read(1, 23), Each(-1)) << "the backing has it";
  EXPECT_EQ(open.reclaim->figures().refused, 23U);
}

TEST(Reclaim, KeysWithNothingToWriteBackTakeTheDirtyTailAlong) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  for (std::uint64_t at = 0; at < 5; ++at) {
    CommitRecord record(open.sink);
    const std::vector<std::byte> data(8 * 512, std::byte{9});
    must(open.volume->fill(*open.actor, record, {{at * 8}, {8}}, data));
    EXPECT_FALSE(open.actor->end_turn());
  }
  must(open.write(100, 8, 1));
  open.drain();
  EXPECT_EQ(open.tails().key_tail, 5U);
  EXPECT_EQ(open.tails().dirty_tail, 5U);
  EXPECT_THAT(open.read(0, 40), Each(-1));
  EXPECT_THAT(open.read(100, 8), Each(1));
}

TEST(Reclaim, ADirtyTailOfWriteBackIsWaitedFor) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem, Reclaim::DirtyTail::write_backs);
  CommitRecord record(open.sink);
  const std::vector<std::byte> data(8 * 512, std::byte{9});
  must(open.volume->fill(*open.actor, record, {{0}, {8}}, data));
  EXPECT_FALSE(open.actor->end_turn());
  const LogTails before = open.tails();
  open.drain();
  EXPECT_EQ(open.tails(), before);
  EXPECT_TRUE(open.reclaim->waits_for_dirty_tail());
  EXPECT_THAT(open.read(0, 8), Each(9));
  open.write_back();
  open.drain();
  EXPECT_EQ(open.tails().key_tail, 1U);
  EXPECT_FALSE(open.reclaim->waits_for_dirty_tail());
}

TEST(Reclaim, ChunksBelowTheKeyTailAreFree) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  for (int round = 0; round < 1000; ++round) must(open.zero(0, 1));
  EXPECT_GT(open.device->chunks_of(0).chunks.size(), 7U);
  open.write_back();
  open.go_round();
  EXPECT_LE(open.device->chunks_of(0).chunks.size(), 2U);
  open.device->chunks().check_invariants();
  open.device->segments().check_invariants();
}

// A volume that nobody writes to must not fill the cache by being opened.
TEST(Reclaim, OpeningsLeaveNoChunksBehind) {
  for (const bool has_keys : {false, true}) {
    const auto pmem = cache_pmem(false);
    std::uint32_t free = 0;
    for (int life = 0; life < 40; ++life) {
      ReclaimedVolume open(*pmem);
      ASSERT_TRUE(open.volume->is_writable()) << life;
      if (has_keys && life == 0) {
        must(open.write(0, 8, 1));
        open.write_back();
      }
      while (open.reclaim->step(*open.actor) != Reclaim::Step::idle) {
        EXPECT_FALSE(open.actor->end_turn());
      }
      EXPECT_EQ(open.device->chunks_of(0).chunks.size(), 1U);
      if (life < 3) free = open.device->segments().free_count();
      EXPECT_GE(open.device->segments().free_count(), free) << life;
    }
  }
}

TEST(Reclaim, APinnedSegmentWaitsForItsReader) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  must(open.write(0, 32, 1));
  must(open.write(100, 32, 2));
  const std::uint32_t segment = *open.segment_of(0);
  auto hit = pin_front(*open.volume, {{0}, {32}});
  ASSERT_TRUE(hit.has_value());
  must(open.write(0, 32, 3));
  open.write_back();
  open.go_round();
  EXPECT_FALSE(open.is_free(segment));
  hit->pin.release();
  (void)open.reclaim->step(*open.actor);
  EXPECT_TRUE(open.is_free(segment));
}

TEST(Reclaim, AKsetThatCannotBeReadStopsIt) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  must(open.write(0, 8, 1));
  for (const MediaOffset place : open.volume->log().places()) {
    pmem->poison(place + ByteCount{open.device->layout().first_kset()}, ByteCount{64});
  }
  must(open.write(8, 8, 2));
  open.write_back();
  EXPECT_EQ(open.reclaim->step(*open.actor), Reclaim::Step::stopped);
  ASSERT_TRUE(open.reclaim->damage().has_value());
  EXPECT_EQ(open.reclaim->damage()->sequence, 1U);
  EXPECT_EQ(open.tails().key_tail, 0U);
}

// A host's write that is committed between the decision to keep and the key that keeps.
TEST(ScenarioF3, AKeyLoggedAgainLosesAgainstAWriteThatCameBefore) {
  const auto pmem = cache_pmem(false);
  {
    ReclaimedVolume open(*pmem);
    must(open.write(0, 8, 1));
    must(open.write(100, 24, 1));
    open.write_back();
    open.warm(0, 8);
    open.warm(100, 24);
    // The lane's turn, with the keys in it, has not ended.
    while (open.reclaim->step(*open.actor) != Reclaim::Step::waits) {
    }
    const auto other = must(CacheActor::make(*open.device));
    CommitRecord records[] = {CommitRecord(open.sink), CommitRecord(open.sink)};
    const std::vector<std::byte> data(8 * 512, std::byte{2});
    must(open.volume->write(*other, records[0], {{0}, {8}}, data));
    must(open.volume->write(*other, records[1], {{108}, {8}}, data));
    EXPECT_FALSE(other->end_turn());
    EXPECT_FALSE(open.actor->end_turn());
    // What the writes have left of it is kept all the same.
    open.go_round();
    EXPECT_EQ(open.live_sectors(), 8U + 24U);
    EXPECT_GE(open.tails().key_tail, 2U);
  }
  OpenVolume again(*pmem);
  EXPECT_FALSE(again.report.damaged());
  EXPECT_THAT(again.read(0, 8), Each(2));
  EXPECT_THAT(again.read(100, 8), Each(1));
  EXPECT_THAT(again.read(108, 8), Each(2));
  EXPECT_THAT(again.read(116, 8), Each(1));
}

// Two versions of one range in two segments, both written back; the newer one's segment goes first.
TEST(ScenarioF4, AFreedSegmentsKeyDoesNotUncoverAnOlderOne) {
  const auto pmem = cache_pmem(false);
  {
    ReclaimedVolume open(*pmem);
    must(open.write(0, 8, 1));
    must(open.write(100, 24, 1));
    const std::uint32_t first = *open.segment_of(0);
    must(open.write(0, 8, 2));
    const std::uint32_t second = *open.segment_of(0);
    ASSERT_NE(first, second);
    must(open.write(200, 32, 1));
    open.write_back();
    open.evict(0, 8);
    // The rest of the segment too; it is closed, because the last write has gone on to another.
    open.evict(200, 32);
    (void)open.reclaim->step(*open.actor);
    ASSERT_TRUE(open.is_free(second));
    ASSERT_FALSE(open.is_free(first));
    ASSERT_EQ(open.tails().key_tail, 0U);
  }
  OpenVolume again(*pmem);
  EXPECT_FALSE(again.report.damaged());
  EXPECT_GT(again.report.stale_keys, 0U);
  EXPECT_THAT(again.read(0, 8), Each(-1)) << "the backing has the newer one";
  EXPECT_THAT(again.read(100, 24), Each(1));
}

// All of it hot, and no room to log anything again: it goes all the same.
TEST(ScenarioS9, AFullCacheGetsOnWithoutRoom) {
  const auto pmem = cache_pmem(false, 10);
  ReclaimedVolume open(*pmem);
  std::uint64_t at = 0;
  while (open.write(at, 1, 1)) ++at;
  while (open.zero(1 << 20, 1)) {
  }
  EXPECT_EQ(open.write(at, 1, 1).error(), CacheRefusal::no_space);
  EXPECT_LE(open.device->segments().free_count(), SegmentShares::device_reserve);
  open.warm(0, at);
  EXPECT_TRUE(open.reclaim->is_wanted());
  open.drain();
  EXPECT_EQ(open.live_sectors(), at) << "dirty data stays";
  open.write_back();
  open.go_round();
  EXPECT_GT(open.reclaim->figures().refused, 0U);
  must(open.write(at, 32, 2));
  EXPECT_THAT(open.read(at, 32), Each(2));
}

// Opened again before anything was given up, it lacks even the room for a new chunk of its log: who
// writes waits for that as for any other space.
TEST(ScenarioS9, AFullCacheThatCannotOpenItsLogGetsOnToo) {
  const auto pmem = cache_pmem(false, 10);
  std::uint64_t at = 0;
  {
    ReclaimedVolume open(*pmem);
    while (open.write(at, 1, 1)) ++at;
    while (open.zero(1 << 20, 1)) {
    }
  }
  while (OpenVolume(*pmem).volume->is_writable()) {
  }
  ReclaimedVolume open(*pmem);
  ASSERT_TRUE(open.report.not_opened.has_value());
  EXPECT_TRUE(open.volume->waits_for_room());
  EXPECT_EQ(open.write(at, 1, 2).error(), CacheRefusal::no_space);
  EXPECT_THAT(open.read(0, at), Each(1));
  open.drain();
  EXPECT_EQ(open.live_sectors(), at) << "dirty data stays";
  open.write_back();
  open.warm(0, at);
  open.go_round();
  must(open.volume->open_log(open.writer, open.report.last_sequence, open.report.last_time_ms));
  EXPECT_FALSE(open.volume->waits_for_room());
  must(open.write(at, 32, 2));
  EXPECT_THAT(open.read(at, 32), Each(2));
}

TEST(ScenarioS9, SpaceIsGivenUpBeforeAnybodyWaits) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  EXPECT_FALSE(open.reclaim->is_wanted());
  std::uint64_t at = 0;
  for (; !open.reclaim->is_wanted(); at += 8) must(open.write(at, 8, 1));
  const SegmentShares& shares = open.device->segments().shares();
  const auto room = [&] {
    return shares.room(open.volume->tag(), open.device->segments().free_count());
  };
  EXPECT_LT(room(), ReclaimTrigger::watermarks_of(24).start + 1);
  must(open.write(at, 8, 1));
  open.write_back();
  while (open.reclaim->is_wanted()) {
    ASSERT_NE(open.reclaim->step(*open.actor), Reclaim::Step::idle);
    EXPECT_FALSE(open.actor->end_turn());
  }
  EXPECT_GE(room(), ReclaimTrigger::watermarks_of(24).stop);
  EXPECT_GT(open.live_sectors(), 0U) << "no more than is wanted";
}

TEST(ScenarioS9, BorrowedSpaceComesBackForAnothersMinimum) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  std::uint64_t at = 0;
  SegmentShares& shares = open.device->segments().shares();
  ASSERT_TRUE(shares.set_share(77, {.minimum = 4}));
  while (open.write(at, 8, 1)) at += 8;
  open.write_back();
  // One round of counting: now what it has is known to be clean, and more is lent.
  (void)open.reclaim->step(*open.actor);
  while (open.write(at, 8, 1)) at += 8;
  EXPECT_FALSE(shares.take(77, open.device->segments().free_count()));
  EXPECT_TRUE(open.reclaim->is_wanted());
  open.write_back();
  while (open.reclaim->is_wanted()) {
    ASSERT_NE(open.reclaim->step(*open.actor), Reclaim::Step::idle);
    EXPECT_FALSE(open.actor->end_turn());
  }
  for (int segment = 0; segment < 4; ++segment) {
    EXPECT_TRUE(open.device->segments().allocate(open.writer, format::SegmentUse::data, 77));
  }
}

// No map from segments to addresses: counts say when one is empty, and its keys when it may go.
TEST(ScenarioS10, AnEmptySegmentIsFreedWhenItsLastKeyIsWrittenBack) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  must(open.write(0, 32, 1));
  const std::uint32_t segment = *open.segment_of(0);
  must(open.write(0, 32, 2));
  const std::uint32_t next = *open.segment_of(0);
  EXPECT_EQ(open.device->segments().counters(segment).live_sectors, 0U);
  (void)open.reclaim->step(*open.actor);
  EXPECT_FALSE(open.is_free(segment)) << "its key is not written back";
  open.write_back();
  (void)open.reclaim->step(*open.actor);
  EXPECT_TRUE(open.is_free(segment));
  EXPECT_FALSE(open.is_free(next));
  open.device->segments().check_invariants();
}

// Who does not write keeps no space: heads of idle threads would hold a small cache full for ever.
// And a head whose segment is somebody else's by now does not go on in it.
TEST(ScenarioS10, AHeadThatRestsDoesNotKeepItsSegment) {
  const auto pmem = cache_pmem(false);
  ReclaimedVolume open(*pmem);
  must(open.write(100, 8, 3));
  const std::uint32_t last = *open.segment_of(100);
  open.write_back();
  open.evict(100, 8);
  open.go_round();
  EXPECT_TRUE(open.is_free(last));
  const auto other = open.make_actor();
  const auto write = [&](CacheActor& actor, std::uint64_t at, std::byte value) {
    CommitRecord record(open.sink);
    const std::vector<std::byte> data(8 * 512, value);
    must(open.volume->write(actor, record, {{at}, {8}}, data));
    EXPECT_FALSE(actor.end_turn());
  };
  write(*other, 200, std::byte{4});
  EXPECT_EQ(*open.segment_of(200), last) << "it is given out again";
  write(*other, 208, std::byte{5});
  write(*open.actor, 300, std::byte{6});
  EXPECT_NE(*open.segment_of(300), last);
  EXPECT_EQ(open.read(200, 16), (std::vector<int>{4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5}));
  EXPECT_EQ(open.read(300, 8), std::vector<int>(8, 6));
  // With something in it, it goes on where it was.
  write(*other, 216, std::byte{7});
  EXPECT_EQ(*open.segment_of(216), last);
  open.device->segments().check_invariants();
}

// Where hosts write little at a time the index is full before the space is: then it is given back,
// in the end also of what is hot.
TEST(Reclaim, GivesIndexMemoryBackWhenThereIsNoMore) {
  const auto region = must(make_anonymous_pmem(32_MiB));
  FormatOptions options = small_format();
  options.layout.segment_slots = 4096;
  must(format_cache(*region, options));
  ReclaimedVolume open(*region);
  open.memory.bound_by(256_KiB, [](ByteCount) { return false; });
  std::uint64_t written = 0;
  auto taken = open.write(0, 1, 1);
  while (taken) taken = open.write(++written * 16, 1, 1);
  EXPECT_EQ(taken.error(), CacheRefusal::no_memory);
  EXPECT_GT(written, 5'000U);
  EXPECT_GT(open.device->segments().free_count(), open.device->segments().count() / 2);
  EXPECT_LE(open.memory.memory_bytes().value, (256U << 10) + sizeof(IndexMemory));
  open.write_back();
  open.warm(0, written * 16);
  // As long as somebody waits, it goes on: what is hot is less so after each round.
  int rounds = 0;
  for (std::uint64_t more = 0; more < 100; ++more) {
    for (;;) {
      const auto again = open.write((written + more) * 16, 1, 2);
      if (again) break;
      ASSERT_EQ(again.error(), CacheRefusal::no_memory);
      ASSERT_LT(rounds++, 8);
      open.write_back();
      open.go_round();
    }
  }
  EXPECT_GT(rounds, 0);
  open.volume->index().check_invariants();
}

}  // namespace
}  // namespace engine::test
