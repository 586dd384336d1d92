#include "target/write_times.h"

#include <gtest/gtest.h>

namespace target {
namespace {

using std::chrono::seconds;

TEST(WriteTimes, ALookKnowsWhetherThereWereWritesSinceTheOneBefore) {
  WriteTimes times;
  const engine::Instant start{seconds(1000)};
  times.look("db", 0, start);
  EXPECT_EQ(times.since_last("db", start), std::nullopt);
  times.look("db", 5, start + seconds(1));
  times.look("db", 5, start + seconds(2));
  EXPECT_EQ(times.since_last("db", start + seconds(2)), seconds(1));
  times.look("db", 6, start + seconds(3));
  EXPECT_EQ(times.since_last("db", start + seconds(3)), seconds(0));
  EXPECT_EQ(times.since_last("other", start), std::nullopt);
}

TEST(WriteTimes, AVolumeThatIsServedAnewHasNotBeenWrittenTo) {
  WriteTimes times;
  const engine::Instant start{seconds(1000)};
  times.look("db", 5, start);
  times.look("db", 0, start + seconds(1));
  EXPECT_EQ(times.since_last("db", start + seconds(1)), std::nullopt);
  times.look("db", 1, start + seconds(2));
  times.look("gone", 1, start + seconds(2));
  times.keep_only({"db"});
  EXPECT_EQ(times.since_last("db", start + seconds(2)), seconds(0));
  EXPECT_EQ(times.since_last("gone", start + seconds(2)), std::nullopt);
}

}  // namespace
}  // namespace target
