#include "target/reactor/timer_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace target {
namespace {

using engine::Instant;
using testing::ElementsAre;
using namespace std::chrono_literals;

Instant at(engine::Duration since_start) { return {since_start}; }

class TimerQueueTest : public testing::Test {
 protected:
  Timer note(int number) {
    return Timer([this, number] { expired.push_back(number); });
  }
  TimerQueue queue;
  std::vector<int> expired;
};

TEST_F(TimerQueueTest, ExpiresInOrderOfDeadlinesAndOnlyOnce) {
  Timer a = note(1);
  Timer b = note(2);
  Timer c = note(3);
  queue.arm(b, at(20ms));
  queue.arm(c, at(30ms));
  queue.arm(a, at(10ms));
  EXPECT_EQ(queue.next_deadline(), at(10ms));
  EXPECT_EQ(queue.expire(at(9ms)), 0U);
  EXPECT_EQ(queue.expire(at(20ms)), 2U);
  EXPECT_THAT(expired, ElementsAre(1, 2));
  EXPECT_FALSE(a.armed());
  EXPECT_TRUE(c.armed());
  EXPECT_EQ(queue.expire(at(1h)), 1U);
  EXPECT_EQ(queue.next_deadline(), std::nullopt);
}

TEST_F(TimerQueueTest, RearmedTimerHasOnlyItsLastDeadline) {
  Timer a = note(1);
  queue.arm(a, at(10ms));
  queue.arm(a, at(50ms));
  EXPECT_EQ(queue.expire(at(40ms)), 0U);
  EXPECT_EQ(queue.expire(at(50ms)), 1U);
}

TEST_F(TimerQueueTest, DisarmedOrDestroyedTimerNeverExpires) {
  Timer a = note(1);
  auto b = std::make_unique<Timer>([this] { expired.push_back(2); });
  queue.arm(a, at(1ms));
  queue.arm(*b, at(1ms));
  EXPECT_EQ(queue.size(), 2U);
  a.disarm();
  EXPECT_EQ(queue.size(), 1U);
  b.reset();
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(queue.expire(at(1h)), 0U);
}

TEST_F(TimerQueueTest, CountsEachArmedTimerOnceAndMayGoFirst) {
  Timer a = note(1);
  Timer b = note(2);
  {
    TimerQueue shorter;
    shorter.arm(a, at(1ms));
    shorter.arm(a, at(2ms));
    EXPECT_EQ(shorter.size(), 1U);
    shorter.arm(b, at(1ms));
    queue.arm(b, at(1ms));  // a timer has one queue
    EXPECT_EQ(shorter.size(), 1U);
    EXPECT_EQ(queue.size(), 1U);
  }
  EXPECT_FALSE(a.armed());
  EXPECT_TRUE(b.armed());
  EXPECT_EQ(queue.expire(at(1ms)), 1U);
  EXPECT_EQ(queue.size(), 0U);
}

TEST_F(TimerQueueTest, TimerMayArmItselfAgainAndDestroyOthersFromInside) {
  std::unique_ptr<Timer> victim;
  int runs = 0;
  Timer again([&] {
    victim.reset();
    if (++runs < 3) queue.arm(again, at(engine::Duration(runs * 10ms)));
  });
  victim = std::make_unique<Timer>([this] { expired.push_back(9); });
  queue.arm(again, at(1ms));
  queue.arm(*victim, at(2ms));
  EXPECT_EQ(queue.expire(at(1h)), 3U);
  EXPECT_TRUE(expired.empty());
}

TEST_F(TimerQueueTest, TimerThatAlwaysArmsItselfInThePastDoesNotHoldTheTurn) {
  Timer endless([&] { queue.arm(endless, at(0ms)); });
  queue.arm(endless, at(0ms));
  EXPECT_EQ(queue.expire(at(1ms)), TimerQueue::most_expiries);
}

}  // namespace
}  // namespace target
