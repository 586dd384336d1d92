#include "engine/foundation/random.h"

#include <gtest/gtest.h>

#include <array>

namespace engine {
namespace {

TEST(SeededRandom, TheSameSeedGivesTheSameRun) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom other(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto drawn = a();
    EXPECT_EQ(drawn, b());
    differs |= drawn != other();
  }
  EXPECT_TRUE(differs);
}

TEST(SeededRandom, BelowReachesEveryValueAndNoOther) {
  SeededRandom random(1);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) ++seen.at(random.below(seen.size()));
  for (const int count : seen) EXPECT_GT(count, 100);
}

TEST(SeededRandom, FillCoversATail) {
  SeededRandom random(3);
  std::array<std::byte, 13> bytes{};
  random.fill(bytes);
  int zeros = 0;
  for (const auto b : bytes) zeros += b == std::byte{0};
  EXPECT_LT(zeros, 4);
}

}  // namespace
}  // namespace engine
