#include "target/reactor/poll_policy.h"

#include <gtest/gtest.h>

namespace target {
namespace {

using namespace std::chrono_literals;

TEST(PollPolicy, PollsForTheLongestTimeAtFirst) {
  EXPECT_EQ(PollPolicy(100us).budget(), 100us);
  EXPECT_EQ(PollPolicy(0us).budget(), 0us);
}

TEST(PollPolicy, PollingInVainGetsShorterUntilItStops) {
  PollPolicy policy(100us);
  for (int i = 0; i < 3; ++i) policy.gave_up();
  EXPECT_EQ(policy.budget(), 100us);  // a burst may end a few times
  policy.gave_up();
  EXPECT_EQ(policy.budget(), 50us);
  for (int i = 0; i < 10; ++i) policy.gave_up();
  EXPECT_EQ(policy.budget(), 0us);
}

TEST(PollPolicy, SuccessForgivesFailures) {
  PollPolicy policy(100us);
  for (int i = 0; i < 100; ++i) {
    policy.gave_up();
    policy.found();
  }
  EXPECT_EQ(policy.budget(), 100us);
}

TEST(PollPolicy, SleepsThatPollingWouldHaveBridgedBringItBack) {
  PollPolicy policy(100us);
  for (int i = 0; i < 20; ++i) policy.gave_up();
  policy.slept(20us);
  policy.slept(5ms);  // not in a row
  policy.slept(20us);
  policy.slept(20us);
  EXPECT_EQ(policy.budget(), 0us);
  policy.slept(20us);
  EXPECT_EQ(policy.budget(), 100us);
}

TEST(PollPolicy, CoreThatOthersWantIsGivenAwayAtOnceAndForLonger) {
  PollPolicy policy(100us);
  policy.crowded();
  EXPECT_EQ(policy.budget(), 0us);
  int sleeps = 0;
  while (policy.budget() == 0us) {
    policy.slept(10us);
    ++sleeps;
  }
  policy.crowded();
  int more_sleeps = 0;
  while (policy.budget() == 0us) {
    policy.slept(10us);
    ++more_sleeps;
  }
  EXPECT_GT(sleeps, 50);
  EXPECT_GT(more_sleeps, sleeps);
}

}  // namespace
}  // namespace target
