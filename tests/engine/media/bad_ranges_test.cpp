#include "engine/media/bad_ranges.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

PmemRange range(std::uint64_t begin, std::uint64_t end) { return {{begin}, {end - begin}}; }

TEST(BadRanges, NeighboursBecomeOne) {
  BadRanges bad;
  bad.add(range(10, 20));
  bad.add(range(30, 40));
  bad.add(range(20, 30));
  EXPECT_EQ(bad.list(), std::vector{range(10, 40)});
}

TEST(BadRanges, EndIsNotInside) {
  BadRanges bad;
  bad.add(range(10, 20));
  EXPECT_FALSE(bad.touches(range(0, 10)));
  EXPECT_FALSE(bad.touches(range(20, 30)));
  EXPECT_TRUE(bad.touches(range(19, 20)));
  EXPECT_FALSE(bad.touches(range(15, 15)));
}

TEST(BadRanges, AgreesWithOneFlagForEachByte) {
  SeededRandom random(11);
  BadRanges bad;
  std::vector<bool> model(200);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t begin = random.below(200);
    const std::uint64_t end = begin + random.below(201 - begin);
    const bool add = random.chance(1, 2);
    add ? bad.add(range(begin, end)) : bad.remove(range(begin, end));
    for (std::uint64_t at = begin; at < end; ++at) model[at] = add;
    for (std::uint64_t at = 0; at < 200; ++at) {
      ASSERT_EQ(bad.touches(range(at, at + 1)), model[at]) << "round " << round << " byte " << at;
    }
  }
}

}  // namespace
}  // namespace engine
