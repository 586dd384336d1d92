// Write-back of one volume: what reaches the backing, in which order, and what its marker says.
#include "engine/cache/write_back.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/write_back_kit.h"

namespace engine::test {
namespace {

using State = WriteBackStatus::State;
using std::chrono::seconds;
using testing::ElementsAre;

struct Case {
  explicit Case(bool crc = true) : pmem(cache_pmem(crc)) {}
  std::unique_ptr<SimPmem> pmem;
  WriteBackDisk disk;
};

TEST(WriteBack, EverythingReachesTheBackingAndIsCleanThen) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 2, 1);
  life.write(64, 16, 2);
  life.write(9, 1, 3);
  EXPECT_EQ(life.write_back.status().bytes_left, ByteCount{19 * 512});
  EXPECT_FALSE(life.cache.volume->commit().is_backing_current());
  life.write_back_all();
  EXPECT_THAT(of.disk.durable(7, 4), ElementsAre(0, 1, 3, 0));
  EXPECT_THAT(of.disk.durable(79, 2), ElementsAre(2, 0));
  EXPECT_EQ(life.tails().dirty_tail, 3U);
  EXPECT_EQ(life.tails().writeback_target, 3U);
  EXPECT_EQ(life.tails().consistent_time_ms,
            static_cast<std::uint64_t>(life.cache.clock.wall().count()));
  EXPECT_EQ(life.dirty_sectors(), 0U);
  EXPECT_EQ(life.cache.read(8, 2), (std::vector<int>{1, 3})) << "clean, and still cached";
  const WriteBackStatus status = life.write_back.status();
  EXPECT_EQ(status.state, State::idle);
  EXPECT_EQ(status.bytes_left, ByteCount{});
  EXPECT_FALSE(status.backing_mixed);
  EXPECT_TRUE(life.cache.volume->commit().is_backing_current());
}

TEST(WriteBack, ZerosAreWrittenAndGiveUpTheirPlaceInTheIndex) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 4, 1);
  life.write_back_all();
  life.zero(9, 2);
  life.zero(11, 1);
  EXPECT_EQ(life.cache.read(8, 4), (std::vector<int>{1, 0, 0, 0}));
  life.write_back_all();
  EXPECT_THAT(of.disk.durable(8, 4), ElementsAre(1, 0, 0, 0));
  EXPECT_EQ(life.cache.read(8, 4), (std::vector<int>{1, -1, -1, -1})) << "the backing has them";
}

TEST(WriteBack, SpaceIsGivenBackWhereThatWasAskedFor) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 16, 1);
  life.write_back_all();
  life.zero(8, 4);
  must(life.cache.zero(12, 4, VolumeCache::ZeroedSpace::given_back));
  must(life.cache.zero(16, 4, VolumeCache::ZeroedSpace::given_back));
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.count(BackingIo::Kind::zero_range), 1U);
  EXPECT_EQ(of.disk.backing.count(BackingIo::Kind::discard), 1U) << "neighbours go together";
  EXPECT_THAT(of.disk.durable(8, 13), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
}

TEST(WriteBack, WhatIsInvalidatedIsNotWritten) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 4, 1);
  life.invalidate(9, 2);
  life.write_back_all();
  EXPECT_THAT(of.disk.durable(8, 4), ElementsAre(1, 0, 0, 1));
  EXPECT_EQ(life.tails().dirty_tail, 2U);
}

TEST(WriteBack, CleanKeysMoveDWithoutTouchingTheBackingOrItsMarker) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  const std::size_t marks = of.disk.marker.history().size();
  CommitRecord record(life.cache.sink);
  const std::vector<std::byte> data(512, std::byte{7});
  ASSERT_TRUE(life.cache.volume->fill(*life.cache.actor, record, {{8}, {1}}, data));
  ASSERT_FALSE(life.cache.actor->end_turn());
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.held(), 0U);
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  EXPECT_EQ(of.disk.marker.history().size(), marks);
}

// F5 (a): while a batch runs the backing is at no moment, and whoever looks at it can tell.
TEST(WriteBack, F5aTargetAndMarkerComeBeforeTheFirstWrite) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  life.write(8, 1, 1);
  life.write(24, 1, 2);
  of.disk.marker.hold(true);
  life.write_back_all();
  EXPECT_EQ(life.tails().writeback_target, 2U);
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  ASSERT_TRUE(of.disk.marker.is_held());
  EXPECT_EQ(of.disk.backing.disk().unsynced_sectors(), 0U) << "nothing before the marker is there";
  of.disk.backing.hold(true);
  of.disk.marker.hold(false);
  of.disk.marker.release();
  life.go_on();
  EXPECT_EQ(of.disk.backing.held(), 2U);
  EXPECT_TRUE(life.write_back.status().backing_mixed);
  const BackingMark mark = *of.disk.marker.mark();
  EXPECT_EQ(mark.state, BackingMark::State::in_progress);
  EXPECT_EQ(mark.volume, uuid_of(1));
  EXPECT_EQ(mark.cache, life.cache.device->uuid());
  EXPECT_EQ(mark.from, 0U);
  EXPECT_EQ(mark.to, 2U);
  life.let_go();
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::clean);
}

// F5 (b): with all persistent memory lost, the backing and its marker say what there is.
TEST(WriteBack, F5bTheMomentIsBesideTheBacking) {
  Case of;
  {
    WriteBackLife life(*of.pmem, of.disk);
    life.write(8, 1, 1);
    life.write_back_all();
    life.cache.clock.advance(seconds(5));
    life.write(8, 1, 2);
    life.cache.clock.advance(seconds(5));
    life.write(9, 1, 3);
  }
  of.pmem.reset();
  const BackingMark mark = *of.disk.marker.mark();
  EXPECT_EQ(mark.state, BackingMark::State::clean);
  EXPECT_EQ(mark.to, 1U);
  EXPECT_EQ(mark.to_time_ms, 3'600'000U);
  EXPECT_THAT(of.disk.durable(8, 2), ElementsAre(1, 0));
}

// F5 (c): half of a batch is on the disk when the process dies; the next one reaches as far,
// however small its bounds are, and until then nobody says that the backing is at any moment.
TEST(WriteBack, F5cAnInterruptedBatchNeverShrinks) {
  Case of;
  {
    WriteBackLife life(*of.pmem, of.disk);
    for (std::uint8_t value = 1; value <= 6; ++value) life.write(8 * value, 1, value);
    of.disk.backing.hold(true);
    life.write_back_all();
    ASSERT_EQ(of.disk.backing.held(), 6U);
    ASSERT_EQ(life.tails().writeback_target, 6U);
  }
  of.disk.backing.hold(false);
  WriteBackLife life(*of.pmem, of.disk, {.most_keys = 1, .most_bytes = {1}});
  EXPECT_TRUE(life.write_back.status().backing_mixed);
  EXPECT_FALSE(life.cache.volume->commit().is_backing_current());
  life.write(8 * 7, 1, 7);
  life.later(seconds(1));  // nobody asks for it: a batch that has begun is ended
  EXPECT_EQ(life.tails().dirty_tail, 6U);
  EXPECT_FALSE(life.write_back.status().backing_mixed);
  for (const BackingMark& mark : of.disk.marker.history()) {
    const bool clean = mark.state == BackingMark::State::clean;
    EXPECT_TRUE(!clean || mark.to == 0 || mark.to == 6) << mark.to;
  }
  for (std::uint64_t value = 1; value <= 6; ++value) {
    EXPECT_THAT(of.disk.durable(8 * value, 1), ElementsAre(value));
  }
  EXPECT_THAT(of.disk.durable(8 * 7, 1), ElementsAre(0));
}

// F5 (d): what is newer behind the end of the batch does not count in it.
TEST(WriteBack, F5dAKeyThatIsSupersededBehindTheEndIsWritten) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk, {.most_keys = 2, .most_bytes = 1_MiB});
  life.write(8, 1, 1);
  life.write(9, 1, 2);
  life.write(8, 1, 3);
  WaitsForDirtyTail waiter;
  ASSERT_TRUE(life.write_back.wait(waiter, 1));
  life.go_on();
  EXPECT_EQ(life.tails().dirty_tail, 2U);
  EXPECT_THAT(of.disk.durable(8, 2), ElementsAre(1, 2));
  EXPECT_EQ(life.dirty_sectors(), 1U) << "the newer one is dirty still";
  life.write_back_all();
  EXPECT_THAT(of.disk.durable(8, 2), ElementsAre(3, 2));
  EXPECT_EQ(life.dirty_sectors(), 0U);
}

TEST(WriteBack, AFailedWriteKeepsTheDataAndIsTriedAgainLaterAndLater) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  life.write(8, 1, 1);
  life.write(16, 1, 2);
  of.disk.backing.fail_nth(1, IoStatus::media_error);
  life.write_back_all();
  WriteBackStatus status = life.write_back.status();
  EXPECT_EQ(status.state, State::backing_off);
  EXPECT_TRUE(status.backing_mixed);
  EXPECT_EQ(status.bytes_left, ByteCount{1024});
  EXPECT_EQ(status.time_left, std::nullopt);
  EXPECT_THAT(status.error, testing::HasSubstr("a write to the backing"));
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  EXPECT_EQ(life.dirty_sectors(), 2U);
  life.later(std::chrono::milliseconds(200));
  EXPECT_EQ(life.write_back.status().state, State::backing_off);
  of.disk.backing.fail_nth(2, IoStatus::media_error);
  life.later(std::chrono::milliseconds(60));
  EXPECT_EQ(life.write_back.status().state, State::backing_off) << "again, and longer";
  life.later(std::chrono::milliseconds(400));
  EXPECT_EQ(life.write_back.status().state, State::backing_off);
  life.later(std::chrono::milliseconds(110));
  status = life.write_back.status();
  EXPECT_EQ(status.state, State::idle);
  EXPECT_EQ(status.error, "");
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_THAT(of.disk.durable(16, 1), ElementsAre(2));
}

// A flush that fails may have lost what was taken before; all of it is written again.
TEST(WriteBack, AFailedFlushMovesNothingUntilTheDiskIsBack) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 1, 1);
  of.disk.backing.fail_syncs(true);
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::backing_off);
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::in_progress);
  life.later(seconds(100));
  EXPECT_EQ(life.write_back.status().state, State::backing_off) << "the backing is not reopened";
  of.disk.backing.crash();  // what it had taken is lost, or not
  of.disk.backing.fail_syncs(false);
  of.disk.backing.reopen();
  life.later(seconds(1));
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_EQ(life.tails().dirty_tail, 1U);
}

// Nothing can be done about a disk that lies, so a test that believes it has to notice.
TEST(WriteBack, ASwallowedFlushIsSeenByWhoeverLooksAtTheDisk) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 1, 1);
  of.disk.backing.swallow_flushes(true);
  life.write_back_all();
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(0));
}

TEST(WriteBack, WithoutItsMarkerNothingIsWritten) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  life.write(8, 1, 1);
  of.disk.marker.fail(IoStatus::capacity_exceeded);
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::backing_off);
  EXPECT_EQ(of.disk.backing.disk().unsynced_sectors(), 0U);
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  of.disk.marker.fail(IoStatus::ok);
  life.later(seconds(1));
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::clean);
}

// Rule 14, without checksums: the media itself says so.
TEST(WriteBack, AnUnreadablePieceEndsTheBatchBeforeIt) {
  Case of(/*crc=*/false);
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 1, 1);
  life.write(16, 1, 2);
  life.write(24, 1, 3);
  const MediaOffset place = life.place_of(16);
  of.pmem->poison(place, {512});
  life.write_back_all();
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_THAT(of.disk.durable(24, 1), ElementsAre(0)) << "not skipped";
  WriteBackStatus status = life.write_back.status();
  EXPECT_EQ(status.state, State::stopped);
  EXPECT_FALSE(status.backing_mixed);
  ASSERT_TRUE(status.trouble);
  EXPECT_EQ(status.trouble->kind, WriteBackTrouble::Kind::unreadable);
  EXPECT_EQ(status.trouble->sequence, 2U);
  EXPECT_EQ(status.trouble->range, (SectorRange{{16}, {1}}));
  EXPECT_EQ(status.trouble->place, place);
  EXPECT_THAT(status.trouble->text(), testing::HasSubstr("sectors 16 to 16 of kset 2"));
  // A newer write covers it; the rest is no obstacle.
  life.write(16, 1, 4);
  life.later(seconds(1));
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_FALSE(life.write_back.status().trouble);
  EXPECT_THAT(of.disk.durable(16, 1), ElementsAre(4));
  EXPECT_THAT(of.disk.durable(24, 1), ElementsAre(3));
}

TEST(WriteBack, RotIsNotWrittenToTheBacking) {
  Case of(/*crc=*/true);
  WriteBackLife life(*of.pmem, of.disk);
  life.write(8, 24, 1);  // with an array of checksums
  life.write(40, 1, 2);
  flip_bit(*of.pmem, life.place_of(20));
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::stopped);
  EXPECT_EQ(life.write_back.status().trouble->kind, WriteBackTrouble::Kind::bad_checksum);
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  EXPECT_EQ(life.tails().writeback_target, 0U) << "no batch was begun";
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(0));
}

// Both copies of a kset of the middle are bad: what lies before is written back.
TEST(WriteBack, ADamagedLogIsWrittenBackUpToTheDamage) {
  Case of;
  MediaOffset second;
  {
    WriteBackLife life(*of.pmem, of.disk);
    life.write(8, 1, 1);
    const VolumeLog& log = life.cache.volume->log();
    const std::uint64_t offset = log.offset();
    for (std::size_t copy = 0; copy < 2; ++copy) {
      const MediaOffset place = log.places()[copy] + ByteCount{offset + 40};
      if (copy == 0) life.write(16, 1, 2), life.write(24, 1, 3);
      flip_bit(*of.pmem, place);
    }
    life.write_back_all();
    EXPECT_EQ(life.write_back.status().state, State::stopped);
    EXPECT_EQ(life.write_back.status().trouble->kind, WriteBackTrouble::Kind::log);
    EXPECT_EQ(life.write_back.status().trouble->sequence, 2U);
    EXPECT_EQ(life.tails().dirty_tail, 1U);
  }
  WriteBackLife life(*of.pmem, of.disk);
  EXPECT_TRUE(life.cache.report.damaged());
  EXPECT_FALSE(life.cache.volume->is_writable());
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
}

// After a restart only the log says what is dirty.
TEST(WriteBack, WhatRecoveryFindsIsWrittenBack) {
  Case of;
  {
    WriteBackLife life(*of.pmem, of.disk);
    life.write(8, 2, 1);
    life.write_back_all();
    life.write(9, 2, 2);
    life.zero(8, 1);
  }
  WriteBackLife life(*of.pmem, of.disk);
  EXPECT_EQ(life.write_back.status().bytes_left, ByteCount{1024});
  life.write_back_all();
  EXPECT_THAT(of.disk.durable(8, 3), ElementsAre(0, 2, 2));
  EXPECT_EQ(life.tails().dirty_tail, 3U);
}

TEST(WriteBack, AdjacentPiecesThatLieSideBySideAreOneOperation) {
  Case of(/*crc=*/false);
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  for (std::uint8_t at = 0; at < 4; ++at) life.write(8 + at, 1, static_cast<std::uint8_t>(at + 1));
  life.zero(32, 8);
  life.zero(40, 8);
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.held(), 2U);
  life.let_go();
  EXPECT_THAT(of.disk.durable(8, 4), ElementsAre(1, 2, 3, 4));
}

// Written backwards, so that no two lie side by side in the cache.
TEST(WriteBack, ScatteredNeighboursAreCopiedIntoOneOperation) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  for (std::uint8_t at = 6; at > 0; --at) life.write(7U + at, 1, at);
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.held(), 1U);
  life.let_go();
  EXPECT_THAT(of.disk.durable(8, 7), ElementsAre(1, 2, 3, 4, 5, 6, 0));
}

TEST(WriteBack, WithoutMemoryForACopyPiecesGoOneByOne) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  std::vector<BufferLease> all;
  while (auto lease = life.lane.buffers().lease(4_KiB)) all.push_back(std::move(*lease));
  for (std::uint8_t at = 6; at > 0; --at) life.write(7U + at, 1, at);
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.held(), 6U);
  life.let_go();
  EXPECT_THAT(of.disk.durable(8, 7), ElementsAre(1, 2, 3, 4, 5, 6, 0));
}

TEST(WriteBack, NoMoreAtOnceThanMayBe) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk, {}, {.most_in_flight = 4, .busy_in_flight = 1});
  life.write_back_all();
  for (std::uint8_t at = 0; at < 10; ++at) life.write(8 * (at + 1), 1, at);
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.backing.held(), 4U);
  EXPECT_EQ(life.write_back.status().in_flight, 4U);
  life.write_back.set_foreground_busy(true);
  EXPECT_TRUE(of.disk.backing.release_oldest());
  life.go_on();
  EXPECT_EQ(of.disk.backing.held(), 3U);
  for (int left = 0; left < 3; ++left) EXPECT_TRUE(of.disk.backing.release_oldest());
  life.go_on();
  EXPECT_EQ(of.disk.backing.held(), 1U);
  life.let_go();
  EXPECT_EQ(life.tails().dirty_tail, 10U);
}

// Write-through: told when, and not before, it is durable on the backing.
TEST(WriteBack, WaitersAreToldBehindTheFlush) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  life.write_back.set_draining(false);
  life.write(8, 1, 1);
  life.write(16, 1, 2);
  WaitsForDirtyTail first;
  WaitsForDirtyTail second;
  WaitsForDirtyTail cancelled;
  of.disk.backing.hold(true);
  ASSERT_TRUE(life.write_back.wait(second, 2));
  ASSERT_TRUE(life.write_back.wait(first, 1));
  ASSERT_TRUE(life.write_back.wait(cancelled, 2));
  cancelled.unlink();
  life.go_on();
  of.disk.backing.release_all();
  life.go_on();
  EXPECT_EQ(of.disk.backing.held(), 1U) << "the flush";
  EXPECT_EQ(first.told + second.told, 0);
  life.let_go();
  EXPECT_EQ(first.told, 1);
  EXPECT_EQ(second.told, 1);
  EXPECT_EQ(cancelled.told, 0);
  EXPECT_FALSE(life.write_back.wait(first, 2)) << "there already";
}

TEST(WriteBack, AgeAndSpaceBringItAboutByThemselves) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk, {}, {.most_age = seconds(30)});
  life.write(8, 8, 1);
  life.later(seconds(1));
  life.later(seconds(28));
  EXPECT_EQ(life.tails().dirty_tail, 0U);
  life.later(seconds(2));
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  life.write_back.set_share({40960});
  life.write(8, 8, 2);
  life.later(seconds(1));
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  for (int more = 0; more < 6; ++more) life.write(8, 8, 3);
  life.later(seconds(1));
  EXPECT_EQ(life.tails().dirty_tail, 8U);
}

TEST(WriteBack, ADrainShowsWhatIsLeftAndCanBeCancelled) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk, {.most_keys = 1, .most_bytes = 1_MiB});
  for (std::uint8_t value = 1; value <= 5; ++value) life.write(8 * value, 1, value);
  of.disk.backing.hold(true);
  life.write_back.set_draining(true);
  const auto batch = [&] {
    life.go_on();
    life.cache.clock.advance(seconds(1));
    while (of.disk.backing.held() > 0 && of.disk.backing.release_oldest()) life.lane.reap();
    life.lane.finish_turn();
  };
  while (life.tails().dirty_tail < 2) batch();
  const WriteBackStatus status = life.write_back.status();
  EXPECT_EQ(status.state, State::writing);
  EXPECT_EQ(status.bytes_left, ByteCount{3 * 512});
  ASSERT_TRUE(status.time_left);
  EXPECT_GT(*status.time_left, Duration{});
  life.write_back.set_draining(false);
  for (int rounds = 0; rounds < 20; ++rounds) batch();
  EXPECT_LT(life.tails().dirty_tail, 5U) << "what was begun is ended, and no more";
  EXPECT_EQ(life.write_back.status().state, State::idle);
  life.write_back.set_draining(true);
  life.let_go();
  EXPECT_EQ(life.tails().dirty_tail, 5U);
  EXPECT_EQ(life.write_back.status().time_left, Duration{});

  life.write(8, 1, 6);
  EXPECT_TRUE(life.write_back.status().time_left) << "as fast as before";
  of.disk.backing.fail_nth(1, IoStatus::media_error);
  life.go_on();
  life.write_back_all();
  ASSERT_EQ(life.write_back.status().state, State::backing_off);
  EXPECT_FALSE(life.write_back.status().time_left);
  of.disk.backing.hold(true);
  life.later(seconds(1));
  ASSERT_EQ(life.write_back.status().state, State::writing);
  EXPECT_FALSE(life.write_back.status().time_left) << "it is only tried again";
  life.let_go();
  EXPECT_EQ(life.write_back.status().time_left, Duration{});
}

// S8: one disk hangs; another volume of the same lane goes on.
TEST(WriteBack, S8AHungBackingHoldsUpNobodyElse) {
  Case of;
  Case other;
  WriteBackLife life(*of.pmem, of.disk);
  life.write_back_all();
  OpenVolume cache(*other.pmem);
  WriteBack beside(*cache.volume, other.disk.backing, other.disk.marker, life.lane, cache.writer,
                   cache.clock);
  life.write(8, 1, 1);
  ASSERT_TRUE(cache.write(8, 1, 2));
  of.disk.backing.hang(true);
  life.write_back.set_draining(true);
  beside.set_draining(true);
  life.go_on();
  EXPECT_THAT(other.disk.durable(8, 1), ElementsAre(2));
  EXPECT_EQ(life.write_back.status().state, State::writing);
  EXPECT_EQ(life.write_back.status().in_flight, 1U);
  const Instant since = life.write_back.status().last_answer;
  life.cache.clock.advance(seconds(60));
  life.go_on();
  EXPECT_EQ(life.write_back.status().last_answer, since) << "silent for so long";
  life.write(16, 1, 3);  // the cache takes it meanwhile
  of.disk.backing.hang(false);
  life.go_on();
  EXPECT_THAT(of.disk.durable(16, 1), ElementsAre(3));
}

TEST(WriteBack, StoppedItEndsWhatItHasBegun) {
  Case of;
  WriteBackLife life(*of.pmem, of.disk, {.most_keys = 1, .most_bytes = 1_MiB});
  life.write_back_all();
  life.write(8, 1, 1);
  life.write(16, 1, 2);
  life.write(24, 1, 3);
  of.disk.backing.hold(true);
  life.write_back_all();
  EXPECT_EQ(of.disk.marker.mark()->to, 2U);
  life.write_back.stop();
  EXPECT_FALSE(life.write_back.is_quiet());
  life.let_go();
  EXPECT_TRUE(life.write_back.is_quiet());
  EXPECT_EQ(life.tails().dirty_tail, 2U) << "the second batch was announced beside the first";
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::clean);
}

}  // namespace
}  // namespace engine::test
