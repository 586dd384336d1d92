#include "engine/media/buffer_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace engine {
namespace {

struct Waiter final : BufferWaiter {
  BufferPool& pool;
  ByteCount wanted;
  std::optional<BufferLease> got;
  int calls = 0;
  std::vector<Waiter*>* order = nullptr;
  Waiter(BufferPool& from, ByteCount bytes) : pool(from), wanted(bytes) {}
  void buffer_available() override {
    ++calls;
    got = pool.lease(wanted);
    if (!got) {
      pool.wait(*this);
    } else if (order != nullptr) {
      order->push_back(this);
    }
  }
};

TEST(BufferPool, WhatABusyTimeLeftIsGivenBackBitByBit) {
  MemoryBudget budget(64_MiB);
  BufferPool pool(budget);
  {
    std::vector<BufferLease> leases;
    for (int i = 0; i < 8; ++i) leases.push_back(std::move(*pool.lease(1_MiB)));
    leases.push_back(std::move(*pool.lease(4_KiB)));
  }
  std::uint64_t used = budget.used().value;
  EXPECT_GT(used, 4U << 20) << "kept for reuse";
  const auto held = pool.lease(1_MiB);
  for (int i = 0; i < 30; ++i) {
    pool.trim();
    EXPECT_LE(budget.used().value, used);
    used = budget.used().value;
  }
  EXPECT_EQ(budget.used(), 1_MiB) << "what is leased stays";
}

TEST(BufferPool, BuffersAreAlignedAndAtLeastAsLong) {
  MemoryBudget budget(64_MiB);
  BufferPool pool(budget);
  for (const std::uint64_t bytes :
       {1ULL, 512ULL, 4096ULL, 4097ULL, 65536ULL, 1000000ULL, 2ULL << 20}) {
    auto lease = pool.lease({bytes});
    ASSERT_TRUE(lease.has_value()) << bytes;
    EXPECT_GE(lease->bytes().size(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lease->bytes().data()) % 4096, 0U);
    std::memset(lease->bytes().data(), 0x5a, lease->bytes().size());
  }
}

TEST(BufferPool, ExhaustedBudgetGivesNothingAndTakesNothing) {
  MemoryBudget budget(8_KiB);
  BufferPool pool(budget);
  auto first = pool.lease(4_KiB);
  auto second = pool.lease(4_KiB);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(pool.lease(4_KiB).has_value());
  EXPECT_EQ(budget.used(), 8_KiB);
  second->release();
  EXPECT_TRUE(pool.lease(4_KiB).has_value());
}

TEST(BufferPool, HugeRequestsDoNotWrapTheBudget) {
  MemoryBudget budget(8_KiB);
  ASSERT_TRUE(budget.try_take(8_KiB));
  EXPECT_FALSE(budget.try_take({~std::uint64_t{0}}));
  EXPECT_FALSE(budget.try_take({1}));
  budget.give_back(8_KiB);
  EXPECT_EQ(budget.used(), ByteCount{0});
}

TEST(BufferPool, ReleasedBufferIsReusedAndDestructionGivesAllBack) {
  MemoryBudget budget(64_MiB);
  {
    BufferPool pool(budget);
    std::byte* memory = nullptr;
    {
      auto lease = pool.lease(4_KiB);
      memory = lease->bytes().data();
    }
    EXPECT_EQ(budget.used(), 4_KiB);  // kept
    auto again = pool.lease(4_KiB);
    EXPECT_EQ(again->bytes().data(), memory);
  }
  EXPECT_EQ(budget.used(), ByteCount{0});
}

TEST(BufferPool, KeptBuffersOfOneClassMakeRoomForAnother) {
  MemoryBudget budget(64_KiB);
  BufferPool pool(budget);
  { auto small = pool.lease(8_KiB); }
  EXPECT_EQ(budget.used(), 8_KiB);
  EXPECT_TRUE(pool.lease(64_KiB).has_value());
}

TEST(BufferPool, WaitersAreServedInOrderAndNobodyOvertakes) {
  MemoryBudget budget(8_KiB);
  BufferPool pool(budget);
  auto held = pool.lease(8_KiB);
  std::vector<Waiter*> order;
  Waiter first(pool, 4_KiB);
  Waiter second(pool, 4_KiB);
  Waiter third(pool, 4_KiB);
  for (Waiter* waiter : {&first, &second, &third}) {
    waiter->order = &order;
    EXPECT_FALSE(pool.lease(waiter->wanted).has_value());
    pool.wait(*waiter);
  }
  pool.wake_waiters();
  EXPECT_EQ(first.calls, 0) << "nothing has come free";
  held->release();
  EXPECT_FALSE(pool.lease(4_KiB).has_value()) << "earlier waiters come first";
  pool.wake_waiters();
  EXPECT_EQ(order, (std::vector<Waiter*>{&first, &second}));
  EXPECT_FALSE(third.got.has_value());
  first.got.reset();
  pool.wake_waiters();
  EXPECT_EQ(order, (std::vector<Waiter*>{&first, &second, &third}));
  EXPECT_FALSE(pool.has_waiters());
}

TEST(BufferPool, LargeWaiterKeepsItsPlaceUntilEnoughIsFree) {
  MemoryBudget budget(16_KiB);
  BufferPool pool(budget);
  std::vector<BufferLease> held;
  for (int at = 0; at < 4; ++at) held.push_back(*pool.lease(4_KiB));
  Waiter large(pool, 16_KiB);
  Waiter small(pool, 4_KiB);
  pool.wait(large);
  pool.wait(small);
  held.pop_back();
  pool.wake_waiters();
  EXPECT_FALSE(small.got.has_value()) << "would starve the large one";
  held.clear();
  pool.wake_waiters();
  EXPECT_TRUE(large.got.has_value());
  EXPECT_FALSE(small.got.has_value());
  large.got.reset();
  pool.wake_waiters();
  EXPECT_TRUE(small.got.has_value());
}

TEST(BufferPool, DestroyedWaiterIsForgotten) {
  MemoryBudget budget(4_KiB);
  BufferPool pool(budget);
  auto held = pool.lease(4_KiB);
  {
    Waiter gone(pool, 4_KiB);
    pool.wait(gone);
  }
  EXPECT_FALSE(pool.has_waiters());
  held->release();
  pool.wake_waiters();
  EXPECT_TRUE(pool.lease(4_KiB).has_value());
}

TEST(BufferPool, WaiterInOnePoolGetsWhatAnotherPoolKeeps) {
  MemoryBudget budget(64_KiB);
  bool other_woken = false;
  bool waiter_woken = false;
  BufferPool other(budget, [&] { other_woken = true; });
  BufferPool pool(budget, [&] { waiter_woken = true; });
  { auto kept = other.lease(8_KiB); }
  ASSERT_EQ(budget.used(), 8_KiB);
  Waiter waiter(pool, 64_KiB);
  ASSERT_FALSE(pool.lease(64_KiB).has_value());
  pool.wait(waiter);
  EXPECT_TRUE(other_woken);
  other.wake_waiters();  // its thread's next turn
  EXPECT_TRUE(waiter_woken);
  pool.wake_waiters();
  EXPECT_TRUE(waiter.got.has_value());
}

struct Watcher final : BufferWaiter {
  explicit Watcher(BufferPool& from) : pool(from) {}
  void buffer_available() override {
    ++calls;
    if (watch_on) pool.watch(*this);
  }
  BufferPool& pool;
  int calls = 0;
  bool watch_on = false;
};

TEST(BufferPool, WatcherIsToldWhateverComesFreeAndHoldsNobodyBack) {
  MemoryBudget budget(64_KiB);
  BufferPool pool(budget);
  auto held = pool.lease(8_KiB);
  Watcher watcher(pool);
  pool.watch(watcher);
  EXPECT_TRUE(pool.has_waiters());
  pool.wake_waiters();
  EXPECT_EQ(watcher.calls, 0);
  EXPECT_TRUE(pool.lease(4_KiB).has_value()) << "nobody waits behind it";
  pool.wake_waiters();
  EXPECT_EQ(watcher.calls, 1) << "even what is kept for reuse";
  watcher.watch_on = true;
  pool.watch(watcher);
  held->release();
  pool.wake_waiters();
  pool.wake_waiters();
  EXPECT_EQ(watcher.calls, 2) << "once for each time";
}

TEST(BufferPool, WatcherIsToldWhatComesFreeInAnotherPool) {
  MemoryBudget budget(64_KiB);
  bool woken = false;
  bool other_woken = false;
  BufferPool pool(budget, [&] { woken = true; });
  BufferPool other(budget, [&] { other_woken = true; });
  auto held = other.lease(8_KiB);
  auto held_longer = other.lease(8_KiB);
  Watcher watcher(pool);
  held->release();  // between the look and the wish to be told
  pool.watch(watcher);
  EXPECT_TRUE(other_woken);
  other.wake_waiters();
  EXPECT_TRUE(woken);
  pool.wake_waiters();
  EXPECT_EQ(watcher.calls, 1);

  pool.watch(watcher);
  other.wake_waiters();
  pool.wake_waiters();
  woken = false;
  watcher.calls = 0;
  pool.watch(watcher);
  other.wake_waiters();
  pool.wake_waiters();
  watcher.calls = 0;
  pool.watch(watcher);
  woken = false;
  held_longer->release();
  EXPECT_TRUE(woken);
  pool.wake_waiters();
  EXPECT_GE(watcher.calls, 1);
}

TEST(BufferPool, WhatIsKeptForReuseCountsAsFree) {
  MemoryBudget budget(64_KiB);
  BufferPool pool(budget);
  auto held = pool.lease(32_KiB);
  { auto kept = pool.lease(8_KiB); }
  EXPECT_EQ(budget.used(), 40_KiB);
  EXPECT_TRUE(budget.has_free(32_KiB));
  EXPECT_FALSE(budget.has_free(ByteCount{(32U << 10) + 1}));
  EXPECT_FALSE(budget.has_free(ByteCount{~std::uint64_t{0}}));
}

TEST(BufferPool, ReserveIsThereWhenTheBudgetIsGone) {
  MemoryBudget budget(4_KiB);
  BufferPool pool(budget);
  auto held = pool.lease(4_KiB);
  auto reserve = pool.lease_reserve();
  ASSERT_TRUE(reserve.has_value());
  EXPECT_EQ(reserve->bytes().size(), BufferPool::reserve_length.value);
  EXPECT_FALSE(pool.lease_reserve().has_value());
  struct ReserveWaiter final : BufferWaiter {
    explicit ReserveWaiter(BufferPool& from) : pool(from) {}
    BufferPool& pool;
    std::optional<BufferLease> got;
    void buffer_available() override { got = pool.lease_reserve(); }
  } waiter(pool);
  pool.wait_for_reserve(waiter);
  reserve->release();
  pool.wake_waiters();
  EXPECT_TRUE(waiter.got.has_value()) << "must not wait behind those who hold everything";
}

// Threads that take and give back, with waiters, until each has had its share: nobody is left
// waiting.
TEST(BufferPool, ThreadsSharingABudgetAllMakeProgress) {
  constexpr int rounds = 2000;
  constexpr int thread_count = 3;
  MemoryBudget budget(16_KiB);
  std::vector<std::thread> threads;
  for (int number = 0; number < thread_count; ++number) {
    threads.emplace_back([&budget, number] {
      std::atomic<bool> woken{false};
      BufferPool pool(budget, [&woken] {
        woken.store(true);
        woken.notify_one();
      });
      const ByteCount wanted = number == 0 ? 16_KiB : 8_KiB;
      for (int round = 0; round < rounds; ++round) {
        auto lease = pool.lease(wanted);
        if (!lease) {
          Waiter waiter(pool, wanted);
          pool.wait(waiter);
          while (!waiter.got) {
            woken.wait(false);
            woken.store(false);
            pool.wake_waiters();
          }
          lease = std::move(waiter.got);
        }
        std::memset(lease->bytes().data(), number, lease->bytes().size());
        lease.reset();
        pool.wake_waiters();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), ByteCount{0});
}

}  // namespace
}  // namespace engine
