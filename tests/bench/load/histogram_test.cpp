#include "tests/bench/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/foundation/random.h"

namespace bench {
namespace {

TEST(Histogram, EmptyOneHasNoFigures) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.percentile(0.99), 0u);
}

TEST(Histogram, PercentilesAreWithinTwoPercentOfTheSortedValues) {
  engine::SeededRandom random(7);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t value = random.below(std::uint64_t{1} << (6 + random.below(30)));
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(
        values[static_cast<std::size_t>(fraction * static_cast<double>(values.size())) - 1]);
    const auto found = static_cast<double>(histogram.percentile(fraction));
    EXPECT_GE(found, exact);
    EXPECT_LE(found, exact * 1.02 + 1);
  }
  EXPECT_EQ(histogram.percentile(1), values.back());
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, ValuesBeyondTheLastBucketAreKeptAsMaximum) {
  Histogram histogram;
  histogram.record(~std::uint64_t{0});
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), ~std::uint64_t{0});
}

TEST(Histogram, MergedOnesCountAllValues) {
  Histogram low, high;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    low.record(i);
    high.record(i * 1000);
  }
  low.merge(high);
  EXPECT_EQ(low.count(), 200u);
  EXPECT_EQ(low.min(), 1u);
  EXPECT_EQ(low.max(), 100000u);
  EXPECT_NEAR(static_cast<double>(low.percentile(0.5)), 100, 2);
}

}  // namespace
}  // namespace bench
