#include "target/reactor/latency_counters.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "target/reactor/reactor.h"
#include "tests/sim/sim_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using namespace std::chrono_literals;

TEST(LatencyCounters, ABoundBelongsToTheBucketBelowIt) {
  struct Case {
    engine::Duration took;
    std::size_t bucket;
  };
  for (const auto& [took, bucket] : {Case{0ns, 0}, Case{50us, 0}, Case{50us + 1ns, 1}, Case{1ms, 4},
                                     Case{2500ms, 10}, Case{2501ms, 11}, Case{1h, 11}}) {
    LatencyCounters counters;
    counters.add(took);
    const LatencyCounts counts = counters.counts();
    EXPECT_EQ(counts.count(), 1U);
    EXPECT_EQ(counts.counts[bucket], 1U) << took.count();
    EXPECT_EQ(counts.sum_ns, static_cast<std::uint64_t>(took.count()));
  }
}

TEST(LatencyCounters, EveryTimeIsInTheBucketThatItsBoundsSay) {
  const auto counted_one_by_one = [](std::int64_t nanoseconds) {
    std::size_t bucket = 0;
    for (const std::int64_t bound : LatencyCounts::bounds_ns) bucket += nanoseconds > bound ? 1 : 0;
    return bucket;
  };
  std::vector<std::int64_t> times{0, 1, std::numeric_limits<std::int64_t>::max()};
  for (const std::int64_t bound : LatencyCounts::bounds_ns) {
    times.insert(times.end(), {bound - 1, bound, bound + 1});
  }
  for (int bit = 1; bit < 63; ++bit) {
    const std::int64_t power = std::int64_t{1} << bit;
    times.insert(times.end(), {power - 1, power, power + 1});
  }
  for (const std::int64_t time : times) {
    EXPECT_EQ(LatencyCounts::bucket_of(time), counted_one_by_one(time)) << time;
  }
}

TEST(LatencyCounters, AClockThatSeemsToGoBackCountsAsNothing) {
  LatencyCounters counters;
  counters.add(-5ms);
  EXPECT_EQ(counters.counts().counts[0], 1U);
  EXPECT_EQ(counters.counts().sum_ns, 0U);
}

class TurnEndLatency : public testing::Test {
 protected:
  TurnEndLatency() { EXPECT_TRUE(reactor.attach()); }
  ~TurnEndLatency() override { reactor.detach(); }

  SimClock clock;
  engine::MemoryBudget budget{engine::ByteCount{1U << 20}};
  Reactor reactor{
      {.longest_poll = {}},
      [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
        return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget));
      },
      clock};
  LatencyCounters counters;
};

TEST_F(TurnEndLatency, IsCountedWhenTheTurnHasEndedAndNotBefore) {
  reactor.post([this] {
    reactor.count_at_turn_end(counters, reactor.now());
    clock.advance(300us);
    EXPECT_EQ(counters.counts().count(), 0U);
  });
  reactor.run_turn();
  EXPECT_EQ(counters.counts().counts[3], 1U);
  EXPECT_EQ(counters.counts().sum_ns, 300'000U);
}

TEST_F(TurnEndLatency, ATurnMayEndAnyNumber) {
  constexpr std::uint64_t many = 1000;
  reactor.post([this] {
    for (std::uint64_t i = 0; i < many; ++i) {
      clock.advance(1us);  // so that each is counted for itself
      reactor.count_at_turn_end(counters, clock.now());
    }
  });
  reactor.run_turn();
  EXPECT_EQ(counters.counts().count(), many);
}

struct ToldOfTurns final : TurnCounting {
  void count_turn(engine::Instant ended) override { at.push_back(ended); }
  std::vector<engine::Instant> at;
};

TEST_F(TurnEndLatency, WhoeverCountsATurnIsToldOfItsEndOnce) {
  ToldOfTurns told;
  const engine::Instant began = clock.now();
  ToldOfTurns told_too;
  reactor.post([&] {
    ToldOfTurns first;  // these leave the list by themselves
    ToldOfTurns last;
    reactor.count_at_turn_end(first);
    reactor.count_at_turn_end(told);
    reactor.count_at_turn_end(told);
    reactor.count_at_turn_end(told_too);
    reactor.count_at_turn_end(last);
    clock.advance(300us);
  });
  reactor.run_turn();
  reactor.run_turn();
  EXPECT_EQ(told.at, std::vector{began + 300us});
  EXPECT_EQ(told_too.at, told.at);
}

TEST_F(TurnEndLatency, ARunOfCommandsIsOverWithItsTurnAndNoneBeganWhenAnotherDid) {
  BegunCounter counter;
  const int volume = 0;
  std::vector<engine::Instant> began;
  for (int i = 0; i < 3; ++i) {
    reactor.post([&] {
      reactor.begin_run(&volume, counter);
      EXPECT_EQ(reactor.command_run().whose, &volume);
      began.push_back(reactor.command_run().began);
    });
    if (i == 1) clock.advance(1ms);
    reactor.run_turn();
    EXPECT_EQ(reactor.command_run().whose, nullptr);
  }
  EXPECT_EQ(began[1], clock.now());
  EXPECT_LT(began[0], began[1]);
  EXPECT_EQ(began[2] - began[1], 1ns) << "no time has passed in between";
}

}  // namespace
}  // namespace target
