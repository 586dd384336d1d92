#include "target/iscsi/command_window.h"

#include <gtest/gtest.h>

namespace target::iscsi {
namespace {

using Order = CommandWindow::Order;
constexpr std::uint32_t all = 0xffff;

TEST(CommandWindow, NumbersAreTakenInOrderWithinWhatWasPromised) {
  CommandWindow window;
  window.begin(10, 4);
  EXPECT_EQ(window.highest(all), 13U);
  EXPECT_EQ(window.order_of(10), Order::next);
  EXPECT_EQ(window.order_of(11), Order::gap);
  EXPECT_EQ(window.order_of(13), Order::gap);
  EXPECT_EQ(window.order_of(14), Order::outside);
  EXPECT_EQ(window.order_of(9), Order::outside);
  window.took();
  EXPECT_EQ(window.order_of(10), Order::outside);
  EXPECT_EQ(window.order_of(11), Order::next);
}

TEST(CommandWindow, NothingIsTakenBeforeItWasPromised) {
  CommandWindow window;
  window.begin(10, 4);
  EXPECT_EQ(window.order_of(10), Order::outside);
}

TEST(CommandWindow, ClosesWithEveryOutstandingCommandAndOpensAgain) {
  CommandWindow window;
  window.begin(1, 2);
  EXPECT_EQ(window.highest(all), 2U);
  for (int i = 0; i < 2; ++i) {
    window.took();
    window.slot_taken();
  }
  EXPECT_EQ(window.expected(), 3U);
  EXPECT_EQ(window.highest(all), 2U);
  EXPECT_EQ(window.order_of(3), Order::outside);
  window.slot_given_back();
  EXPECT_EQ(window.highest(all), 3U);
  EXPECT_EQ(window.order_of(3), Order::next);
}

TEST(CommandWindow, WhatIsNoCommandTakesNoPlace) {
  CommandWindow window;
  window.begin(1, 2);
  (void)window.highest(all);
  window.took();  // a NOP-Out, say
  EXPECT_EQ(window.highest(all), 3U);
}

TEST(CommandWindow, APromiseIsKeptWhenMemoryGetsShort) {
  CommandWindow window;
  window.begin(1, 16);
  EXPECT_EQ(window.highest(all), 16U);
  window.took();
  window.slot_taken();
  EXPECT_EQ(window.highest(/*most=*/4), 16U);
  for (int i = 0; i < 15; ++i) {
    window.took();
    window.slot_taken();
  }
  EXPECT_EQ(window.highest(4), 16U);
  for (int i = 0; i < 14; ++i) window.slot_given_back();
  EXPECT_EQ(window.highest(4), 18U);  // two are outstanding
  EXPECT_EQ(window.highest(all), 30U);
}

TEST(CommandWindow, NumbersWrap) {
  CommandWindow window;
  window.begin(0xffff'fffe, 4);
  EXPECT_EQ(window.highest(all), 1U);
  window.took();
  window.took();
  EXPECT_EQ(window.expected(), 0U);
  EXPECT_EQ(window.order_of(0), Order::next);
  EXPECT_EQ(window.order_of(0xffff'ffff), Order::outside);
  EXPECT_EQ(window.order_of(1), Order::gap);
  EXPECT_EQ(window.order_of(0x8000'0000), Order::outside);
}

}  // namespace
}  // namespace target::iscsi
