#include "engine/cache/segment_shares.h"

#include <gtest/gtest.h>

namespace engine::test {
namespace {

constexpr std::uint32_t capacity = 20;

// Shares of a device, and how many of its segments are free.
struct Device {
  Device() { shares.set_capacity(capacity); }
  [[nodiscard]] std::uint32_t take_all(std::uint32_t tag) {
    std::uint32_t taken = 0;
    for (; shares.take(tag, free); ++taken) --free;
    shares.check_invariants();
    return taken;
  }
  void give_back(std::uint32_t tag) {
    shares.give_back(tag);
    ++free;
  }
  void all_clean(std::uint32_t tag) { shares.end_count(tag, shares.begin_count(tag), 0); }
  [[nodiscard]] Result<void, ShareFault> set(std::uint32_t tag, SegmentShare share) {
    return shares.set_share(tag, share);
  }

  SegmentShares shares;
  std::uint32_t free = capacity;
};

TEST(SegmentShares, AloneAVolumeMayHaveAllButTheReserve) {
  Device device;
  EXPECT_EQ(device.shares.room(1, device.free), 18U);
  EXPECT_EQ(device.take_all(1), 18U);
  EXPECT_EQ(device.shares.room(1, device.free), 0U);
  EXPECT_EQ(device.shares.used(1), 18U);
}

TEST(SegmentShares, MinimaThatDoNotFitAreRefusedAndNothingChanges) {
  Device device;
  ASSERT_TRUE(device.set(1, {.minimum = 10}));
  EXPECT_EQ(device.set(2, {.minimum = 9}).error(), ShareFault::too_much);
  EXPECT_EQ(device.shares.share(2), SegmentShare{});
  EXPECT_TRUE(device.set(2, {.minimum = 8}));
  // A volume's old minimum does not count beside its new one.
  EXPECT_TRUE(device.set(1, {.minimum = 9}));
  EXPECT_EQ(device.set(1, {.minimum = 4, .maximum = 3}).error(), ShareFault::contradiction);
  EXPECT_EQ(device.set(1, {.maximum = 0}).error(), ShareFault::contradiction);
  EXPECT_EQ(device.shares.share(1).minimum, 9U);
  device.shares.check_invariants();
}

TEST(SegmentShares, NobodyTakesMoreThanHisMaximum) {
  Device device;
  ASSERT_TRUE(device.set(1, {.maximum = 5}));
  EXPECT_EQ(device.take_all(1), 5U);
  device.give_back(1);
  EXPECT_EQ(device.take_all(1), 1U);
}

TEST(SegmentShares, WhatOthersHaveForCertainIsNotLentAsDirtySpace) {
  Device device;
  ASSERT_TRUE(device.set(2, {.minimum = 6}));
  EXPECT_EQ(device.take_all(1), capacity - 2 - 6);
  EXPECT_EQ(device.take_all(2), 6U);
}

TEST(SegmentShares, CleanSpaceIsLentBecauseItComesBack) {
  Device device;
  ASSERT_TRUE(device.set(2, {.minimum = 6}));
  EXPECT_EQ(device.take_all(1), 12U);
  device.all_clean(1);
  EXPECT_EQ(device.take_all(1), 6U);
  // The other one's minimum is room all the same, and the borrower has to give way.
  EXPECT_EQ(device.shares.room(2, device.free), 6U);
  EXPECT_EQ(device.shares.room(1, device.free), 0U);
  EXPECT_FALSE(device.shares.take(2, device.free));
  device.give_back(1);
  EXPECT_EQ(device.take_all(1), 0U) << "it goes to whom it was kept for";
  EXPECT_EQ(device.take_all(2), 1U);
}

TEST(SegmentShares, SegmentsTakenDuringACountAreDirty) {
  Device device;
  ASSERT_TRUE(device.set(2, {.minimum = 6}));
  EXPECT_EQ(device.take_all(1), 12U);
  const std::uint64_t begun = device.shares.begin_count(1);
  device.give_back(1);
  EXPECT_EQ(device.take_all(1), 1U);
  // Eleven were clean when they were counted; the twelfth has come since.
  device.shares.end_count(1, begun, 0);
  ASSERT_TRUE(device.set(2, {.minimum = 18}));
  // 8 free and 11 to be had back: not enough for 18, the reserve, and one more.
  EXPECT_EQ(device.take_all(1), 0U);
  device.all_clean(1);
  EXPECT_EQ(device.shares.room(1, device.free), 0U);
}

TEST(SegmentShares, WhatLogsMayNeedIsKeptFromData) {
  Device device;
  EXPECT_EQ(device.shares.set_log_need(19).error(), ShareFault::too_much);
  ASSERT_TRUE(device.shares.set_log_need(6));
  EXPECT_EQ(device.set(1, {.minimum = 13}).error(), ShareFault::too_much);
  ASSERT_TRUE(device.set(1, {.minimum = 12}));
  device.shares.log_took();
  --device.free;
  EXPECT_EQ(device.take_all(2), 0U) << "it is kept for the other one";
  EXPECT_EQ(device.take_all(1), 12U);
  EXPECT_EQ(device.free, 2U + 5U);
  device.shares.log_gave_back();
  ++device.free;
  EXPECT_EQ(device.take_all(2), 0U);
}

TEST(SegmentShares, LogsBeyondTheirNeedTakeWhatNobodyCountsOn) {
  Device device;
  ASSERT_TRUE(device.shares.set_log_need(4));
  ASSERT_TRUE(device.set(1, {.minimum = 5}));
  EXPECT_TRUE(device.shares.lends_to_logs(2 + 4 + 5 + 1));
  EXPECT_FALSE(device.shares.lends_to_logs(2 + 4 + 5));
  EXPECT_EQ(device.take_all(1), 14U);
  EXPECT_TRUE(device.shares.lends_to_logs(2 + 4 + 1));
  for (int log = 0; log < 4; ++log) device.shares.log_took();
  EXPECT_TRUE(device.shares.lends_to_logs(3));
  EXPECT_FALSE(device.shares.lends_to_logs(2));
}

TEST(SegmentShares, AHungDiskGetsItsMinimumAndNoMore) {
  Device device;
  ASSERT_TRUE(device.set(1, {.minimum = 3}));
  device.shares.set_progress(1, false);
  EXPECT_EQ(device.take_all(1), 3U);
  EXPECT_EQ(device.shares.room(1, device.free), 0U);
  EXPECT_EQ(device.shares.room(2, device.free), 15U);
  device.shares.set_progress(1, true);
  EXPECT_GT(device.take_all(1), 0U);
}

TEST(SegmentShares, AVolumeThatHasLeftKeepsNothing) {
  Device device;
  ASSERT_TRUE(device.set(1, {.minimum = 10}));
  device.shares.forget(1);
  EXPECT_EQ(device.take_all(2), 18U);
}

}  // namespace
}  // namespace engine::test
