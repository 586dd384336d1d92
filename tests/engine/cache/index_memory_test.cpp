#include "engine/cache/index_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

TEST(IndexMemory, PromisesEndAtTheLimitAndComeBack) {
  IndexMemory memory(256_KiB);
  std::uint32_t promised = 0;
  while (memory.promise(1)) ++promised;
  EXPECT_EQ(promised, 256U * 1024 / IndexMemory::slab_bytes - 1 - IndexMemory::spare_slabs);
  EXPECT_EQ(memory.try_allocate(1), 0U) << "what is promised is not for others";
  memory.unpromise(1);
  EXPECT_NE(memory.try_allocate(1), 0U);
  EXPECT_FALSE(memory.promise(1));
  memory.unpromise(promised - 1);
  memory.check_invariants();
}

TEST(IndexMemory, BeyondWhatIsGrantedItAsksForEveryByteAndTakesNoMore) {
  IndexMemory memory(64_MiB);
  std::uint64_t granted = 1U << 20;
  std::uint64_t asked = 0;
  std::uint64_t may_have = 1U << 20;
  memory.bound_by({granted}, [&](ByteCount more) {
    ++asked;
    if (more.value > may_have) return false;
    may_have -= more.value;
    granted += more.value;
    return true;
  });
  std::uint32_t promised = 0;
  while (memory.promise(1)) ++promised;
  EXPECT_GT(asked, 1U);
  EXPECT_LE(memory.memory_bytes().value, granted + sizeof(memory));
  EXPECT_GT(memory.memory_bytes().value, (2U << 20) - (128U << 10)) << "all but the last step";
  const std::uint64_t mapped = memory.memory_bytes().value;
  memory.unpromise(promised);
  EXPECT_TRUE(memory.promise(promised)) << "what is mapped stays";
  EXPECT_EQ(memory.memory_bytes().value, mapped);
  // Tables of stripes lie elsewhere and count, too.
  may_have = 1U << 20;
  memory.add_tables(64U << 20);
  EXPECT_FALSE(memory.promise(1));
  memory.remove_tables(64U << 20);
  EXPECT_TRUE(memory.promise(1));
}

TEST(IndexMemory, PromisedSlabsCanBeTakenToTheLast) {
  IndexMemory memory(64_KiB);
  std::vector<IndexMemory::Handle> blocks;
  while (memory.promise(1)) {
    blocks.push_back(memory.allocate(IndexMemory::slab_units));
    memory.unpromise(1);
  }
  EXPECT_EQ(blocks.size(), 32U - 1 - IndexMemory::spare_slabs);
  for (const auto block : blocks) memory.free(block);
  memory.check_invariants();
}

// Blocks of random sizes, each filled with its own byte: nobody writes into another's.
TEST(IndexMemory, BlocksDoNotOverlapAndSlabsServeAnySizeAgain) {
  IndexMemory memory(1_MiB);
  SeededRandom random(7);
  std::map<IndexMemory::Handle, std::uint32_t> blocks;
  for (int round = 0; round < 200'000; ++round) {
    if (random.chance(11, 20)) {
      const auto units =
          static_cast<std::uint32_t>(1 + random.below(random.chance(1, 8) ? 128 : 16));
      const auto handle = memory.try_allocate(units);
      if (handle == 0) continue;
      ASSERT_GE(memory.capacity(handle), units);
      ASSERT_EQ(memory.capacity(handle), IndexMemory::rounded(units));
      ASSERT_TRUE(blocks.emplace(handle, units).second);
      std::memset(memory.at(handle), static_cast<int>(handle * 31 % 251), units * 16);
    } else if (!blocks.empty()) {
      auto it = blocks.lower_bound(static_cast<IndexMemory::Handle>(random.below(65536)));
      if (it == blocks.end()) it = blocks.begin();
      for (std::uint32_t i = 0; i < it->second * 16; ++i) {
        ASSERT_EQ(memory.at(it->first)[i], static_cast<std::byte>(it->first * 31 % 251));
      }
      memory.free(it->first);
      blocks.erase(it);
    }
    if (round % 10'000 == 0) memory.check_invariants();
  }
  for (const auto& [handle, units] : blocks) memory.free(handle);
  memory.check_invariants();
  EXPECT_LT(memory.used_bytes().value, 8'000U);
}

// Threads cut from slabs of their own only while there is plenty.
TEST(IndexMemory, WhatAnotherThreadHasBegunIsUsedBeforeMemoryRunsOut) {
  IndexMemory memory(64_MiB);
  IndexMemory::Handle theirs = 0;
  std::thread([&] { theirs = memory.try_allocate(1); }).join();
  ASSERT_NE(theirs, 0U);
  const ByteCount used = memory.used_bytes();
  for (std::uint32_t block = 1; block < IndexMemory::slab_units; ++block) {
    ASSERT_NE(memory.try_allocate(1), 0U);
  }
  EXPECT_EQ(memory.used_bytes(), used);
  ASSERT_TRUE(memory.promise(2 * IndexMemory::little));
  memory.unpromise(2 * IndexMemory::little);
  std::thread([&] { EXPECT_NE(memory.try_allocate(1), 0U); }).join();
  EXPECT_NE(memory.try_allocate(1), 0U);
  EXPECT_GT(memory.used_bytes().value, used.value + IndexMemory::slab_bytes);
  memory.check_invariants();
}

}  // namespace
}  // namespace engine
