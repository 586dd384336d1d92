// The stated bound: at most 32 bytes of DRAM for each cached 4 KiB extent, all told.
#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/cache/index_kit.h"

namespace engine::index_kit {
namespace {

constexpr double bound = 32;

// `count` different blocks of a volume of `blocks` ones, in random order.
std::vector<std::uint32_t> choose(std::uint64_t count, std::uint64_t blocks) {
  SeededRandom random(1);
  std::vector<std::uint32_t> chosen(blocks);
  std::iota(chosen.begin(), chosen.end(), 0U);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::swap(chosen[i], chosen[i + random.below(blocks - i)]);
  }
  chosen.resize(count);
  return chosen;
}

// Everything that holds an extent: slabs in use with their slack, tables, shards. (Mapped memory
// beyond that is at most one huge page, for all volumes together.)
double bytes_per_extent(std::uint64_t count, std::uint64_t blocks) {
  IndexMemory memory(256_MiB);
  ExtentIndex index(memory, SectorCount{blocks * 8});
  std::uint64_t place = 0;
  for (const std::uint32_t block : choose(count, blocks)) {
    auto permit = index.prepare(sectors(std::uint64_t{block} * 8, 8));
    index.publish(*std::move(permit), data_at(place), ignore);
    place += 8;
  }
  EXPECT_EQ(index.figures().fragments, count);
  const std::uint64_t bytes = memory.used_bytes().value + index.table_bytes().value;
  EXPECT_LE(index.memory_bytes().value, bytes) << "the index counts more than there is";
  const auto each = static_cast<double>(bytes) / static_cast<double>(count);
  std::printf("%llu extents, density %5.1f %%: %.1f bytes each\n",
              static_cast<unsigned long long>(count),
              100.0 * static_cast<double>(count) / static_cast<double>(blocks), each);
  return each;
}

TEST(ExtentIndexMemory, DenseRandomFillIsBounded) {
  EXPECT_LE(bytes_per_extent(200'000, 200'000), bound);
}
TEST(ExtentIndexMemory, HalfFullIsBounded) { EXPECT_LE(bytes_per_extent(200'000, 400'000), bound); }
TEST(ExtentIndexMemory, TenthOfTheVolumeIsBounded) {
  EXPECT_LE(bytes_per_extent(200'000, 2'000'000), bound);
}
// Where stripes go over to leaves.
TEST(ExtentIndexMemory, ThirtiethOfTheVolumeIsBounded) {
  EXPECT_LE(bytes_per_extent(200'000, 6'000'000), bound);
}
TEST(ExtentIndexMemory, HundredthOfTheVolumeIsBounded) {
  EXPECT_LE(bytes_per_extent(200'000, 20'000'000), bound);
}

// Evicting at random and filling again does not make it grow without end.
TEST(ExtentIndexMemory, ChurnStaysBounded) {
  constexpr std::uint64_t blocks = 400'000;
  constexpr std::uint64_t count = 100'000;
  IndexMemory memory(64_MiB);
  ExtentIndex index(memory, SectorCount{blocks * 8});
  SeededRandom random(3);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> live;  // block, place
  std::vector<bool> cached(blocks);
  std::uint64_t place = 0;
  for (int round = 0; round < 400'000; ++round) {
    if (live.size() == count) {
      std::swap(live[random.below(count)], live.back());
      const auto [block, at] = live.back();
      live.pop_back();
      cached[block] = false;
      index.erase_if(sectors(block * 8, 8), Owner{.place = Place{at}}, ignore);
    }
    std::uint64_t block = random.below(blocks);
    while (cached[block]) block = random.below(blocks);
    cached[block] = true;
    place += 8;
    index.publish(*index.prepare(sectors(block * 8, 8)), data_at(place, false), ignore);
    live.emplace_back(block, place);
  }
  EXPECT_EQ(index.figures().fragments, live.size());
  const std::uint64_t bytes = memory.used_bytes().value + index.table_bytes().value;
  std::printf("after churn: %.1f bytes each\n",
              static_cast<double>(bytes) / static_cast<double>(live.size()));
  EXPECT_LE(static_cast<double>(bytes) / static_cast<double>(live.size()), bound);
  index.check_invariants();
  memory.check_invariants();
}

// The worst case of one publish: a stripe goes over to leaves, with runs of every small size, when
// all other memory is taken, the spare included.
TEST(ExtentIndexMemory, PermitIsEnoughWhenNothingElseIsLeft) {
  CheckedIndex checked(stripe_sectors, 1_MiB);
  std::uint64_t leaf = 0;
  std::uint64_t place = 0;
  for (const std::uint64_t size : {1, 2, 3, 4, 5, 7, 10}) {
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t at = leaf * LeafTable::leaf_sectors + 10 * i;
      ASSERT_TRUE(checked.publish(sectors(at, 8), data_at(place += 8)));
    }
    ++leaf;
  }
  ASSERT_EQ(checked.index.figures().fragments, StripeSlot::most_flat);
  auto permit = checked.index.prepare(sectors(20 * LeafTable::leaf_sectors - 4, 8));
  ASSERT_TRUE(permit);
  std::uint32_t mapped = 0;  // all of it, up to the limit
  while (checked.memory.promise(1)) ++mapped;
  checked.memory.unpromise(mapped);
  while (checked.memory.try_allocate(IndexMemory::slab_units) != 0) {
  }
  for (std::uint32_t i = 0; i < IndexMemory::spare_slabs; ++i) {
    (void)checked.memory.allocate(IndexMemory::slab_units);
  }
  ASSERT_FALSE(checked.index.prepare(sectors(0, 8)));
  ASSERT_TRUE(checked.publish(*std::move(permit), data_at(place + 8))) << checked.problem;
  EXPECT_TRUE(checked.check_all()) << checked.problem;
}

TEST(ExtentIndexMemory, EmptyIndexOfALargeVolumeIsSmall) {
  IndexMemory memory(1_MiB);
  ExtentIndex index(memory, SectorCount{std::uint64_t{10} << 31});  // 10 TiB
  EXPECT_LE(index.memory_bytes().value, 100U << 10);
}

}  // namespace
}  // namespace engine::index_kit
