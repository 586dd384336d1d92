#include "engine/volume/dirty_age.h"

#include <gtest/gtest.h>

#include "engine/volume/engine.h"
#include "engine/volume/lag_age.h"

namespace engine {
namespace {

using namespace std::chrono_literals;

Instant at(Duration since_start) { return {since_start}; }

TEST(DirtyAge, NothingDirtyHasNoAge) {
  DirtyAge age;
  EXPECT_EQ(age.at(at(5s)), 0s);
  age.look(at(5s), 10, 10);
  EXPECT_EQ(age.at(at(9s)), 0s);
}

TEST(DirtyAge, IsThatOfTheOldestAndGetsYoungerAsTheTailMoves) {
  DirtyAge age;
  age.look(at(1s), 10, 12);  // 11 and 12 come
  age.look(at(2s), 10, 12);
  age.look(at(3s), 10, 20);  // 13 to 20 come
  EXPECT_EQ(age.at(at(4s)), 3s);
  age.look(at(4s), 11, 20);  // 12 is still dirty
  EXPECT_EQ(age.at(at(4s)), 3s);
  age.look(at(5s), 12, 20);
  EXPECT_EQ(age.at(at(5s)), 2s);
  age.look(at(6s), 20, 20);
  EXPECT_EQ(age.at(at(6s)), 0s);
}

TEST(DirtyAge, IsNeverTooYoungHoweverLongItIsDirty) {
  DirtyAge age;
  for (int second = 1; second <= 10'000; ++second) {
    age.look(at(std::chrono::seconds(second)), 0, static_cast<std::uint64_t>(second));
  }
  EXPECT_EQ(age.at(at(10'000s)), 9'999s);
  age.look(at(10'000s), 5'000, 10'000);
  EXPECT_GE(age.at(at(10'000s)), 4'999s);
  EXPECT_LE(age.at(at(10'000s)), 5'200s);
}

TEST(LagAge, BeginsWhenEverythingWasLastThere) {
  LagAge age;
  EXPECT_EQ(age.at(at(5s)), 0s);
  age.look(at(5s), true);
  EXPECT_EQ(age.at(at(9s)), std::nullopt) << "since before the first look";
  age.look(at(10s), false);
  EXPECT_EQ(age.at(at(3'000s)), 0s);
  age.look(at(3'600s), false);
  age.look(at(3'601s), true);
  age.look(at(3'605s), true);
  EXPECT_EQ(age.at(at(3'605s)), 5s);
}

// An hour without a write costs nobody anything.
TEST(ConsistentPointAge, IsNotTheIdleTimeAtTheFirstWriteAfterIt) {
  VolumeCacheStatus status;
  status.consistent_time_ms = 1'000'000;
  EXPECT_EQ(status.consistent_point_age(4'600'000ms), 0s) << "the pool has everything";
  status.lag_age = 2s;
  EXPECT_EQ(status.consistent_point_age(4'600'000ms), 2s);
  status.consistent_time_ms = 4'599'000;  // a batch has ended, and not all was in it
  EXPECT_EQ(status.consistent_point_age(4'600'000ms), 1s);
  status.lag_age = std::nullopt;
  status.consistent_time_ms = 1'000'000;
  EXPECT_EQ(status.consistent_point_age(4'600'000ms), 3'600s) << "nothing else is known";
  EXPECT_EQ(status.consistent_point_age(1ms), 0s) << "the clock has been set back";
}

}  // namespace
}  // namespace engine
