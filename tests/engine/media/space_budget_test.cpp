// SpaceBudget: nothing is promised twice, whoever measures, ends or writes back at the same time.
#include "engine/media/space_budget.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

void measure(SpaceBudget& budget, ByteCount owed, std::optional<ByteCount> free) {
  budget.measure([owed] { return owed; }, [free] { return free; });
}

TEST(SpaceBudget, HasNothingBeforeItIsMeasured) {
  SpaceBudget budget;
  EXPECT_FALSE(budget.admits(1_KiB));
  measure(budget, {}, 4_KiB);
  EXPECT_TRUE(budget.admits(4_KiB));
  EXPECT_FALSE(budget.admits(1_KiB));
}

TEST(SpaceBudget, WhatIsUnderWayIsNotGivenTwice) {
  SpaceBudget budget;
  measure(budget, {}, 16_KiB);
  ASSERT_TRUE(budget.admits(12_KiB));
  measure(budget, {}, 16_KiB);
  EXPECT_EQ(budget.promised(), 12_KiB);
  EXPECT_FALSE(budget.admits(8_KiB));
  EXPECT_TRUE(budget.admits(4_KiB));
}

TEST(SpaceBudget, WhatHasEndedIsOwedUntilItIsOnTheFileSystem) {
  SpaceBudget budget;
  measure(budget, {}, 16_KiB);
  ASSERT_TRUE(budget.admits(12_KiB));
  budget.ended(12_KiB);
  measure(budget, 12_KiB, 16_KiB);
  EXPECT_EQ(budget.promised(), 12_KiB);
  EXPECT_FALSE(budget.admits(8_KiB));
  measure(budget, {}, 4_KiB);  // written back
  EXPECT_EQ(budget.promised(), ByteCount{});
  EXPECT_TRUE(budget.admits(4_KiB));
  budget.ended(4_KiB);  // it failed
  measure(budget, {}, 4_KiB);
  EXPECT_TRUE(budget.admits(4_KiB));
}

TEST(SpaceBudget, WhatIsFoundIsNobodyElsesFromThenOn) {
  SpaceBudget budget;
  measure(budget, {}, 16_KiB);
  budget.found(12_KiB);
  EXPECT_FALSE(budget.admits(8_KiB));
  measure(budget, 12_KiB, 16_KiB);
  EXPECT_FALSE(budget.admits(8_KiB));
  EXPECT_TRUE(budget.admits(4_KiB));
}

TEST(SpaceBudget, WhereNothingCanBeToldNothingChanges) {
  SpaceBudget budget;
  measure(budget, {}, 16_KiB);
  measure(budget, 16_KiB, std::nullopt);
  EXPECT_TRUE(budget.admits(16_KiB));
  measure(budget, {}, ByteCount{});
  EXPECT_FALSE(budget.admits(1_KiB));
}

// A file system, and a cache in front of it, as the budget sees them.
struct Disk {
  explicit Disk(std::int64_t bytes) : free(bytes) {}
  std::atomic<std::int64_t> free;
  std::atomic<std::uint64_t> logged{0};
  std::atomic<std::uint64_t> written{0};

  void write_back() {
    const std::uint64_t to = logged.load(std::memory_order_acquire);
    const std::uint64_t from = written.load(std::memory_order_relaxed);
    free.fetch_sub(static_cast<std::int64_t>(to - from));
    written.store(to, std::memory_order_release);
  }
  [[nodiscard]] ByteCount owed() const {
    const std::uint64_t done = written.load(std::memory_order_acquire);
    return {logged.load(std::memory_order_acquire) - done};
  }
  [[nodiscard]] std::optional<ByteCount> free_now() const {
    return ByteCount{static_cast<std::uint64_t>(std::max<std::int64_t>(free.load(), 0))};
  }
};

TEST(SpaceBudget, EverythingAdmittedFindsItsPlaceWhateverHappensTogether) {
  constexpr std::int64_t capacity = 40'000;
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SpaceBudget budget;
    Disk disk(capacity);
    std::atomic<bool> ended{false};
    std::atomic<std::uint64_t> taken{0};
    const auto writer = [&](std::uint64_t number) {
      SeededRandom random(seed * 100 + number);
      for (int write = 0; write < 4000; ++write) {
        const std::uint64_t bytes = 1 + random.below(16);
        if (!budget.admits({bytes})) continue;
        if (random.below(4) == 0) {  // around the cache
          disk.free.fetch_sub(static_cast<std::int64_t>(bytes));
          taken.fetch_add(bytes);
        } else if (random.below(4) != 0) {  // else it fails
          disk.logged.fetch_add(bytes, std::memory_order_release);
          taken.fetch_add(bytes);
        }
        budget.ended({bytes});
      }
    };
    measure(budget, {}, disk.free_now());
    std::vector<std::thread> threads;
    for (std::uint64_t number = 1; number <= 3; ++number) threads.emplace_back(writer, number);
    std::thread keeper([&] {
      while (!ended.load()) {
        budget.measure([&] { return disk.owed(); }, [&] { return disk.free_now(); });
      }
    });
    std::thread write_back([&] {
      while (!ended.load()) {
        disk.write_back();
        EXPECT_GE(disk.free.load(), 0);
      }
    });
    for (auto& thread : threads) thread.join();
    ended.store(true);
    keeper.join();
    write_back.join();
    disk.write_back();
    EXPECT_GE(disk.free.load(), 0);
    EXPECT_EQ(disk.free.load(), capacity - static_cast<std::int64_t>(taken.load()));
    budget.measure([&] { return disk.owed(); }, [&] { return disk.free_now(); });
    EXPECT_EQ(budget.promised(), ByteCount{});
    EXPECT_GT(taken.load(), capacity / 2U) << "it admits";
  }
}

}  // namespace
}  // namespace engine
