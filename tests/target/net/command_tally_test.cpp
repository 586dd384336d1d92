#include "target/net/command_tally.h"

#include <gtest/gtest.h>

#include "tests/sim/sim_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using namespace std::chrono_literals;
using block::CommandKind;

class CommandTallyTest : public testing::Test {
 protected:
  CommandTallyTest() {
    EXPECT_TRUE(reactor.attach());
    tally.count_for(host);
  }
  ~CommandTallyTest() override { reactor.detach(); }

  template <class F>
  void in_a_turn(F&& function) {
    reactor.post(function);
    reactor.run_turn();
  }
  void answer(block::VolumeCounters& volume, CommandKind kind, engine::Instant began,
              std::uint64_t bytes) {
    (void)volume.begun().add();
    tally.add(volume, kind, began, bytes);
  }

  SimClock clock;
  engine::MemoryBudget budget{engine::ByteCount{1U << 20}};
  Reactor reactor{
      {.longest_poll = {}},
      [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
        return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget));
      },
      clock};
  block::VolumeCounters first;
  block::VolumeCounters second;
  HostCounters host;
  CommandTally tally{reactor};
};

TEST_F(CommandTallyTest, EveryCommandIsCountedWithItsBytesAndTime) {
  in_a_turn([this] {
    const engine::Instant began = reactor.now();
    for (int i = 0; i < 5; ++i) {
      answer(first, CommandKind::read, began, 4096);
      answer(first, CommandKind::write, began, 512);
    }
    answer(first, CommandKind::other, began, 0);
    clock.advance(300us);
    EXPECT_EQ(first.counts().in_flight(), 11U) << "they are sent when the turn ends";
  });
  const block::VolumeCounts counts = first.counts();
  EXPECT_EQ(counts.reads.count(), 5U);
  EXPECT_EQ(counts.reads.counts[3], 5U);
  EXPECT_EQ(counts.reads.sum_ns, 1'500'000U);
  EXPECT_EQ(counts.read_bytes, 5U * 4096);
  EXPECT_EQ(counts.writes.count(), 5U);
  EXPECT_EQ(counts.written_bytes, 5U * 512);
  EXPECT_EQ(counts.others, 1U);
  EXPECT_EQ(counts.in_flight(), 0U);
  EXPECT_EQ(host.read_commands, 5U);
  EXPECT_EQ(host.bytes_written, 5U * 512);
}

TEST_F(CommandTallyTest, WhatBeganInAnotherTurnHasALatencyOfItsOwn) {
  const engine::Instant earlier = clock.now();
  clock.advance(1ms);
  in_a_turn([this, earlier] {
    answer(first, CommandKind::read, earlier, 1);
    answer(first, CommandKind::read, reactor.now(), 2);
    answer(first, CommandKind::read, earlier, 4);
    clock.advance(60us);
  });
  const block::VolumeCounts counts = first.counts();
  EXPECT_EQ(counts.reads.counts[1], 1U);
  EXPECT_EQ(counts.reads.counts[5], 2U);
  EXPECT_EQ(counts.reads.sum_ns, 2U * 1'060'000 + 60'000);
  EXPECT_EQ(counts.read_bytes, 7U);
  EXPECT_EQ(host.read_commands, 3U);
}

TEST_F(CommandTallyTest, VolumesAreKeptApart) {
  in_a_turn([this] {
    for (int i = 0; i < 300; ++i) {  // more than a turn keeps until its end
      answer(i % 3 == 0 ? first : second, CommandKind::write, reactor.now(), 512);
    }
  });
  EXPECT_EQ(first.counts().writes.count(), 100U);
  EXPECT_EQ(second.counts().writes.count(), 200U);
  EXPECT_EQ(second.counts().written_bytes, 200U * 512);
  EXPECT_EQ(host.write_commands, 300U);
}

TEST_F(CommandTallyTest, OnlyWhatBeganInTheSameRunIsAlike) {
  const auto began_for = [this](block::VolumeCounters& volume) {
    reactor.begin_run(&volume, volume.begun());
    return reactor.command_run().began;
  };
  in_a_turn([&] {
    const engine::Instant run = began_for(first);
    const engine::Instant other = began_for(second);
    EXPECT_NE(run, other) << "of another volume, in the same turn";
    EXPECT_FALSE(tally.add_alike(CommandKind::read, run, 1)) << "the first";
    tally.add(first, CommandKind::read, run, 1);
    EXPECT_TRUE(tally.add_alike(CommandKind::read, run, 2));
    EXPECT_FALSE(tally.add_alike(CommandKind::write, run, 4)) << "of another kind";
    EXPECT_FALSE(tally.add_alike(CommandKind::read, other, 4));
    tally.add(second, CommandKind::read, other, 4);
    EXPECT_FALSE(tally.add_alike(CommandKind::read, run, 8)) << "not any more";
    tally.settle();
    EXPECT_FALSE(tally.add_alike(CommandKind::read, other, 8)) << "of nothing";
  });
  EXPECT_EQ(first.counts().reads.count(), 2U);
  EXPECT_EQ(first.counts().read_bytes, 3U);
  EXPECT_EQ(second.counts().read_bytes, 4U);
}

// A connection ends within its turn; its last commands have their latency all the same.
TEST_F(CommandTallyTest, ItsOwnerIsToldBeforeItEndsAndNothingTwice) {
  in_a_turn([this] {
    answer(first, CommandKind::read, reactor.now(), 4096);
    tally.settle();
    EXPECT_EQ(host.read_commands, 1U);
    clock.advance(300us);
  });
  in_a_turn([this] { answer(first, CommandKind::read, reactor.now(), 4096); });
  EXPECT_EQ(first.counts().reads.count(), 2U);
  EXPECT_EQ(first.counts().reads.counts[3], 1U);
  EXPECT_EQ(host.read_commands, 2U);
  EXPECT_EQ(host.bytes_read, 2U * 4096);
}

}  // namespace
}  // namespace target
