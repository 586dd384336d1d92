#include "engine/volume/retry_pace.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using Outcome = RetryPace::Outcome;
using std::chrono::seconds;

constexpr Instant at(int second) { return {seconds(second)}; }

TEST(RetryPace, NothingIsTriedWhileAllIsWell) {
  RetryPace pace;
  EXPECT_EQ(pace.next(), RetryPace::never);
  pace.tried(at(1), Outcome::well);
  EXPECT_EQ(pace.next(), RetryPace::never);
  EXPECT_EQ(pace.tries(), 0U);
}

TEST(RetryPace, FirstFailureIsMetAtOnceThenEverMoreSlowly) {
  RetryPace pace;
  pace.tried(at(0), Outcome::well);
  pace.failed(at(100));
  Instant now = pace.next();
  EXPECT_EQ(now, at(100));
  unsigned tries = 0;
  for (const int delay : {1, 2, 4, 8, 16, 16, 16}) {
    pace.tried(now, Outcome::still_down);
    EXPECT_EQ(pace.next() - now, seconds(delay));
    EXPECT_EQ(pace.tries(), ++tries);
    now = pace.next();
  }
}

// A disk that takes the reopen and fails the next write must not be reopened as fast as it fails.
TEST(RetryPace, FailingAgainSoonAfterTheReopenIsSlowedDownToo) {
  RetryPace pace;
  pace.failed(at(100));
  pace.tried(at(100), Outcome::well);
  pace.failed(at(100));
  EXPECT_EQ(pace.next(), at(101));
  pace.tried(at(101), Outcome::well);
  pace.failed(at(101));
  EXPECT_EQ(pace.next(), at(103));
  pace.tried(at(103), Outcome::well);
  pace.failed(at(103 + 61));
  EXPECT_EQ(pace.next(), at(164)) << "long ago: a new failure";
}

TEST(RetryPace, PoolThatIsNotThereCostsOneLookASecond) {
  RetryPace pace;
  for (int second = 1; second < 100; ++second) {
    pace.tried(at(second), Outcome::not_there);
    EXPECT_EQ(pace.next(), at(second + 1));
  }
}

TEST(RetryPace, FailureNeverPutsOffAnAttempt) {
  RetryPace pace;
  pace.tried(at(10), Outcome::not_there);
  pace.failed(at(10));
  EXPECT_LE(pace.next(), at(11));
}

}  // namespace
}  // namespace engine
