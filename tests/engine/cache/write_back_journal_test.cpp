// Write-back with a journal: what is there before what, so that what the marker says can be had at
// every moment without the cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/write_back_kit.h"

namespace engine::test {
namespace {

using Mark = BackingMark::State;
using State = WriteBackStatus::State;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

struct JournalCase {
  std::unique_ptr<SimPmem> pmem = cache_pmem(true);
  WriteBackDisk disk;
  WriteBackLife life{*pmem, disk, {}, {}, &disk.journal};

  [[nodiscard]] BackingMark mark() const { return *disk.marker.mark(); }
  void let_marker_go() {
    disk.marker.hold(false);
    if (disk.marker.is_held()) disk.marker.release();
    life.go_on();
  }
};

TEST(WriteBackJournal, EachStepWaitsForTheOneBefore) {
  JournalCase of;
  of.life.write_back_all();
  of.disk.journal.hold(true);
  of.disk.marker.hold(true);
  of.disk.backing.hold(true);
  of.life.write(8, 1, 1);
  of.life.write(24, 1, 2);
  of.life.write_back_all();
  EXPECT_EQ(of.disk.journal.held(), 1U) << "one frame, and no sync before it has ended";
  EXPECT_FALSE(of.disk.marker.is_held());
  of.disk.journal.release();
  of.life.go_on();
  EXPECT_EQ(of.disk.journal.frames().size(), 1U);
  EXPECT_EQ(of.disk.journal.held(), 1U) << "the sync";
  EXPECT_FALSE(of.disk.marker.is_held());
  of.disk.journal.release();
  of.life.go_on();
  EXPECT_EQ(of.disk.journal.syncs(), 1U);
  ASSERT_TRUE(of.disk.marker.is_held());
  EXPECT_EQ(of.life.tails().writeback_target, 2U);
  EXPECT_EQ(of.disk.backing.held(), 0U);

  of.let_marker_go();
  EXPECT_EQ(of.mark().state, Mark::journalled);
  EXPECT_EQ(of.mark().from, 0U);
  EXPECT_EQ(of.mark().to, 2U);
  EXPECT_EQ(of.mark().journal, (JournalPlace{.offset = {}, .bytes = 8_KiB, .epoch = 1}));
  EXPECT_EQ(of.disk.backing.held(), 2U);
  of.life.let_go();
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 2U);
  EXPECT_EQ(of.life.tails().dirty_tail, 2U);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_EQ(of.life.write_back.status().state, State::idle);
}

// Who goes around the cache does so when D is at the end of the log.
TEST(WriteBackJournal, NothingCountsAnyMoreWhenOthersMayWrite) {
  JournalCase of;
  of.life.write_back_all();
  of.disk.backing.hold(true);
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  ASSERT_EQ(of.mark().state, Mark::journalled);
  of.disk.marker.hold(true);
  of.life.let_go();
  EXPECT_EQ(of.mark().state, Mark::journalled);
  EXPECT_EQ(of.life.tails().dirty_tail, 0U);
  EXPECT_FALSE(of.life.cache.volume->commit().is_backing_current());
  EXPECT_FALSE(of.life.write_back.is_quiet());
  of.let_marker_go();
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_TRUE(of.life.cache.volume->commit().is_backing_current());
  EXPECT_TRUE(of.life.write_back.is_quiet());
}

TEST(WriteBackJournal, FramesHoldTheBatchInAddressOrder) {
  JournalCase of;
  of.life.write(64, 16, 2);
  of.life.zero(8, 3);
  of.life.write(9, 1, 3);
  of.life.write_back_all();
  const auto& frames = of.disk.journal.frames();
  ASSERT_EQ(frames.size(), 3U) << "8 KiB each, of which the head is 4 KiB";
  using Kind = JournalPiece::Kind;
  const auto piece = [](Kind kind, std::uint64_t sector, std::uint64_t sectors) {
    return JournalPiece{.kind = kind, .offset = {sector * 512}, .length = {sectors * 512}};
  };
  EXPECT_THAT(frames[0].pieces, ElementsAre(piece(Kind::zeros, 8, 1), piece(Kind::data, 9, 1),
                                            piece(Kind::zeros, 10, 1), piece(Kind::data, 64, 7)));
  EXPECT_THAT(frames[1].pieces, ElementsAre(piece(Kind::data, 71, 8)));
  EXPECT_THAT(frames[2].pieces, ElementsAre(piece(Kind::data, 79, 1)));
  EXPECT_EQ(frames[0].data.size(), 4096U);
  EXPECT_EQ(frames[0].data[0], std::byte{3});
  EXPECT_EQ(frames[0].data[512], std::byte{2});
  EXPECT_EQ(frames[2].data.size(), 4096U);
  EXPECT_EQ(frames[2].data[0], std::byte{2});
  EXPECT_EQ(frames[2].data[512], std::byte{0}) << "nothing of the frame before";
  for (std::uint32_t number = 0; number < 3; ++number) {
    EXPECT_EQ(frames[number].frame.number, number);
    EXPECT_EQ(frames[number].frame.count, 3U);
    EXPECT_EQ(frames[number].place, MediaOffset{number * 8192});
    EXPECT_EQ(frames[number].frame.mark.journal.bytes, ByteCount{3 * 8192});
    EXPECT_EQ(frames[number].frame.mark.volume, uuid_of(1));
    EXPECT_EQ(frames[number].frame.mark.cache, of.life.cache.device->uuid());
  }
}

TEST(WriteBackJournal, ABatchOfZerosHasNoData) {
  JournalCase of;
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  of.disk.journal.forget();
  of.life.zero(8, 1);
  of.life.write_back_all();
  ASSERT_EQ(of.disk.journal.frames().size(), 1U);
  EXPECT_TRUE(of.disk.journal.frames()[0].data.empty());
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(0));
}

TEST(WriteBackJournal, WithoutSpaceForItNothingIsLost) {
  JournalCase of;
  of.life.write_back_all();
  const BackingMark before = of.mark();
  of.disk.journal.fail(IoStatus::capacity_exceeded);
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  const WriteBackStatus status = of.life.write_back.status();
  EXPECT_EQ(status.state, State::backing_off);
  EXPECT_EQ(status.error, "the journal beside the backing (no space on its pool)");
  EXPECT_FALSE(status.backing_mixed);
  EXPECT_EQ(of.mark(), before);
  EXPECT_EQ(of.life.cache.read(8, 1), std::vector<int>{1});
  EXPECT_EQ(of.disk.backing.disk().unsynced_sectors(), 0U);
  of.disk.journal.fail(IoStatus::ok);
  of.life.later(seconds(1));
  EXPECT_EQ(of.life.write_back.status().error, "");
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
}

TEST(WriteBackJournal, WithoutMemoryForItNothingIsLost) {
  JournalCase of;
  std::vector<BufferLease> all;
  while (auto lease = of.life.lane.buffers().lease(4_KiB)) all.push_back(std::move(*lease));
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  EXPECT_EQ(of.life.write_back.status().state, State::backing_off);
  EXPECT_THAT(of.life.write_back.status().error, HasSubstr("no memory"));
  all.clear();
  of.life.later(seconds(1));
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
}

// The batch that has been begun counts until the larger one does.
TEST(WriteBackJournal, AnotherTryGoesBesideWhatCounts) {
  JournalCase of;
  of.life.write_back_all();
  of.disk.backing.fail_nth(1, IoStatus::media_error);
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  ASSERT_EQ(of.life.write_back.status().state, State::backing_off);
  const BackingMark first = of.mark();
  ASSERT_EQ(first.state, Mark::journalled);
  EXPECT_EQ(of.life.write_back.status().consistent_time_ms, first.to_time_ms);
  EXPECT_FALSE(of.life.write_back.status().backing_mixed);
  of.life.write(24, 1, 2);
  of.disk.backing.hold(true);
  of.life.later(seconds(1));
  const BackingMark second = of.mark();
  ASSERT_EQ(second.state, Mark::journalled);
  EXPECT_EQ(second.from, 0U);
  EXPECT_EQ(second.to, 2U);
  EXPECT_EQ(second.journal.offset, first.journal.end());
  of.life.let_go();
  EXPECT_EQ(of.mark().state, Mark::clean);
  of.disk.journal.forget();
  of.life.write(40, 1, 3);
  of.life.write_back_all();
  ASSERT_EQ(of.disk.journal.frames().size(), 1U);
  EXPECT_EQ(of.disk.journal.frames()[0].place, MediaOffset{}) << "none counts: at the beginning";
}

// Either mark may be read then, and both must hold until one of them is certain.
TEST(WriteBackJournal, AMarkThatIsInDoubtIsWrittenAgainFirst) {
  JournalCase of;
  of.life.write_back_all();
  const BackingMark clean = of.mark();
  of.disk.marker.fail(IoStatus::media_error);
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  ASSERT_EQ(of.life.write_back.status().state, State::backing_off);
  EXPECT_THAT(of.life.write_back.status().error, HasSubstr("the marker beside the backing"));
  of.disk.journal.forget();
  of.disk.marker.fail(IoStatus::ok);
  of.disk.marker.hold(true);
  of.life.later(seconds(1));
  ASSERT_TRUE(of.disk.marker.is_held());
  EXPECT_TRUE(of.disk.journal.frames().empty()) << "what may be read still is overwritten";
  const std::size_t marks = of.disk.marker.history().size();
  of.let_marker_go();
  EXPECT_EQ(of.disk.marker.history()[marks], clean);
  EXPECT_EQ(of.mark().state, Mark::clean);
  EXPECT_EQ(of.mark().to, 1U);
}

TEST(WriteBackJournal, OneBatchIsUnderWayAtATime) {
  JournalCase of;
  of.life.write_back_all();
  of.disk.backing.hold(true);
  of.life.write(8, 1, 1);
  of.life.write_back_all();
  of.life.write(24, 1, 2);
  of.life.write_back_all();
  EXPECT_EQ(of.disk.journal.frames().size(), 1U);
  EXPECT_EQ(of.mark().to, 1U);
  of.life.let_go();
  EXPECT_EQ(of.disk.journal.frames().size(), 2U);
  EXPECT_EQ(of.mark().to, 2U);
  EXPECT_THAT(of.disk.durable(24, 1), ElementsAre(2));
}

// A life that has marked its batch journalled, and has not got further.
void end_in_a_batch(SimPmem& pmem, WriteBackDisk& disk) {
  WriteBackLife life(pmem, disk, {}, {}, &disk.journal);
  life.write(8, 1, 1);
  disk.backing.hold(true);
  life.write_back_all();
  ASSERT_EQ(disk.marker.mark()->state, Mark::journalled);
}

// What an earlier life has left half done, as a journal says or not, is covered from D on.
TEST(WriteBackJournal, AnotherLifeNeedsNoJournal) {
  const auto pmem = cache_pmem(true);
  WriteBackDisk disk;
  ASSERT_NO_FATAL_FAILURE(end_in_a_batch(*pmem, disk));
  const JournalPlace first = disk.marker.mark()->journal;
  disk.backing.hold(false);
  disk.journal.forget();
  WriteBackLife life(*pmem, disk, {}, {}, &disk.journal);
  life.write(24, 1, 2);
  life.write_back_all();
  ASSERT_FALSE(disk.journal.frames().empty());
  EXPECT_EQ(disk.journal.frames()[0].place, first.end());
  EXPECT_EQ(disk.journal.frames()[0].frame.mark.to, 2U);
  EXPECT_EQ(disk.marker.mark()->state, Mark::clean);
  EXPECT_THAT(disk.durable(8, 1), ElementsAre(1));
  EXPECT_THAT(disk.durable(24, 1), ElementsAre(2));
}

TEST(WriteBackJournal, WithoutOneTheMarkerSaysSoAgain) {
  const auto pmem = cache_pmem(true);
  WriteBackDisk disk;
  ASSERT_NO_FATAL_FAILURE(end_in_a_batch(*pmem, disk));
  disk.journal.forget();
  WriteBackLife life(*pmem, disk);
  life.write_back_all();
  EXPECT_EQ(disk.marker.mark()->state, Mark::in_progress);
  EXPECT_EQ(disk.marker.mark()->journal, JournalPlace{});
  life.let_go();
  EXPECT_EQ(disk.marker.mark()->state, Mark::clean);
  EXPECT_TRUE(disk.journal.frames().empty());
}

}  // namespace
}  // namespace engine::test
