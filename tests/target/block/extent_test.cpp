#include "target/block/extent.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>
#include <vector>

namespace target::block {
namespace {

using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

Pairs joined(const Pairs& blocks) {
  std::vector<Extent> extents;
  for (const auto& [begin, end] : blocks) extents.push_back({{begin}, {end}});
  Pairs result;
  for (const Extent& extent : join(extents)) {
    result.emplace_back(extent.begin.value, extent.end.value);
  }
  return result;
}

TEST(Extent, JoinedExtentsAreAscendingAndDisjoint) {
  EXPECT_EQ(joined({{20, 30}, {0, 10}}), (Pairs{{0, 10}, {20, 30}}));
  EXPECT_EQ(joined({{5, 15}, {0, 10}}), (Pairs{{0, 15}}));
  EXPECT_EQ(joined({{10, 20}, {0, 10}}), (Pairs{{0, 20}}));               // they touch
  EXPECT_EQ(joined({{0, 100}, {10, 20}, {99, 101}}), (Pairs{{0, 101}}));  // one inside another
  EXPECT_EQ(joined({{7, 8}, {7, 8}}), (Pairs{{7, 8}}));
}

TEST(Extent, EmptyOnesAreLeftOut) {
  EXPECT_EQ(joined({}), (Pairs{}));
  EXPECT_EQ(joined({{4, 4}, {9, 9}}), (Pairs{}));
  // One in the middle of nowhere joins nothing.
  EXPECT_EQ(joined({{0, 4}, {6, 6}, {8, 9}}), (Pairs{{0, 4}, {8, 9}}));
}

}  // namespace
}  // namespace target::block
