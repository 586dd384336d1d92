// What the marker beside a backing says of the data that only the cache has, for who loses that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "tests/engine/cache/write_back_kit.h"

namespace engine::test {
namespace {

using Mark = BackingMark::State;
using State = WriteBackStatus::State;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t sector = 512;
constexpr WriteBackLimits patient{.most_age = std::chrono::hours(10)};

struct BacklogCase {
  explicit BacklogCase(bool journalled = false)
      : life(*pmem, disk, {}, patient, journalled ? &disk.journal : nullptr) {
    life.write_back.tick();
    life.go_on();
  }
  std::unique_ptr<SimPmem> pmem = cache_pmem(true);
  WriteBackDisk disk;
  WriteBackLife life;

  [[nodiscard]] BackingMark mark() const { return *disk.marker.mark(); }
  [[nodiscard]] std::size_t marks() const { return disk.marker.history().size(); }
  [[nodiscard]] std::uint64_t wall() const {
    return static_cast<std::uint64_t>(life.cache.clock.wall().count());
  }
  void expect_noted(std::uint64_t bytes, std::uint64_t journalled = 0) const {
    ASSERT_TRUE(mark().backlog);
    EXPECT_EQ(mark().backlog->bytes, ByteCount{bytes});
    EXPECT_EQ(mark().backlog->journalled, ByteCount{journalled});
  }
  void end() {
    for (int turn = 0; turn < 100; ++turn) {
      life.write_back.stop();
      life.go_on();
    }
  }
};

TEST(WriteBackBacklog, EachMarkSaysWhatTheBackingLacks) {
  BacklogCase of;
  EXPECT_EQ(of.mark().state, Mark::clean);
  of.expect_noted(0);
  EXPECT_EQ(of.mark().backlog->time_ms, of.wall());
  of.life.write(8, 2, 1);
  of.life.write(24, 3, 2);
  of.life.write(9, 1, 3);
  of.disk.backing.hold(true);
  of.life.cache.clock.advance(seconds(3));
  of.life.write_back_all();
  ASSERT_EQ(of.mark().state, Mark::in_progress);
  of.expect_noted(6 * sector);  // newer over older counted twice
  EXPECT_EQ(of.mark().backlog->time_ms, of.wall());
  of.life.write_back.set_draining(false);
  of.life.write(40, 4, 4);
  of.life.let_go();
  ASSERT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 3U);
  of.expect_noted(4 * sector);
}

TEST(WriteBackBacklog, WithoutABatchItIsSaidOnceAMinute) {
  BacklogCase of;
  const std::size_t before = of.marks();
  of.life.write(8, 2, 1);
  of.life.later(seconds(59));
  EXPECT_EQ(of.marks(), before);
  of.life.later(seconds(2));
  EXPECT_EQ(of.marks(), before + 1);
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 0U) << "nothing else is said than before";
  of.expect_noted(2 * sector);
  EXPECT_EQ(of.mark().backlog->time_ms, of.wall());
  of.life.later(minutes(5));
  EXPECT_EQ(of.marks(), before + 1) << "nothing has changed";
  of.life.write(24, 1, 2);
  of.life.later(seconds(1));
  EXPECT_EQ(of.marks(), before + 2);
  of.expect_noted(3 * sector);
  of.life.write(25, 1, 2);
  of.life.later(seconds(30));
  EXPECT_EQ(of.marks(), before + 2);
  EXPECT_EQ(of.life.tails().dirty_tail, 0U);
}

TEST(WriteBackBacklog, AtTheEndItIsSaidForTheLastTime) {
  BacklogCase of;
  of.life.write(8, 2, 1);
  of.disk.marker.hold(true);
  of.life.write_back.stop();
  ASSERT_TRUE(of.disk.marker.is_held());
  EXPECT_FALSE(of.life.write_back.is_quiet());
  of.disk.marker.hold(false);
  of.disk.marker.release();
  of.life.go_on();
  EXPECT_TRUE(of.life.write_back.is_quiet());
  of.expect_noted(2 * sector);
  const std::size_t marks = of.marks();
  of.end();
  EXPECT_EQ(of.marks(), marks);
}

TEST(WriteBackBacklog, AtTheEndOfABatchThatWasUnderWayToo) {
  BacklogCase of;
  of.life.write(8, 2, 1);
  of.disk.backing.hold(true);
  of.life.write_back_all();
  of.life.write_back.set_draining(false);
  of.life.write_back.stop();
  of.life.write(24, 3, 2);
  of.life.let_go();
  of.end();
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 1U);
  of.expect_noted(3 * sector);
}

// A disk that has no room for it keeps nobody from ending.
TEST(WriteBackBacklog, AFailureToSayItIsNoTrouble) {
  BacklogCase of;
  of.life.write(8, 2, 1);
  of.disk.marker.fail(IoStatus::media_error);
  of.life.later(minutes(2));
  EXPECT_EQ(of.life.write_back.status().state, State::idle);
  EXPECT_EQ(of.life.write_back.status().error, "");
  of.end();
  EXPECT_TRUE(of.life.write_back.is_quiet());
  of.expect_noted(0);
}

TEST(WriteBackBacklog, WhatStopsABatchDoesNotStopThis) {
  BacklogCase of;
  of.life.write(8, 8, 1);
  flip_bit(*of.pmem, of.life.place_of(8));
  of.life.write_back_all();
  ASSERT_EQ(of.life.write_back.status().state, State::stopped);
  of.life.write(24, 8, 2);
  bool is_noted = false;
  for (int second = 0; second < 300 && !is_noted; ++second) {
    of.life.later(seconds(1));
    is_noted = of.mark().backlog->bytes == ByteCount{16 * sector};
  }
  EXPECT_TRUE(is_noted);
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 0U);
}

// What another cache has left there is not this one's to speak of.
TEST(WriteBackBacklog, NothingIsAddedToAnotherCachesMark) {
  const auto pmem = cache_pmem(true);
  WriteBackDisk disk;
  WriteBackLife life(*pmem, disk, {}, patient);
  disk.marker.fail(IoStatus::media_error);
  life.write_back.tick();
  life.go_on();
  life.write(8, 2, 1);
  life.later(minutes(2));
  disk.marker.fail(IoStatus::ok);
  life.write_back.stop();
  life.go_on();
  for (const BackingMark& mark : disk.marker.history()) {
    EXPECT_EQ(mark.cache, life.cache.device->uuid());
  }
}

TEST(WriteBackBacklog, WhatTheJournalHasIsSaidApart) {
  BacklogCase of(/*journalled=*/true);
  of.life.write(8, 2, 1);
  of.disk.journal.hold(true);
  of.life.write_back_all();
  of.life.write_back.set_draining(false);
  of.life.write(24, 3, 2);  // behind the batch
  of.disk.backing.hold(true);
  of.disk.journal.hold(false);
  for (int step = 0; step < 2; ++step) {
    of.disk.journal.release();
    of.life.go_on();
  }
  ASSERT_EQ(of.mark().state, Mark::journalled);
  of.expect_noted(5 * sector, 2 * sector);
  of.life.let_go();
  ASSERT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 1U);
  of.expect_noted(3 * sector);
}

// Its batch cannot get on; what comes meanwhile is said beside the journal that counts still.
TEST(WriteBackBacklog, AJournalThatStandsKeepsItsPart) {
  BacklogCase of(/*journalled=*/true);
  of.life.write(8, 2, 1);
  of.disk.backing.fail_nth(1, IoStatus::media_error);
  of.life.write_back_all();
  ASSERT_EQ(of.life.write_back.status().state, State::backing_off);
  ASSERT_EQ(of.mark().state, Mark::journalled);
  const JournalPlace place = of.mark().journal;
  of.life.write(24, 3, 2);
  of.end();
  EXPECT_EQ(of.mark().state, Mark::journalled);
  EXPECT_EQ(of.mark().journal, place);
  of.expect_noted(5 * sector, 2 * sector);
}

}  // namespace
}  // namespace engine::test
