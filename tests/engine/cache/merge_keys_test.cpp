#include "engine/cache/merge_keys.h"

#include <gtest/gtest.h>

#include "engine/foundation/random.h"

namespace engine::test {
namespace {

DirtyKey key(std::uint64_t begin, std::uint64_t count, DirtyKey::Kind kind = DirtyKey::Kind::data) {
  return {.range = {{begin}, {count}}, .kind = kind};
}
DirtyPiece piece(std::uint64_t begin, std::uint64_t count, std::uint32_t of) {
  return {.range = {{begin}, {count}}, .key = of};
}
using Pieces = std::vector<DirtyPiece>;

TEST(MergeKeys, NoKeysHaveNoPieces) { EXPECT_EQ(merge_keys({}), Pieces{}); }

TEST(MergeKeys, NewerCoversOlder) {
  const std::vector keys{key(8, 8), key(0, 32)};
  EXPECT_EQ(merge_keys(keys), (Pieces{piece(0, 32, 1)}));
}

TEST(MergeKeys, NewerSplitsOlder) {
  const std::vector keys{key(0, 32), key(8, 8)};
  EXPECT_EQ(merge_keys(keys), (Pieces{piece(0, 8, 0), piece(8, 8, 1), piece(16, 16, 0)}));
}

TEST(MergeKeys, NewerCutsHeadAndTail) {
  const std::vector keys{key(8, 16), key(0, 12), key(20, 12)};
  EXPECT_EQ(merge_keys(keys), (Pieces{piece(0, 12, 1), piece(12, 8, 0), piece(20, 12, 2)}));
}

TEST(MergeKeys, InvalidationTakesOlderAndLeavesNewer) {
  const std::vector keys{key(0, 16), key(4, 8, DirtyKey::Kind::invalidate), key(6, 2)};
  EXPECT_EQ(merge_keys(keys), (Pieces{piece(0, 4, 0), piece(6, 2, 2), piece(12, 4, 0)}));
}

TEST(MergeKeys, GapsStayGaps) {
  const std::vector keys{key(100, 8), key(0, 8)};
  EXPECT_EQ(merge_keys(keys), (Pieces{piece(0, 8, 1), piece(100, 8, 0)}));
}

// Against painting, sector by sector.
TEST(MergeKeys, EverySectorIsOfTheNewestKey) {
  constexpr std::uint64_t sectors = 96;
  constexpr std::uint32_t none = ~0U;
  SeededRandom random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<DirtyKey> keys;
    std::vector<std::uint32_t> painted(sectors, none);
    for (std::uint64_t left = random.below(24); left > 0; --left) {
      const std::uint64_t count = 1 + random.below(random.chance(1, 4) ? 40 : 8);
      const std::uint64_t begin = random.below(sectors - count + 1);
      const bool clears = random.chance(1, 8);
      const auto number = static_cast<std::uint32_t>(keys.size());
      keys.push_back(key(begin, count, clears ? DirtyKey::Kind::invalidate : DirtyKey::Kind::data));
      for (std::uint64_t at = begin; at < begin + count; ++at) painted[at] = clears ? none : number;
    }
    std::vector<std::uint32_t> merged(sectors, none);
    Sector end;
    for (const DirtyPiece& found : merge_keys(keys)) {
      ASSERT_GE(found.range.begin, end);
      ASSERT_FALSE(found.range.empty());
      end = found.range.end();
      for (std::uint64_t at = found.range.begin.value; at < end.value; ++at) {
        merged[at] = found.key;
      }
    }
    ASSERT_EQ(merged, painted) << "round " << round;
  }
}

}  // namespace
}  // namespace engine::test
