#include "engine/volume/dirty_age.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace engine
