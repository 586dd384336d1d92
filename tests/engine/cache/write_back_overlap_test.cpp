// Write-back: one batch is flushed while the next is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/write_back_kit.h"

namespace engine::test {
namespace {

using State = WriteBackStatus::State;
using testing::ElementsAre;

// Three batches of one write each; the first is written, its flush and the second's write are held,
// or the second's write has failed at once.
struct Overlap {
  enum class Second : std::uint8_t { held, failed };
  explicit Overlap(Second second = Second::held)
      : pmem(cache_pmem(true)), life(*pmem, disk, {.most_keys = 1, .most_bytes = 1_MiB}) {
    if (second == Second::failed) disk.backing.fail_nth(3, IoStatus::media_error);
    for (std::uint8_t value = 1; value <= 3; ++value) life.write(8 * value, 1, value);
    disk.backing.hold(true);
    life.write_back_all();
    EXPECT_EQ(disk.backing.held(), 1U);
    EXPECT_TRUE(disk.backing.release_oldest());
    life.go_on();
    EXPECT_EQ(disk.backing.held(), second == Second::held ? 2U : 1U);
    EXPECT_EQ(disk.backing.count(BackingIo::Kind::sync), 1U);
    EXPECT_EQ(disk.backing.count(BackingIo::Kind::write), 2U);
  }
  std::unique_ptr<SimPmem> pmem;
  WriteBackDisk disk;
  WriteBackLife life;
};

TEST(WriteBackOverlap, DMovesBehindEachFlushByItself) {
  Overlap of;
  EXPECT_EQ(of.life.tails().dirty_tail, 0U);
  EXPECT_EQ(of.life.tails().writeback_target, 2U);
  EXPECT_EQ(of.disk.marker.mark()->from, 0U);
  EXPECT_EQ(of.disk.marker.mark()->to, 2U) << "the third batch is not announced yet";
  EXPECT_TRUE(of.disk.backing.release_oldest());
  of.life.go_on();
  EXPECT_EQ(of.life.tails().dirty_tail, 1U);
  EXPECT_THAT(of.disk.durable(8, 1), ElementsAre(1));
  EXPECT_EQ(of.disk.backing.held(), 1U) << "the second batch's write";
  EXPECT_EQ(of.disk.backing.count(BackingIo::Kind::sync), 1U);
  EXPECT_TRUE(of.life.write_back.status().backing_mixed);
  of.life.let_go();
  EXPECT_EQ(of.life.tails().dirty_tail, 3U);
  EXPECT_EQ(of.disk.backing.count(BackingIo::Kind::sync), 3U);
  EXPECT_EQ(of.life.write_back.status().bytes_left, ByteCount{});
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::clean);
}

TEST(WriteBackOverlap, AFailedFlushTakesBackWhatWasBegunBehindIt) {
  Overlap of;
  of.disk.backing.fail_syncs(true);
  EXPECT_TRUE(of.disk.backing.release_oldest());
  of.life.go_on();
  EXPECT_EQ(of.disk.backing.held(), 1U);
  EXPECT_EQ(of.life.write_back.status().state, State::writing) << "a write is on its way still";
  of.life.let_go();
  EXPECT_EQ(of.life.write_back.status().state, State::backing_off);
  EXPECT_THAT(of.life.write_back.status().error, testing::HasSubstr("a flush of the backing"));
  EXPECT_EQ(of.life.tails().dirty_tail, 0U);
  of.disk.backing.crash();
  of.disk.backing.fail_syncs(false);
  of.disk.backing.reopen();
  of.life.later(std::chrono::seconds(1));
  EXPECT_EQ(of.life.tails().dirty_tail, 3U);
  for (std::uint64_t value = 1; value <= 3; ++value) {
    EXPECT_THAT(of.disk.durable(8 * value, 1), ElementsAre(value));
  }
}

TEST(WriteBackOverlap, AFailedWriteWaitsForTheFlushBeforeIt) {
  Overlap of(Overlap::Second::failed);
  EXPECT_EQ(of.life.write_back.status().state, State::writing);
  of.life.let_go();
  EXPECT_EQ(of.life.tails().dirty_tail, 1U) << "what was flushed";
  EXPECT_EQ(of.life.write_back.status().state, State::backing_off);
  EXPECT_THAT(of.life.write_back.status().error, testing::HasSubstr("a write to the backing"));
  EXPECT_EQ(of.life.write_back.status().bytes_left, ByteCount{1024});
}

TEST(WriteBackOverlap, StoppedBothAreEndedAndNoThirdIsBegun) {
  Overlap of;
  of.life.write_back.stop();
  EXPECT_FALSE(of.life.write_back.is_quiet());
  of.life.let_go();
  EXPECT_TRUE(of.life.write_back.is_quiet());
  EXPECT_EQ(of.life.tails().dirty_tail, 2U);
  EXPECT_EQ(of.disk.marker.mark()->state, BackingMark::State::clean);
}

}  // namespace
}  // namespace engine::test
