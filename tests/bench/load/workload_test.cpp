#include "tests/bench/load/workload.h"

#include <gtest/gtest.h>

#include <set>

namespace bench {
namespace {

TEST(Workload, SequentialStartsWhereToldAndWraps) {
  Workload workload({.first = 10, .units = 4}, Pattern::sequential, 100, 1, 2);
  std::vector<std::uint64_t> units;
  for (int i = 0; i < 6; ++i) units.push_back(workload.next().unit);
  EXPECT_EQ(units, (std::vector<std::uint64_t>{12, 13, 10, 11, 12, 13}));
}

TEST(Workload, RandomStaysInItsRegionAndReachesAllOfIt) {
  Workload workload({.first = 100, .units = 16}, Pattern::random, 100, 1, 0);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(workload.next().unit);
  EXPECT_EQ(seen.size(), 16u);
  EXPECT_EQ(*seen.begin(), 100u);
  EXPECT_EQ(*seen.rbegin(), 115u);
}

TEST(Workload, MixIsAsAsked) {
  for (const std::uint32_t percent : {0u, 30u, 100u}) {
    Workload workload({.first = 0, .units = 16}, Pattern::random, percent, 1, 0);
    int reads = 0;
    for (int i = 0; i < 10000; ++i) reads += workload.next().read ? 1 : 0;
    EXPECT_NEAR(reads, static_cast<int>(percent) * 100, percent == 30 ? 300 : 0);
  }
}

TEST(Workload, TheSameSeedRepeats) {
  Workload one({0, 1000}, Pattern::random, 50, 9, 0);
  Workload two({0, 1000}, Pattern::random, 50, 9, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.next().unit, two.next().unit);
}

}  // namespace
}  // namespace bench
