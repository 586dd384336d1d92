#include "target/reactor/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace target {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

class LogTest : public testing::Test {
 protected:
  LogTest() {
    capture_log([this](LogLevel, std::string_view line) { lines.emplace_back(line); });
  }
  ~LogTest() override { capture_log(nullptr); }
  std::vector<std::string> lines;
};

TEST_F(LogTest, LinesBelowTheLevelAreNotWritten) {
  log_debug("invisible {}", 1);
  log_info("seen {}", 2);
  log_error("seen {}", "too");
  EXPECT_THAT(lines, ElementsAre("seen 2", "seen too"));
}

TEST_F(LogTest, TextOfAHostCannotForgeALine) {
  const std::string name = "evil\n2026-01-01 error all is lost\x1b[2J";
  log_info("host={}", name);
  EXPECT_THAT(lines, ElementsAre("host=evil?2026-01-01 error all is lost?[2J"));
}

TEST_F(LogTest, LimitLetsABurstThroughAndCountsTheRest) {
  LogLimit limit(2, 10s);
  engine::Instant now{1h};
  EXPECT_TRUE(limit.allows(now));
  EXPECT_TRUE(limit.allows(now));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.allows(now));
  now = now + 10s;
  EXPECT_TRUE(limit.allows(now));
  EXPECT_EQ(limit.suppressed(), 5U);
  EXPECT_TRUE(limit.allows(now));
  EXPECT_EQ(limit.suppressed(), 0U);
}

}  // namespace
}  // namespace target
