#include "engine/cache/turn_stock.h"

#include <gmock/gmock.h>

#include <vector>

namespace engine::test {
namespace {

using ::testing::ElementsAre;

// Has so much, of which it lets go ahead only what leaves `kept`.
struct Shared {
  std::uint64_t has = 0;
  std::uint64_t kept = 0;
  std::vector<std::uint64_t> asked = {};

  auto ask() {
    return [this](std::uint64_t amount, TurnStock::What what) {
      asked.push_back(amount);
      if (amount + (what == TurnStock::What::ahead ? kept : 0) > has) return false;
      has -= amount;
      return true;
    };
  }
};

TEST(TurnStock, AFewQuestionsServeManyCommands) {
  Shared shared{.has = 1000};
  TurnStock stock;
  for (int command = 0; command < 32; ++command) ASSERT_TRUE(stock.take(3, shared.ask()));
  EXPECT_THAT(shared.asked, ElementsAre(3, 6, 12, 24, 48, 96));
  shared.has += stock.end();
  EXPECT_EQ(shared.has, 1000U - 32 * 3);
}

TEST(TurnStock, ALoneCommandAsksForWhatItNeeds) {
  Shared shared{.has = 1000};
  TurnStock stock;
  for (int turn = 0; turn < 3; ++turn) {
    ASSERT_TRUE(stock.take(5, shared.ask()));
    EXPECT_EQ(stock.end(), 0U);
  }
  EXPECT_THAT(shared.asked, ElementsAre(5, 5, 5));
}

TEST(TurnStock, WhatIsRefusedAheadIsAskedForAsNeeded) {
  Shared shared{.has = 12, .kept = 100};
  TurnStock stock;
  for (int command = 0; command < 3; ++command) ASSERT_TRUE(stock.take(4, shared.ask()));
  EXPECT_THAT(shared.asked, ElementsAre(4, 8, 4, 12, 4));
  EXPECT_FALSE(stock.take(4, shared.ask()));
  EXPECT_EQ(shared.has, 0U);
  EXPECT_EQ(stock.end(), 0U);
}

TEST(TurnStock, ARefusalLeavesWhatItHasAndThatCountsForALargerCommand) {
  Shared shared{.has = 9};
  TurnStock stock;
  ASSERT_TRUE(stock.take(2, shared.ask()));
  ASSERT_TRUE(stock.take(2, shared.ask()));
  EXPECT_FALSE(stock.take(20, shared.ask()));
  EXPECT_TRUE(stock.take(5, shared.ask()));
  EXPECT_EQ(stock.end() + shared.has, 0U);
}

}  // namespace
}  // namespace engine::test
