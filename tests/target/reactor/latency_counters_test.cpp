#include "target/reactor/latency_counters.h"

#include <gtest/gtest.h>

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
    reactor.count_at_turn_end({.whole = &counters, .began = reactor.now()});
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
      reactor.count_at_turn_end({.whole = &counters, .began = clock.now()});
    }
  });
  reactor.run_turn();
  EXPECT_EQ(counters.counts().count(), many);
}

TEST_F(TurnEndLatency, ThoseThatBeganTogetherAreCountedTogetherAndTheirPartsToo) {
  LatencyCounters last;
  LatencyCounters last_too;
  reactor.post([&] {
    const engine::Instant began = clock.now();
    clock.advance(300us);
    const engine::Instant sent = clock.now();
    for (int i = 0; i < 3; ++i) {
      reactor.count_at_turn_end(
          {.whole = &counters, .last = &last, .last_too = &last_too, .began = began, .sent = sent});
    }
    reactor.count_at_turn_end({.whole = &counters, .last = &last, .began = began, .sent = began});
    clock.advance(100us);
  });
  reactor.run_turn();
  EXPECT_EQ(counters.counts().counts[3], 4U);
  EXPECT_EQ(counters.counts().sum_ns, 1'600'000U);
  EXPECT_EQ(last.counts().counts[1], 3U);
  EXPECT_EQ(last.counts().counts[3], 1U);
  EXPECT_EQ(last.counts().sum_ns, 700'000U);
  EXPECT_EQ(last_too.counts().sum_ns, 300'000U);
}

}  // namespace
}  // namespace target
