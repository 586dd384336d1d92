// ExtentAllocator against a list of all units.
#include "engine/pool/extent_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

TEST(ExtentAllocator, TheFirstGapThatHoldsEverythingIsTaken) {
  ExtentAllocator space(10);
  const std::vector<ExtentRun> others{{0, 2, 1}, {1, 5, 1}};  // free: 0-1, 3-4, 6-9
  space.take(others);
  EXPECT_EQ(space.free_units(), 8U);
  std::vector<ExtentRun> runs;
  ASSERT_TRUE(space.append(runs, 3));
  EXPECT_EQ(runs, (std::vector<ExtentRun>{{0, 6, 3}}));
}

TEST(ExtentAllocator, AVolumeGrowsInPlaceWhileItCan) {
  ExtentAllocator space(10);
  std::vector<ExtentRun> first;
  ASSERT_TRUE(space.append(first, 2));
  ASSERT_TRUE(space.append(first, 2));
  EXPECT_EQ(first, (std::vector<ExtentRun>{{0, 0, 4}}));
  std::vector<ExtentRun> second;
  ASSERT_TRUE(space.append(second, 2));
  ASSERT_TRUE(space.append(first, 3));
  EXPECT_EQ(first, (std::vector<ExtentRun>{{0, 0, 4}, {4, 6, 3}}));
}

TEST(ExtentAllocator, WhatDoesNotFitChangesNothing) {
  ExtentAllocator space(4);
  std::vector<ExtentRun> runs;
  EXPECT_FALSE(space.append(runs, 5));
  EXPECT_TRUE(runs.empty());
  EXPECT_EQ(space.free_units(), 4U);
  EXPECT_TRUE(space.append(runs, 4));
  EXPECT_FALSE(space.append(runs, 1));
}

TEST(ExtentAllocator, NoUnitIsGivenOutTwiceOrForgotten) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    const std::uint64_t units = 1 + random.below(60);
    ExtentAllocator space(units);
    std::vector<std::vector<ExtentRun>> volumes(4);
    for (int step = 0; step < 200; ++step) {
      auto& runs = volumes[random.below(volumes.size())];
      const std::uint64_t has = runs.empty() ? 0 : runs.back().volume_unit + runs.back().count;
      if (random.chance(1, 2)) {
        const std::uint64_t count = random.below(12);
        const bool fits = count <= space.free_units();
        const auto before = runs;
        ASSERT_EQ(space.append(runs, count), fits);
        if (!fits) {
          ASSERT_EQ(runs, before);
        }
      } else {
        space.trim(runs, random.below(has + 1));
      }
      std::map<std::uint64_t, int> owners;
      std::uint64_t taken = 0;
      for (const auto& one : volumes) {
        std::uint64_t next = 0;
        std::uint64_t end_before = ~std::uint64_t{0};
        for (const ExtentRun& run : one) {
          ASSERT_EQ(run.volume_unit, next);
          ASSERT_NE(run.pool_unit, end_before) << "neighbours are not one run";
          next += run.count;
          end_before = run.pool_unit + run.count;
          taken += run.count;
          ASSERT_LE(end_before, units);
          for (std::uint64_t at = 0; at < run.count; ++at) ++owners[run.pool_unit + at];
        }
      }
      for (const auto& [unit, count] : owners) ASSERT_EQ(count, 1) << "unit " << unit;
      ASSERT_EQ(space.free_units(), units - taken);
      // As it would be found in a table.
      ExtentAllocator again(units);
      for (const auto& one : volumes) again.take(one);
      ASSERT_EQ(again.free_units(), space.free_units());
    }
  }
}

}  // namespace
}  // namespace engine
