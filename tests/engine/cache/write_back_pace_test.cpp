#include "engine/cache/write_back_pace.h"

#include <gtest/gtest.h>

namespace engine::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant start{std::chrono::hours(1)};

TEST(WriteBackPace, SpaceBeginsAtTheHighMarkAndEndsAtTheLowOne) {
  WriteBackPace pace({.high_percent = 60, .low_percent = 40});
  const auto goal_at = [&pace](ByteCount backlog) {
    pace.look(start, backlog, 0, 9);
    return pace.goal(9);
  };
  EXPECT_EQ(goal_at(99_MiB), 0U) << "a share that nobody knows is no reason";
  pace.set_share(100_MiB);
  EXPECT_EQ(goal_at(60_MiB), 0U);
  EXPECT_EQ(goal_at(61_MiB), 9U);
  EXPECT_EQ(goal_at(41_MiB), 9U);
  EXPECT_EQ(goal_at(40_MiB), 0U);
  EXPECT_EQ(goal_at(59_MiB), 0U);
}

TEST(WriteBackPace, NothingStaysDirtyBeyondItsAge) {
  WriteBackPace pace({.most_age = seconds(30)});
  pace.look(start, {}, 5, 5);
  EXPECT_EQ(pace.goal(5), 0U);
  pace.look(start + seconds(1), {}, 5, 6);
  pace.look(start + seconds(20), {}, 5, 8);
  EXPECT_EQ(pace.goal(8), 0U);
  pace.look(start + seconds(31), {}, 5, 9);
  EXPECT_EQ(pace.goal(9), 9U) << "6 is 30 s old; what is younger goes with it";
  // 10 comes while D is still behind: its time begins now.
  pace.look(start + seconds(40), {}, 5, 10);
  EXPECT_EQ(pace.goal(10), 9U);
  pace.look(start + seconds(69), {}, 9, 10);
  EXPECT_EQ(pace.goal(10), 9U);
  pace.look(start + seconds(70), {}, 9, 10);
  EXPECT_EQ(pace.goal(10), 10U);
}

TEST(WriteBackPace, AFewOperationsWhileHostsAreServedUnlessSpaceIsShort) {
  WriteBackPace pace({.high_percent = 60, .most_in_flight = 32, .busy_in_flight = 4});
  EXPECT_EQ(pace.in_flight(), 32U);
  pace.set_busy(true);
  EXPECT_EQ(pace.in_flight(), 4U);
  pace.set_share(10_MiB);
  pace.look(start, 9_MiB, 0, 1);
  EXPECT_EQ(pace.in_flight(), 32U);
}

TEST(WriteBackPace, BacksOffTwiceAsLongEachTimeUpToTheLongest) {
  WriteBackPace pace({.first_back_off = milliseconds(250), .longest_back_off = seconds(1)});
  EXPECT_EQ(pace.failed(start) - start, milliseconds(250));
  EXPECT_EQ(pace.failed(start) - start, milliseconds(500));
  EXPECT_EQ(pace.failed(start) - start, seconds(1));
  EXPECT_EQ(pace.failed(start) - start, seconds(1));
  pace.succeeded(1_MiB, seconds(1));
  EXPECT_EQ(pace.failed(start) - start, milliseconds(250));
}

TEST(WriteBackPace, TimeLeftFollowsTheRate) {
  WriteBackPace pace({});
  EXPECT_EQ(pace.time_for(1_MiB), std::nullopt);
  EXPECT_EQ(pace.time_for({}), Duration{});
  pace.succeeded(10_MiB, seconds(1));
  EXPECT_EQ(pace.time_for(20_MiB), seconds(2));
  for (int batch = 0; batch < 40; ++batch) pace.succeeded(20_MiB, seconds(1));
  EXPECT_NEAR(static_cast<double>(pace.time_for(20_MiB)->count()), 1e9, 1e6);
}

TEST(WriteBackPace, ABatchIsAboutAQuarterOfASecond) {
  WriteBackPace pace({});
  EXPECT_EQ(pace.batch_bytes(256_MiB), 64_MiB);
  EXPECT_EQ(pace.batch_bytes(1_MiB), 1_MiB);
  pace.succeeded(400_MiB, seconds(1));
  EXPECT_EQ(pace.batch_bytes(256_MiB), 100_MiB);
  for (int batch = 0; batch < 40; ++batch) pace.succeeded(1_MiB, seconds(1));
  EXPECT_EQ(pace.batch_bytes(256_MiB), 16_MiB);
  for (int batch = 0; batch < 40; ++batch) pace.succeeded(4_GiB, seconds(1));
  EXPECT_EQ(pace.batch_bytes(256_MiB), 256_MiB);
}

}  // namespace
}  // namespace engine::test
