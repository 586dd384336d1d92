#include "target/nvmf/keep_alive.h"

#include <gtest/gtest.h>

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
using Verdict = KeepAlive::Verdict;

engine::Instant at(engine::Duration time) { return {1h + time}; }

TEST(KeepAlive, TimeoutIsRoundedUpToTheGranularity) {
  EXPECT_EQ(round_keep_alive_ms(0), 0U);
  EXPECT_EQ(round_keep_alive_ms(1), 1000U);
  EXPECT_EQ(round_keep_alive_ms(5000), 5000U);
  EXPECT_EQ(round_keep_alive_ms(5001), 6000U);
  EXPECT_EQ(round_keep_alive_ms(0xffff'ffff), 4'294'967'000U) << "no wrap to a tiny timeout";
}

TEST(KeepAlive, ZeroDisablesTheWatch) {
  KeepAlive watch;
  watch.set_timeout({}, at(0s));
  EXPECT_FALSE(watch.deadline());
  EXPECT_EQ(watch.check(at(1000h), false), Verdict::alive);
}

TEST(KeepAlive, SilentHostExpiresAtItsTimeout) {
  KeepAlive watch;
  watch.set_timeout(5s, at(0s));
  EXPECT_EQ(watch.deadline(), at(5s));
  EXPECT_EQ(watch.check(at(5s), false), Verdict::expired);
}

TEST(KeepAlive, CommandAtTheLastMomentSavesIt) {
  KeepAlive watch;
  watch.set_timeout(5s, at(0s));
  watch.renew(at(4999ms));
  EXPECT_EQ(watch.check(at(5s), false), Verdict::alive);
  EXPECT_EQ(watch.deadline(), at(9999ms));
  EXPECT_EQ(watch.check(at(9999ms), false), Verdict::expired);
}

TEST(KeepAlive, TrafficRestartsTheTimerWhenItEnds) {
  KeepAlive watch;
  watch.set_timeout(5s, at(0s));
  EXPECT_EQ(watch.check(at(5s), true), Verdict::alive);
  EXPECT_EQ(watch.deadline(), at(10s));
  EXPECT_EQ(watch.check(at(10s), false), Verdict::expired);
}

TEST(KeepAlive, HeldUpReactorReadsItsSocketsBeforeItJudges) {
  KeepAlive watch;
  watch.set_timeout(5s, at(0s));
  EXPECT_EQ(watch.check(at(8s), false), Verdict::alive) << "three seconds late: our own fault";
  EXPECT_EQ(watch.deadline(), at(9s));
  watch.renew(at(8s));
  EXPECT_EQ(watch.check(at(9s), false), Verdict::alive);
  EXPECT_EQ(watch.deadline(), at(13s));
}

TEST(KeepAlive, GraceIsGivenOnce) {
  KeepAlive watch;
  watch.set_timeout(5s, at(0s));
  EXPECT_EQ(watch.check(at(8s), false), Verdict::alive);
  EXPECT_EQ(watch.check(at(20s), false), Verdict::expired);
}

}  // namespace
}  // namespace target::nvmf
