#include "target/block/volume_limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

namespace target::block {
namespace {

using namespace std::chrono_literals;
using engine::Duration;
using engine::Instant;
using Kind = Traffic::Kind;

constexpr Instant begin{1h};
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

// Rates

TEST(RateBucketTest, WithoutARateEverythingPassesAtOnce) {
  RateBucket bucket;
  EXPECT_FALSE(bucket.is_set());
  EXPECT_EQ(bucket.take(most, begin), begin);
  bucket.set(100, 1s, begin);
  EXPECT_TRUE(bucket.is_set());
  bucket.set(0, 1s, begin);
  EXPECT_FALSE(bucket.is_set());
  EXPECT_EQ(bucket.take(most, begin), begin);
}

TEST(RateBucketTest, MomentsLieAsFarApartAsTheRateSays) {
  RateBucket bucket;
  bucket.set(1000, 100ms, begin);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take(1, begin), begin + i * 1ms);
  EXPECT_EQ(bucket.take(5, begin), begin + 10ms);
  EXPECT_EQ(bucket.take(1, begin), begin + 15ms);
}

TEST(RateBucketTest, WhatIsNotUsedIsKeptForTheBurstAndNoLonger) {
  RateBucket bucket;
  bucket.set(100, 1s, begin);
  const auto pass_at_once = [&](Instant now) {
    int count = 0;
    while (bucket.take(1, now) <= now) ++count;
    return count;  // the one that did not is charged all the same
  };
  EXPECT_EQ(pass_at_once(begin), 1) << "a bucket begins with nothing kept";
  // 20 ms are given away: the moments of those two.
  EXPECT_EQ(pass_at_once(begin + 520ms), 51);
  EXPECT_EQ(pass_at_once(begin + 1h), 101) << "one second of the hour is kept";
}

// What is too large for what is kept passes, and those behind it wait for it.
TEST(RateBucketTest, LargeOnesPassAndArePaidForLater) {
  RateBucket bucket;
  bucket.set(1U << 20, 100ms, begin);
  EXPECT_EQ(bucket.take(2U << 20, begin), begin);
  EXPECT_EQ(bucket.take(512, begin), begin + 2s);
}

TEST(RateBucketTest, NoCommandIsChargedWithoutBounds) {
  RateBucket bucket;
  bucket.set(1, 100ms, begin);
  EXPECT_EQ(bucket.take(most, begin), begin);
  EXPECT_EQ(bucket.take(0, begin), begin + RateBucket::largest_charge);
  EXPECT_EQ(bucket.take(1, begin), begin + RateBucket::largest_charge) << "nothing costs nothing";
}

TEST(RateBucketTest, ExtremesDoNotWrap) {
  const Instant late{Duration(std::numeric_limits<Duration::rep>::max() / 2)};
  for (const Instant now : {Instant{}, begin, late}) {
    for (const std::uint64_t rate : {std::uint64_t{1}, std::uint64_t{1} << 36, most}) {
      RateBucket bucket;
      bucket.set(rate, 1h, now);
      Instant last = now;
      for (int i = 0; i < 1000; ++i) {
        const Instant moment = bucket.take(most, now);
        ASSERT_GE(moment, last);
        ASSERT_LE(moment - last, RateBucket::largest_charge);
        last = moment;
      }
      EXPECT_LE(last - now, 1000 * RateBucket::largest_charge);
    }
  }
}

TEST(RateBucketTest, WhatIsGivenBackIsForThoseToCome) {
  RateBucket bucket;
  bucket.set(1000, 100ms, begin);
  for (int i = 0; i < 8; ++i) (void)bucket.take(1, begin);
  bucket.give_back(3);
  EXPECT_EQ(bucket.take(1, begin), begin + 5ms);
  // No more than was taken: nobody gains by taking and giving back.
  bucket.give_back(6);
  EXPECT_EQ(bucket.take(1, begin), begin);
}

TEST(RateBucketTest, AChangedRateForgetsWhatIsOwedAndKeepsWhatIsLeft) {
  RateBucket bucket;
  bucket.set(10, 1s, begin);
  for (int i = 0; i < 100; ++i) (void)bucket.take(1, begin);
  bucket.set(1000, 1s, begin);
  EXPECT_EQ(bucket.take(1, begin), begin);
  EXPECT_EQ(bucket.take(1, begin), begin + 1ms);
  // 500 ms are left, then 200 ms of burst are all that may be.
  const Instant later = begin + 502ms;
  bucket.set(100, 200ms, later);
  for (int i = 0; i < 20; ++i) EXPECT_LT(bucket.take(1, later), later);
  EXPECT_EQ(bucket.take(1, later), later);
  EXPECT_GT(bucket.take(1, later), later);
}

TEST(RateBucketTest, CommonRatesAreExactToALittleOfAPercent) {
  for (const std::uint64_t rate : {10U, 330U, 20'000U, 750'000U, 10'000'000U}) {
    RateBucket bucket;
    bucket.set(rate, 100ms, begin);
    for (std::uint64_t i = 0; i < rate / 10; ++i) (void)bucket.take(1, begin);
    const double seconds = static_cast<double>((bucket.take(0, begin) - begin).count()) / 1e9;
    EXPECT_NEAR(seconds, 0.1, 0.0005) << rate;
  }
  // Bytes by the block: what a command is charged is rounded to a nanosecond.
  RateBucket bytes;
  bytes.set(std::uint64_t{10} << 30, 100ms, begin);
  for (int i = 0; i < 100'000; ++i) (void)bytes.take(4096, begin);
  const double seconds = static_cast<double>((bytes.take(0, begin) - begin).count()) / 1e9;
  const double exact = 100'000.0 * 4096 / (10.0 * (1U << 30));
  EXPECT_NEAR(seconds / exact, 1, 0.002);
}

// However many take at once, together they get what the rate gives.
TEST(RateBucketTest, ThreadsShareOneRate) {
  constexpr int threads = 4;
  constexpr int each = 20'000;
  RateBucket bucket;
  bucket.set(1'000'000, 100ms, begin);
  std::vector<std::thread> takers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < threads; ++i) {
    takers.emplace_back([&] {
      Instant last{};
      for (int taken = 0; taken < each; ++taken) {
        const Instant moment = bucket.take(1, begin);
        if (moment <= last) ++wrong;
        last = moment;
      }
    });
  }
  for (std::thread& taker : takers) taker.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(bucket.take(1, begin), begin + threads * each * 1us);
}

// Limits of a volume

Toll toll_of(Kind kind, std::uint64_t bytes) { return {.traffic = {.kind = kind, .bytes = bytes}}; }

// When a command that comes now may go on, looking whenever its turn is said to be.
Instant passes_at(VolumeLimiter& limiter, Kind kind, std::uint64_t bytes, Instant now) {
  Toll toll = toll_of(kind, bytes);
  while (!limiter.pay(toll, now)) now = toll.turn;
  return now;
}

TEST(VolumeLimiterTest, NothingIsLimitedUntilSomethingIs) {
  VolumeLimiter limiter;
  EXPECT_FALSE(limiter.is_limiting());
  Toll toll = toll_of(Kind::write, most);
  EXPECT_TRUE(limiter.pay(toll, begin));
  limiter.set_limits({.burst = 1h}, begin);
  EXPECT_FALSE(limiter.is_limiting());
  limiter.set_limits({.write_bytes = 1, .burst = 1h}, begin);
  EXPECT_TRUE(limiter.is_limiting());
  limiter.set_limits({}, begin);
  EXPECT_FALSE(limiter.is_limiting());
}

TEST(VolumeLimiterTest, EachLimitHoldsItsOwnKind) {
  struct Row {
    VolumeLimits limits;
    Duration read;  // until the second read of 4 KiB passes
    Duration write;
  };
  constexpr std::uint64_t bytes = 4096;
  const std::vector<Row> rows{
      {{.read_commands = 100}, 10ms, 0ms},
      {{.write_commands = 100}, 0ms, 10ms},
      {{.commands = 100}, 10ms, 20ms},
      {{.read_bytes = bytes * 50}, 20ms, 0ms},
      {{.write_bytes = bytes * 50}, 0ms, 20ms},
      {{.bytes = bytes * 50}, 20ms, 40ms},
      {{.read_commands = 100, .commands = 50, .bytes = bytes * 10}, 100ms, 200ms},
  };
  for (const Row& row : rows) {
    VolumeLimiter limiter;
    limiter.set_limits(row.limits, begin);
    EXPECT_EQ(passes_at(limiter, Kind::read, bytes, begin), begin);
    EXPECT_EQ(passes_at(limiter, Kind::read, bytes, begin), begin + row.read);
    // Behind the two reads, if it is of the same purse; else the first of its own passes at once.
    const bool shared = row.limits.commands + row.limits.bytes != 0;
    if (!shared) {
      EXPECT_EQ(passes_at(limiter, Kind::write, bytes, begin), begin);
    }
    EXPECT_EQ(passes_at(limiter, Kind::write, bytes, begin), begin + row.write);
  }
}

// Writes that wait by their own limit take nothing of what reads may have.
TEST(VolumeLimiterTest, WhoWaitsByHisOwnLimitIsNotChargedByTheCommonOne) {
  VolumeLimiter limiter;
  limiter.set_limits({.write_commands = 10, .commands = 100}, begin);
  std::vector<Toll> writes(50, toll_of(Kind::write, 0));
  EXPECT_TRUE(limiter.pay(writes[0], begin));
  for (std::size_t i = 1; i < writes.size(); ++i) EXPECT_FALSE(limiter.pay(writes[i], begin));
  EXPECT_EQ(passes_at(limiter, Kind::read, 0, begin), begin + 10ms);
  EXPECT_EQ(passes_at(limiter, Kind::read, 0, begin), begin + 20ms);
  // At its turn a write stands behind them.
  EXPECT_EQ(writes[1].turn, begin + 100ms);
  EXPECT_TRUE(limiter.pay(writes[1], writes[1].turn));
}

TEST(VolumeLimiterTest, WhoDoesNotPassGivesBackWhatHeHasPaid) {
  VolumeLimiter limiter;
  limiter.set_limits({.read_commands = 100, .commands = 50, .burst = 100ms}, begin);
  EXPECT_EQ(passes_at(limiter, Kind::read, 0, begin), begin);
  Toll at_own = toll_of(Kind::read, 0);
  EXPECT_FALSE(limiter.pay(at_own, begin));
  Toll at_common = at_own;
  EXPECT_FALSE(limiter.pay(at_common, at_own.turn)) << "its turn by the second limit is later";
  EXPECT_EQ(at_common.turn, begin + 20ms);
  limiter.give_back(at_common);
  EXPECT_EQ(passes_at(limiter, Kind::read, 0, begin), begin + 20ms) << "as if it had not been";
}

TEST(VolumeLimiterTest, ChangedLimitsArePaidAnew) {
  VolumeLimiter limiter;
  limiter.set_limits({.commands = 10}, begin);
  std::vector<Toll> held(20, toll_of(Kind::write, 0));
  EXPECT_TRUE(limiter.pay(held[0], begin));
  for (std::size_t i = 1; i < held.size(); ++i) EXPECT_FALSE(limiter.pay(held[i], begin));
  EXPECT_EQ(held.back().turn, begin + 1900ms);
  const std::uint32_t before = limiter.version();
  limiter.set_limits({.commands = 10}, begin);
  EXPECT_EQ(limiter.version(), before) << "the same limits are no change";
  limiter.set_limits({.commands = 1000}, begin);
  EXPECT_NE(limiter.version(), before);
  limiter.give_back(held.back());  // paid under limits that are no more
  EXPECT_TRUE(limiter.pay(held[1], begin));
  EXPECT_FALSE(limiter.pay(held[2], begin));
  EXPECT_EQ(held[2].turn, begin + 1ms);
  limiter.set_limits({}, begin);
  EXPECT_TRUE(limiter.pay(held[3], begin)) << "no limits";
}

TEST(VolumeLimiterTest, CountsWhatItHolds) {
  VolumeLimiter limiter;
  Toll read = toll_of(Kind::read, 1);
  Toll write = toll_of(Kind::write, 1);
  read.since = write.since = begin;
  EXPECT_FALSE(limiter.is_holding());
  limiter.hold(read);
  limiter.hold(write);
  limiter.hold(write);
  EXPECT_TRUE(limiter.is_holding());
  EXPECT_EQ(limiter.counts().reads_held, 1U);
  EXPECT_EQ(limiter.counts().writes_held, 2U);
  limiter.let_go(read, begin + 5ms);
  limiter.let_go(write, begin + 7ms);
  limiter.let_go(write, begin + 8ms);
  EXPECT_FALSE(limiter.is_holding());
  const HoldCounts counts = limiter.counts();
  EXPECT_EQ(counts.reads_held + counts.writes_held, 0U);
  EXPECT_EQ(counts.reads, 1U);
  EXPECT_EQ(counts.writes, 2U);
  EXPECT_EQ(counts.read_time, 5ms);
  EXPECT_EQ(counts.write_time, 15ms);
}

}  // namespace
}  // namespace target::block
