#include "target/net/command_tally.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/sim/sim_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using namespace std::chrono_literals;
using block::CommandKind;

// What the host of the connection is told.
struct HostTold final : CommandTally::Owner {
  struct Sum {
    std::uint64_t commands = 0;
    std::uint64_t bytes = 0;
  };
  void count_for_host(CommandKind kind, std::uint64_t commands, std::uint64_t bytes) override {
    Sum& sum = sums[static_cast<std::size_t>(kind)];
    sum.commands += commands;
    sum.bytes += bytes;
  }
  [[nodiscard]] const Sum& of(CommandKind kind) const {
    return sums[static_cast<std::size_t>(kind)];
  }
  std::array<Sum, block::command_kinds> sums;
};

class CommandTallyTest : public testing::Test {
 protected:
  CommandTallyTest() { EXPECT_TRUE(reactor.attach()); }
  ~CommandTallyTest() override { reactor.detach(); }

  template <class F>
  void in_a_turn(F&& function) {
    reactor.post(function);
    reactor.run_turn();
  }
  void answer(block::VolumeCounters& volume, CommandKind kind, engine::Instant began,
              std::uint64_t bytes) {
    (void)volume.began();
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
  HostTold host;
  CommandTally tally{reactor, host};
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
  EXPECT_EQ(host.of(CommandKind::read).commands, 5U);
  EXPECT_EQ(host.of(CommandKind::write).bytes, 5U * 512);
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
  EXPECT_EQ(host.of(CommandKind::read).commands, 3U);
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
  EXPECT_EQ(host.of(CommandKind::write).commands, 300U);
}

// A connection ends within its turn; its last commands have their latency all the same.
TEST_F(CommandTallyTest, ItsOwnerIsToldBeforeItEndsAndNothingTwice) {
  in_a_turn([this] {
    answer(first, CommandKind::read, reactor.now(), 4096);
    tally.settle();
    EXPECT_EQ(host.of(CommandKind::read).commands, 1U);
    clock.advance(300us);
  });
  in_a_turn([this] { answer(first, CommandKind::read, reactor.now(), 4096); });
  EXPECT_EQ(first.counts().reads.count(), 2U);
  EXPECT_EQ(first.counts().reads.counts[3], 1U);
  EXPECT_EQ(host.of(CommandKind::read).commands, 2U);
  EXPECT_EQ(host.of(CommandKind::read).bytes, 2U * 4096);
}

}  // namespace
}  // namespace target
