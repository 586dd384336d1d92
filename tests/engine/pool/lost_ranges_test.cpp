#include "engine/pool/lost_ranges.h"

#include <gtest/gtest.h>

#include <array>
#include <bitset>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

LostRange range(std::uint64_t begin, std::uint64_t end) { return {{begin}, {end - begin}}; }

std::vector<LostRange> all(const LostRanges& lost) {
  return {lost.all().begin(), lost.all().end()};
}

TEST(LostRanges, NeighboursBecomeOne) {
  LostRanges lost;
  EXPECT_TRUE(lost.add(range(8, 16)));
  EXPECT_TRUE(lost.add(range(24, 32)));
  EXPECT_TRUE(lost.add(range(0, 4)));
  EXPECT_EQ(all(lost), (std::vector{range(0, 4), range(8, 16), range(24, 32)}));
  EXPECT_TRUE(lost.add(range(16, 24)));
  EXPECT_EQ(all(lost), (std::vector{range(0, 4), range(8, 32)}));
  EXPECT_EQ(lost.text(), "14336 bytes are lost (sectors of 512 bytes: 0 to 3, 8 to 31)");
}

TEST(LostRanges, WhatIsFullRefusesAndStaysAsItIs) {
  LostRanges lost;
  for (std::uint64_t at = 0; at < LostRanges::most_added; ++at) {
    EXPECT_TRUE(lost.add(range(at * 100, at * 100 + 50)));
  }
  const LostRanges before = lost;
  EXPECT_FALSE(lost.add(range(75, 76)));
  EXPECT_EQ(lost, before);
  EXPECT_TRUE(lost.add(range(40, 60))) << "it makes none more";
  // Cut by writes, they are more than could be added.
  std::uint64_t cuts = 0;
  while (lost.remove(range(cuts * 100 + 20, cuts * 100 + 21))) ++cuts;
  EXPECT_EQ(cuts, LostRanges::most - LostRanges::most_added);
  EXPECT_EQ(lost.all().size(), LostRanges::most);
  EXPECT_TRUE(lost.holds(range(cuts * 100 + 20, cuts * 100 + 21)));
  EXPECT_TRUE(lost.remove(range(cuts * 100, cuts * 100 + 50))) << "as a whole";
}

TEST(LostRanges, SaysTheSameAsABitForEachSector) {
  SeededRandom random(11);
  for (int round = 0; round < 200; ++round) {
    LostRanges lost;
    std::bitset<256> model;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t begin = random.below(240);
      const LostRange changed = range(begin, begin + 1 + random.below(16));
      const bool adds = random.chance(1, 2);
      if (!(adds ? lost.add(changed) : lost.remove(changed))) continue;
      for (std::uint64_t at = changed.begin.value; at < changed.end().value; ++at) {
        model.set(at, adds);
      }
      const std::uint64_t from = random.below(240);
      const LostRange asked = range(from, from + 1 + random.below(16));
      bool any = false;
      bool whole = true;
      for (std::uint64_t at = asked.begin.value; at < asked.end().value; ++at) {
        any = any || model.test(at);
        whole = whole && model.test(at);
      }
      ASSERT_EQ(lost.touches(asked), any);
      ASSERT_EQ(lost.holds(asked), whole);
      ASSERT_EQ(lost.sectors().value, model.count());
    }
  }
}

}  // namespace
}  // namespace engine
