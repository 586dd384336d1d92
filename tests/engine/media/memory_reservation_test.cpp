#include "engine/media/memory_reservation.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

TEST(MemoryReservation, IsTakenFromWhatBuffersMayHave) {
  MemoryBudget budget(64_MiB);
  {
    MemoryReservation index(budget);
    ASSERT_TRUE(index.ask(48_MiB));
    EXPECT_EQ(budget.reserved(), 48_MiB);
    EXPECT_EQ(budget.used(), ByteCount{});
    EXPECT_TRUE(budget.has_free(16_MiB));
    EXPECT_FALSE(budget.has_free(ByteCount{(16U << 20) + 1}));
    ASSERT_TRUE(budget.try_take(16_MiB));
    EXPECT_FALSE(budget.try_take(4_KiB));
  }
  EXPECT_EQ(budget.reserved(), ByteCount{});
  EXPECT_TRUE(budget.try_take(48_MiB));
  budget.give_back(64_MiB);
}

TEST(MemoryReservation, LeavesToBuffersWhatIsKeptForThem) {
  MemoryBudget budget(64_MiB, 8_MiB);
  MemoryReservation index(budget);
  EXPECT_FALSE(index.ask(ByteCount{(56U << 20) + 1}));
  EXPECT_EQ(index.held(), ByteCount{});
  EXPECT_TRUE(index.ask(56_MiB));
  EXPECT_FALSE(index.grow(ByteCount{1}));
}

// Whether a configuration is enough does not depend on what hosts do at the moment.
TEST(MemoryReservation, DoesNotAskWhatBuffersHaveNowAndTheyGiveWay) {
  MemoryBudget budget(64_MiB);
  ASSERT_TRUE(budget.try_take(60_MiB));
  MemoryReservation index(budget);
  EXPECT_TRUE(index.ask(32_MiB));
  EXPECT_FALSE(budget.has_free(ByteCount{1}));
  EXPECT_FALSE(budget.try_take(4_KiB));
  budget.give_back(32_MiB);
  EXPECT_TRUE(budget.try_take(4_MiB));
  EXPECT_FALSE(budget.try_take(4_KiB));
  budget.give_back(32_MiB);
}

TEST(MemoryReservation, GrowsOnlyIntoWhatNobodyHas) {
  MemoryBudget budget(64_MiB, 4_MiB);
  MemoryReservation index(budget);
  ASSERT_TRUE(index.ask(16_MiB));
  ASSERT_TRUE(budget.try_take(24_MiB));
  EXPECT_FALSE(index.grow(ByteCount{(24U << 20) + 1}));
  EXPECT_TRUE(index.grow(24_MiB));
  EXPECT_EQ(index.held(), 40_MiB);
  budget.give_back(24_MiB);
  EXPECT_TRUE(index.grow(20_MiB)) << "but for what is kept";
  EXPECT_FALSE(index.grow(ByteCount{1}));
}

TEST(MemoryReservation, WhatIsRefusedIsKnownToBeNeeded) {
  MemoryBudget budget(64_MiB, 8_MiB);
  MemoryReservation first(budget);
  ASSERT_TRUE(first.ask(40_MiB));
  {
    MemoryReservation second(budget);
    EXPECT_FALSE(second.ask(30_MiB));
    EXPECT_FALSE(second.ask(24_MiB)) << "in place of the first";
    EXPECT_EQ(budget.needed(), 72_MiB);
    EXPECT_EQ(budget.reserved(), 40_MiB);
  }
  EXPECT_EQ(budget.needed(), 48_MiB);
}

TEST(MemoryReservation, ThoseWhoWaitForABufferHearOfItsEnd) {
  MemoryBudget budget(1_MiB);
  BufferPool pool(budget);
  struct Waiter final : BufferWaiter {
    void buffer_available() override { ++calls; }
    int calls = 0;
  } waiter;
  {
    MemoryReservation index(budget);
    ASSERT_TRUE(index.ask(1_MiB));
    ASSERT_FALSE(pool.lease(64_KiB));
    pool.wait(waiter);
    pool.wake_waiters();
    EXPECT_EQ(waiter.calls, 0);
  }
  pool.wake_waiters();
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_TRUE(pool.lease(64_KiB));
}

}  // namespace
}  // namespace engine
