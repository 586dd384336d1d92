#include "target/block/volume_counters.h"

#include <gtest/gtest.h>

#include <array>

#include "target/block/volume_request.h"
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

  // One command, that began and failed in the same turn.
  VolumeCounts after_failure(CommandKind kind, CommandOutcome outcome) {
    VolumeCounters counters;
    (void)counters.begun().add();
    EXPECT_EQ(counters.counts().in_flight(), 1U);
    if (counters.failed(kind, outcome)) {
      reactor.count_at_turn_end(counters.of(kind).latencies, reactor.now());
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

TEST_F(VolumeCountersTest, WhatFailsCountsByWhyAndWithoutBytes) {
  for (const CommandOutcome outcome : {CommandOutcome::media, CommandOutcome::unavailable,
                                       CommandOutcome::refused, CommandOutcome::capacity}) {
    const VolumeCounts counts = after_failure(CommandKind::write, outcome);
    EXPECT_EQ(counts.writes.count(), 1U);
    EXPECT_EQ(counts.write_errors[place(outcome)], 1U);
    EXPECT_EQ(counts.written_bytes, 0U);
  }
}

TEST_F(VolumeCountersTest, WhatIsAbortedIsNeitherAReadNorAWrite) {
  const VolumeCounts counts = after_failure(CommandKind::read, CommandOutcome::aborted);
  EXPECT_EQ(counts.aborted, 1U);
  EXPECT_EQ(counts.reads.count() + counts.read_bytes, 0U);
}

TEST_F(VolumeCountersTest, ACommandThatMovesToAnotherVolumeIsThatOnes) {
  KeepingVolume first_volume;
  KeepingVolume second_volume;
  BlockVolume first(first_volume);
  BlockVolume second(second_volume);
  VolumeRequest request;
  begin_command(request, first, reactor);
  begin_command(request, first, reactor);
  EXPECT_EQ(first.counts().in_flight(), 1U);
  begin_command(request, second, reactor);
  EXPECT_EQ(first.counts().in_flight(), 0U);
  EXPECT_EQ(second.counts().in_flight(), 1U);
  second.counters(reactor).dropped();
  EXPECT_EQ(second.counts().in_flight(), 0U);
  EXPECT_EQ(second.counts().aborted, 1U);
}

TEST_F(VolumeCountersTest, ReactorsAreAddedUpAndUnknownOnesCountedToo) {
  KeepingVolume volume;
  BlockVolume all(volume, 2);
  Reactor second({.number = 1}, nullptr, clock);
  Reactor unknown({.number = 7}, nullptr, clock);
  (void)all.counters(reactor).begun().add();
  (void)all.counters(second).begun().add();
  (void)all.counters(unknown).begun().add();
  EXPECT_NE(&all.counters(reactor), &all.counters(second));
  EXPECT_EQ(all.counts().in_flight(), 3U);
}

TEST_F(VolumeCountersTest, WhenACommandBeganTellsItsVolumeAndItsTurn) {
  KeepingVolume kept;
  BlockVolume first(kept);
  BlockVolume second(kept);
  std::array<VolumeRequest, 5> requests;
  begin_command(requests[0], first, reactor);  // timed: so it is like no other
  begin_command(requests[1], first, reactor);
  begin_command(requests[2], first, reactor);
  (void)second.counters(reactor).begun().add();
  begin_command(requests[3], second, reactor);
  EXPECT_NE(requests[0].started, requests[1].started);
  EXPECT_EQ(began(requests[0]), began(requests[1]));
  EXPECT_EQ(requests[1].started, requests[2].started);
  EXPECT_NE(requests[2].started, requests[3].started);
  reactor.run_turn();
  begin_command(requests[4], second, reactor);
  EXPECT_NE(requests[4].started, requests[3].started) << "although no time has passed";
}

// How many of so many commands at one reactor are timed, and how many of them for the reactor too.
struct HowManyTimed {
  std::uint32_t all = 0;
  std::uint32_t for_reactor = 0;
};
HowManyTimed timed_of(BlockVolume& volume, Reactor& reactor, std::uint32_t commands) {
  HowManyTimed timed;
  for (std::uint32_t i = 0; i < commands; ++i) {
    VolumeRequest request;
    begin_command(request, volume, reactor);
    if (!request.io.is_timed) continue;
    ++timed.all;
    timed.for_reactor += request.is_timed_for_reactor ? 1 : 0;
  }
  return timed;
}

TEST_F(VolumeCountersTest, TheFirstOfItsCommandsAndSomeOfTheOthersAreTimed) {
  KeepingVolume kept;
  BlockVolume volume(kept);
  EXPECT_EQ(timed_of(volume, reactor, 1).all, 1U);
  const HowManyTimed rest = timed_of(volume, reactor, 10 * commands_for_one_timed);
  EXPECT_EQ(rest.all, 10U);
  EXPECT_EQ(rest.for_reactor, 10U);
}

TEST_F(VolumeCountersTest, AllCommandsOfANamedVolumeAreTimedAndAsManyForTheReactorAsOfOthers) {
  KeepingVolume kept;
  BlockVolume volume(kept);
  volume.tell_stages(true);
  const HowManyTimed named = timed_of(volume, reactor, 10 * commands_for_one_timed);
  EXPECT_EQ(named.all, 10 * commands_for_one_timed);
  EXPECT_EQ(named.for_reactor, 10U);
  volume.tell_stages(false);
  EXPECT_EQ(timed_of(volume, reactor, 1).all, 1U) << "what was decided before";
  EXPECT_EQ(timed_of(volume, reactor, 10 * commands_for_one_timed).all, 10U);
}

}  // namespace
}  // namespace target::block
