// Write-back of what the cache itself has lost, once somebody has written down that it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/media/loss_record.h"
#include "tests/engine/cache/write_back_kit.h"

namespace engine::test {
namespace {

using std::chrono::seconds;
using testing::Each;
using testing::ElementsAre;
using State = WriteBackStatus::State;

class Losses final : public LossRecord {
 public:
  [[nodiscard]] bool holds(MediaOffset offset, ByteCount length) override {
    ++asked;
    return std::ranges::any_of(ranges, [&](const SectorRange& range) {
      return range.begin.value * 512 <= offset.value &&
             offset.value + length.value <= range.end().value * 512;
    });
  }
  void add(MediaOffset offset, ByteCount length, Asker /*asker*/, Done done) override {
    ranges.push_back({{offset.value / 512}, {length.value / 512}});
    done(success());
  }
  [[nodiscard]] std::vector<Lost> listed() const override { return {}; }
  void count_lost_read() override { ++reads; }
  std::vector<SectorRange> ranges;
  int asked = 0;
  int reads = 0;
};

class WriteBackLost : public testing::Test {
 protected:
  WriteBackLost() { disk.backing.keep_losses(&losses); }
  void give_up(WriteBackLife& life) {
    const SectorRange range = life.write_back.status().trouble.value().range;
    losses.add({range.begin.value * 512}, {range.count.value * 512}, LossRecord::Asker::cache,
               [](const auto&) {});
    life.write_back.look_again();
    life.go_on();
  }

  std::unique_ptr<SimPmem> pmem = cache_pmem(true);
  WriteBackDisk disk;
  Losses losses;
};

TEST_F(WriteBackLost, ExactlyWhatIsLostIsLeftOut) {
  WriteBackLife life(*pmem, disk);
  life.write(8, 24, 1);
  life.write(40, 1, 2);
  flip_bit(*pmem, life.place_of(20));
  life.write_back_all();
  ASSERT_EQ(life.write_back.status().state, State::stopped);
  EXPECT_EQ(life.write_back.status().trouble->range, (SectorRange{{16}, {8}})) << "no more";
  give_up(life);
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_FALSE(life.write_back.status().trouble);
  EXPECT_EQ(life.tails().dirty_tail, 2U);
  EXPECT_THAT(disk.durable(8, 8), Each(1));
  EXPECT_THAT(disk.durable(16, 8), Each(0));
  EXPECT_THAT(disk.durable(24, 8), Each(1));
  EXPECT_THAT(disk.durable(40, 1), ElementsAre(2));
  EXPECT_EQ(life.dirty_sectors(), 0U);
  EXPECT_THAT(life.cache.read(16, 8), Each(-2))
      << "the backing is asked, which says that it is lost";
}

TEST_F(WriteBackLost, EachPieceIsGivenUpByItself) {
  WriteBackLife life(*pmem, disk);
  life.write(8, 24, 1);
  flip_bit(*pmem, life.place_of(8));
  flip_bit(*pmem, life.place_of(24));
  life.write_back_all();
  give_up(life);
  ASSERT_EQ(life.write_back.status().state, State::stopped);
  EXPECT_EQ(life.write_back.status().trouble->range, (SectorRange{{24}, {8}}));
  EXPECT_THAT(disk.durable(16, 8), Each(0));
  give_up(life);
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_THAT(disk.durable(16, 8), Each(1));
}

TEST_F(WriteBackLost, WithoutAListNothingIsLeftOut) {
  disk.backing.keep_losses(nullptr);
  WriteBackLife life(*pmem, disk);
  life.write(8, 8, 1);
  flip_bit(*pmem, life.place_of(8));
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::stopped);
  life.write_back.look_again();
  life.go_on();
  EXPECT_EQ(life.write_back.status().state, State::stopped);
  EXPECT_EQ(life.tails().dirty_tail, 0U);
}

TEST_F(WriteBackLost, TheNextLifeGoesOnWithWhatWasWrittenDown) {
  {
    WriteBackLife life(*pmem, disk);
    life.write(8, 8, 1);
    life.write(16, 8, 2);
    flip_bit(*pmem, life.place_of(8));
    life.write_back_all();
    losses.add({8 * 512}, {8 * 512}, LossRecord::Asker::cache, [](const auto&) {});
  }
  WriteBackLife life(*pmem, disk);
  EXPECT_THAT(life.cache.read(8, 8), Each(-3)) << "nobody else has it";
  life.write_back_all();
  EXPECT_EQ(life.write_back.status().state, State::idle);
  EXPECT_THAT(disk.durable(16, 8), Each(2));
}

// While one batch brings something to a lost place, the next one, which has been prepared already,
// finds the newer write of that place unreadable: when the first is through, it is not lost any
// more, and would read as the older write.
TEST_F(WriteBackLost, WhatIsNotLostAnyMoreIsNotLeftOut) {
  losses.ranges.push_back({{8}, {8}});
  WriteBackLife life(*pmem, disk, {.most_keys = 1, .most_bytes = 1_MiB});
  life.write(8, 8, 1);
  life.write(8, 8, 2);
  flip_bit(*pmem, life.place_of(8));
  disk.backing.hold(true);
  life.write_back_all();
  EXPECT_GT(losses.asked, 0) << "the second batch is prepared";
  ASSERT_EQ(disk.backing.held(), 1U);
  losses.ranges.clear();  // what the first batch's flush does
  life.let_go();
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  life.later(seconds(1));
  EXPECT_EQ(life.tails().dirty_tail, 1U);
  EXPECT_EQ(life.write_back.status().state, State::stopped);
  EXPECT_EQ(life.write_back.status().trouble->sequence, 2U);
  give_up(life);
  EXPECT_EQ(life.tails().dirty_tail, 2U);
}

}  // namespace
}  // namespace engine::test
