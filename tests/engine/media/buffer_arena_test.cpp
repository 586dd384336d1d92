#include "engine/media/buffer_arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/buffer_pool.h"

namespace engine {
namespace {

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST(BufferArena, BlocksAreAlignedAndDoNotOverlap) {
  BufferArena arena;
  SeededRandom random(20261126);
  std::map<std::byte*, std::size_t> held;
  for (int step = 0; step < 20000; ++step) {
    if (held.empty() || random.below(5) > 1) {
      const std::size_t size_class = random.below(BufferArena::class_count);
      const std::size_t length = BufferArena::page_bytes << size_class;
      std::byte* block = arena.allocate(size_class);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % std::min<std::size_t>(length, 65536), 0U);
      const auto next = held.lower_bound(block);
      if (next != held.end()) {
        ASSERT_LE(block + length, next->first);
      }
      if (next != held.begin()) {
        const auto before = std::prev(next);
        ASSERT_LE(before->first + (BufferArena::page_bytes << before->second), block);
      }
      held[block] = size_class;
    } else {
      auto victim = held.begin();
      std::advance(victim, static_cast<std::ptrdiff_t>(
                               random.below(std::min<std::size_t>(held.size(), 50))));
      arena.release(victim->first, victim->second);
      held.erase(victim);
    }
    if (held.size() > 200) {
      for (const auto& [block, size_class] : held) arena.release(block, size_class);
      held.clear();
    }
    if (step % 100 == 0) arena.check_invariants();
  }
  for (const auto& [block, size_class] : held) arena.release(block, size_class);
  arena.check_invariants();
  arena.trim();
  EXPECT_EQ(arena.mapped_bytes(), 0U);
}

constexpr std::size_t mib = 1U << 20;

// What resident memory may grow by beside what is expected. Shadow memory of a sanitizer counts
// too, several bytes for each: there the release build alone judges.
#ifdef FOREBAY_SANITIZED
constexpr std::size_t slack = 1024 * mib;
#else
constexpr std::size_t slack = 4 * mib;
#endif

// What the cap counts is what the machine gives, whatever the size of the leases.
class ResidentSize : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ResidentSize, AtTheCapIsTheCap) {
  MemoryBudget budget(64_MiB);
  BufferPool pool(budget);
  std::vector<BufferLease> leases;
  leases.reserve(64 * mib / 4096);
  std::memset(static_cast<void*>(leases.data()), 0, 64 * mib / 4096 * sizeof(BufferLease));
  const std::size_t before = resident_bytes();
  while (auto lease = pool.lease({GetParam()})) {
    std::memset(lease->bytes().data(), 0x5a, lease->bytes().size());
    leases.push_back(std::move(*lease));
  }
  EXPECT_EQ(budget.used(), 64_MiB);
  const std::size_t grown = resident_bytes() - before;
  EXPECT_GE(grown, 60 * mib);
  EXPECT_LE(grown, 64 * mib + slack);
  leases.clear();
  for (int i = 0; i < 40; ++i) pool.trim();
  EXPECT_LE(resident_bytes(), before + slack) << "trimming gives it back";
}

INSTANTIATE_TEST_SUITE_P(Leases, ResidentSize, testing::Values(4096, 12288, 65536, 2 * mib));

// Holes between small leases are not counted, so they must not stay in memory beside new large
// ones.
TEST(BufferArena, ChangeFromSmallToLargeLeasesDoesNotAddUp) {
  MemoryBudget budget(64_MiB);
  BufferPool pool(budget);
  const std::size_t before = resident_bytes();
  std::vector<BufferLease> all;
  while (auto lease = pool.lease(4_KiB)) {
    std::memset(lease->bytes().data(), 0x5a, 4096);
    all.push_back(std::move(*lease));
  }
  std::vector<BufferLease> kept;
  for (std::size_t i = 0; i < all.size(); i += 256) kept.push_back(std::move(all[i]));
  all.clear();
  std::vector<BufferLease> large;
  while (auto lease = pool.lease(1_MiB)) {
    std::memset(lease->bytes().data(), 0x5a, 1 << 20);
    large.push_back(std::move(*lease));
  }
  EXPECT_GE(large.size(), 62U);
  EXPECT_LE(resident_bytes(), before + 68 * mib + slack);
}

}  // namespace
}  // namespace engine
