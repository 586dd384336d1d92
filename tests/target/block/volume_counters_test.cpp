#include "target/block/volume_counters.h"

#include <gtest/gtest.h>

#include "target/block/block_volume.h"
#include "tests/sim/sim_clock.h"
#include "tests/target/block/keeping_volume.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::block {
namespace {

constexpr std::size_t place(CommandOutcome outcome) { return static_cast<std::size_t>(outcome); }

class VolumeCountersTest : public testing::Test {
 protected:
  VolumeCountersTest() { EXPECT_TRUE(reactor.attach()); }
  ~VolumeCountersTest() override { reactor.detach(); }

  VolumeCounts after(const AnsweredCommand& command) {
    VolumeCounters counters;
    counters.began();
    EXPECT_EQ(counters.counts().in_flight(), 1U);
    if (auto* const whole = counters.answered(command)) {
      reactor.count_at_turn_end({.whole = whole, .began = command.began});
    }
    reactor.run_turn();
    const VolumeCounts counts = counters.counts();
    EXPECT_EQ(counts.in_flight(), 0U);
    return counts;
  }

  SimClock clock;
  engine::MemoryBudget budget{engine::ByteCount{1U << 20}};
  Reactor reactor{
      {.longest_poll = {}},
      [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
        return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget));
      },
      clock};
};

TEST_F(VolumeCountersTest, WhatSucceedsCountsWithItsBytes) {
  const VolumeCounts read = after({.kind = CommandKind::read, .bytes = 4096, .began = {}});
  EXPECT_EQ(read.reads.count(), 1U);
  EXPECT_EQ(read.read_bytes, 4096U);
  EXPECT_EQ(read.writes.count() + read.others + read.written_bytes, 0U);
  const VolumeCounts write = after({.kind = CommandKind::write, .bytes = 512, .began = {}});
  EXPECT_EQ(write.writes.count(), 1U);
  EXPECT_EQ(write.written_bytes, 512U);
  EXPECT_EQ(after({.kind = CommandKind::other, .bytes = 512, .began = {}}).others, 1U);
}

TEST_F(VolumeCountersTest, WhatFailsCountsByWhyAndWithoutBytes) {
  for (const CommandOutcome outcome : {CommandOutcome::media, CommandOutcome::unavailable,
                                       CommandOutcome::refused, CommandOutcome::capacity}) {
    const VolumeCounts counts =
        after({.kind = CommandKind::write, .outcome = outcome, .bytes = 4096, .began = {}});
    EXPECT_EQ(counts.writes.count(), 1U);
    EXPECT_EQ(counts.write_errors[place(outcome)], 1U);
    EXPECT_EQ(counts.written_bytes, 0U);
  }
}

TEST_F(VolumeCountersTest, WhatIsAbortedIsNeitherAReadNorAWrite) {
  const VolumeCounts counts = after(
      {.kind = CommandKind::read, .outcome = CommandOutcome::aborted, .bytes = 4096, .began = {}});
  EXPECT_EQ(counts.aborted, 1U);
  EXPECT_EQ(counts.reads.count() + counts.read_bytes, 0U);
}

TEST_F(VolumeCountersTest, ACommandThatMovesToAnotherVolumeIsThatOnes) {
  KeepingVolume first_volume;
  KeepingVolume second_volume;
  BlockVolume first(first_volume);
  BlockVolume second(second_volume);
  BlockVolume* of = nullptr;
  begin_command(of, &first, reactor);
  begin_command(of, &first, reactor);
  EXPECT_EQ(first.counts().in_flight(), 1U);
  begin_command(of, &second, reactor);
  EXPECT_EQ(first.counts().in_flight(), 0U);
  EXPECT_EQ(second.counts().in_flight(), 1U);
  of->counters(reactor).dropped();
  EXPECT_EQ(second.counts().in_flight(), 0U);
  EXPECT_EQ(second.counts().aborted, 1U);
}

TEST_F(VolumeCountersTest, ReactorsAreAddedUpAndUnknownOnesCountedToo) {
  KeepingVolume volume;
  BlockVolume all(volume, 2);
  Reactor second({.number = 1}, nullptr, clock);
  Reactor unknown({.number = 7}, nullptr, clock);
  all.counters(reactor).began();
  all.counters(second).began();
  all.counters(unknown).began();
  EXPECT_NE(&all.counters(reactor), &all.counters(second));
  EXPECT_EQ(all.counts().in_flight(), 3U);
}

}  // namespace
}  // namespace target::block
