// ExtentMap against a table of every sector of small pools.
#include "engine/pool/extent_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

using Layout = format::MemberLayout;

constexpr ByteCount front = 32_KiB;
constexpr ByteCount slice = 64_KiB;

PoolShape linear(std::vector<std::uint64_t> slices) {
  return {.layout = slices.size() == 1 ? Layout::single : Layout::linear,
          .slice = slice,
          .data_offset = front,
          .member_slices = std::move(slices)};
}

PoolShape stripe(std::size_t members, ByteCount chunk, std::uint64_t slices) {
  return {.layout = Layout::stripe,
          .chunk = chunk,
          .slice = slice,
          .data_offset = front,
          .member_slices = std::vector<std::uint64_t>(members, slices)};
}

// A sector of a member.
using Spot = std::pair<std::uint32_t, std::uint64_t>;

// Of each sector of the pool's address space, member by member resp. chunk by chunk.
std::vector<Spot> every_sector(const PoolShape& shape) {
  std::vector<Spot> all;
  const std::uint64_t begin = shape.data_offset.value / sector_bytes;
  if (!shape.is_stripe()) {
    for (std::uint32_t member = 0; member < shape.member_slices.size(); ++member) {
      const std::uint64_t count = shape.member_slices[member] * shape.slice.value / sector_bytes;
      for (std::uint64_t at = 0; at < count; ++at) all.emplace_back(member, begin + at);
    }
    return all;
  }
  const std::uint64_t chunk = shape.chunk.value / sector_bytes;
  const std::uint64_t rows = shape.member_slices[0] * shape.slice.value / shape.chunk.value;
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::uint32_t member = 0; member < shape.member_slices.size(); ++member) {
      for (std::uint64_t at = 0; at < chunk; ++at) {
        all.emplace_back(member, begin + row * chunk + at);
      }
    }
  }
  return all;
}

// Of each sector of a volume with these runs.
std::vector<Spot> sectors_of(const PoolShape& shape, const std::vector<ExtentRun>& runs) {
  const std::vector<Spot> pool = every_sector(shape);
  const std::uint64_t unit = shape.unit().value / sector_bytes;
  std::vector<Spot> all;
  for (const ExtentRun& run : runs) {
    for (std::uint64_t at = 0; at < run.count * unit; ++at) {
      all.push_back(pool.at(run.pool_unit * unit + at));
    }
  }
  return all;
}

std::vector<Spot> sectors_of(const ExtentMap& map, MediaOffset offset, ByteCount length) {
  std::vector<Spot> all;
  MediaOffset next = offset;
  map.for_each_piece(offset, length, [&](MediaOffset at, const ExtentPiece& piece) {
    EXPECT_EQ(at, next);
    EXPECT_EQ(piece.offset.value % sector_bytes, 0U);
    EXPECT_NE(piece.length.value, 0U);
    next = at + piece.length;
    for (std::uint64_t byte = 0; byte < piece.length.value; byte += sector_bytes) {
      all.emplace_back(piece.member, (piece.offset.value + byte) / sector_bytes);
    }
  });
  EXPECT_EQ(next, offset + length);
  return all;
}

// Distinct units of the pool in any order, as runs of a volume.
std::vector<ExtentRun> random_runs(const PoolShape& shape, SeededRandom& random) {
  std::vector<std::uint64_t> units(shape.units());
  for (std::size_t at = 0; at < units.size(); ++at) units[at] = at;
  std::vector<ExtentRun> runs;
  std::uint64_t volume_unit = 0;
  while (!units.empty() && runs.size() < 5) {
    const std::size_t at = random.below(units.size());
    std::size_t count = 1;
    while (at + count < units.size() && units[at + count] == units[at] + count &&
           random.chance(2, 3)) {
      ++count;
    }
    runs.push_back({.volume_unit = volume_unit, .pool_unit = units[at], .count = count});
    volume_unit += count;
    const auto first = units.begin() + static_cast<std::ptrdiff_t>(at);
    units.erase(first, first + static_cast<std::ptrdiff_t>(count));
  }
  return runs;
}

TEST(ExtentMap, EverySectorIsWhereTheTableOfTheWholePoolHasIt) {
  const std::vector<PoolShape> shapes{
      linear({7}),          linear({3, 1, 4}),    linear({1, 1, 1, 1}), stripe(2, 4_KiB, 4),
      stripe(3, 16_KiB, 3), stripe(5, 64_KiB, 2), stripe(4, 64_KiB, 2), stripe(7, 32_KiB, 1),
  };
  for (const PoolShape& shape : shapes) {
    ASSERT_TRUE(valid(shape));
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", members " +
                   std::to_string(shape.member_slices.size()));
      SeededRandom random(seed);
      const std::vector<ExtentRun> runs = random_runs(shape, random);
      const ExtentMap map(shape, runs);
      ASSERT_TRUE(map.check_invariants());
      const std::vector<Spot> model = sectors_of(shape, runs);
      ASSERT_EQ(map.size().value, model.size() * sector_bytes);
      EXPECT_EQ(sectors_of(map, {0}, map.size()), model);
      for (int round = 0; round < 20; ++round) {
        const std::uint64_t begin = random.below(model.size());
        const std::uint64_t count = 1 + random.below(model.size() - begin);
        const auto first = model.begin() + static_cast<std::ptrdiff_t>(begin);
        EXPECT_EQ(sectors_of(map, {begin * sector_bytes}, {count * sector_bytes}),
                  std::vector<Spot>(first, first + static_cast<std::ptrdiff_t>(count)));
      }
      std::set<std::uint32_t> touched;
      for (const Spot& spot : model) touched.insert(spot.first);
      EXPECT_EQ(map.members(), std::vector<std::uint32_t>(touched.begin(), touched.end()));
    }
  }
}

TEST(ExtentMap, APieceEndsWhereTheNextMemberBegins) {
  const ExtentMap map(linear({2, 3}), std::vector<ExtentRun>{{0, 1, 3}});
  const ExtentPiece whole = map.find({0}, 192_KiB);
  EXPECT_EQ(whole, (ExtentPiece{.member = 0, .offset = {(32 + 64) << 10}, .length = 64_KiB}));
  const ExtentPiece next = map.find({65536}, 128_KiB);
  EXPECT_EQ(next, (ExtentPiece{.member = 1, .offset = {32 << 10}, .length = 128_KiB}));
}

TEST(ExtentMap, ARangeInsideAChunkIsOnePiece) {
  const ExtentMap map(stripe(3, 16_KiB, 2), std::vector<ExtentRun>{{0, 0, 2}});
  const ExtentPiece piece = map.find({(16 * 4 + 4) << 10}, 12_KiB);
  EXPECT_EQ(piece, (ExtentPiece{.member = 1, .offset = {(32 + 16 + 4) << 10}, .length = 12_KiB}));
  EXPECT_EQ(map.find({(16 * 4 + 4) << 10}, 16_KiB).length, 12_KiB);
}

TEST(ExtentMap, GrowingByRunsIsTheSameAsHavingThem) {
  const std::vector<ExtentRun> runs{{0, 4, 1}, {1, 0, 2}, {3, 5, 1}};
  ExtentMap grown(linear({3, 3}));
  EXPECT_EQ(grown.size(), ByteCount{});
  EXPECT_TRUE(grown.members().empty());
  for (const ExtentRun& run : runs) grown.append({&run, 1});
  const ExtentMap whole(linear({3, 3}), runs);
  EXPECT_EQ(sectors_of(grown, {0}, grown.size()), sectors_of(whole, {0}, whole.size()));
}

TEST(ExtentMap, AnAddedMemberMovesNothing) {
  const std::vector<ExtentRun> runs{{0, 1, 4}};
  ExtentMap map(linear({3, 2}), runs);
  const std::vector<Spot> before = sectors_of(map, {0}, map.size());
  const std::vector<std::uint64_t> more{2};
  map.add_members(more);
  EXPECT_EQ(sectors_of(map, {0}, map.size()), before);
  map.append(std::vector<ExtentRun>{{4, 5, 2}});
  EXPECT_TRUE(map.check_invariants());
  EXPECT_EQ(map.members(), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(map.find({4 * 65536}, 64_KiB).member, 2U);
}

TEST(ExtentMap, ImpossibleShapesAreTold) {
  EXPECT_TRUE(valid(linear({1})));
  const auto but = [](PoolShape shape, auto change) {
    change(shape);
    return valid(shape);
  };
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.member_slices.clear(); }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.member_slices = {0}; }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.member_slices = {1, 1}; }));
  EXPECT_FALSE(but(linear({1, 1}), [](auto& shape) { shape.member_slices.resize(65, 1); }));
  EXPECT_TRUE(but(linear({1, 1}), [](auto& shape) { shape.member_slices.resize(64, 1); }));
  EXPECT_FALSE(but(linear({1, 1}), [](auto& shape) { shape.chunk = 4_KiB; }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.slice = 96_KiB; }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.slice = 32_KiB; }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.data_offset = {4097}; }));
  EXPECT_FALSE(but(linear({1}), [](auto& shape) { shape.layout = static_cast<Layout>(4); }));
  EXPECT_FALSE(
      but(linear({1}), [](auto& shape) { shape.member_slices = {std::uint64_t{1} << 41}; }));
  EXPECT_TRUE(valid(stripe(2, 4_KiB, 1)));
  EXPECT_FALSE(valid(stripe(1, 4_KiB, 1)));
  EXPECT_FALSE(valid(stripe(2, 2_KiB, 1)));
  EXPECT_FALSE(valid(stripe(2, 12_KiB, 1)));
  EXPECT_FALSE(valid(stripe(2, 128_KiB, 1)));  // more than the slice
  EXPECT_FALSE(but(stripe(2, 4_KiB, 1), [](auto& shape) { shape.member_slices = {1, 2}; }));
}

}  // namespace
}  // namespace engine
