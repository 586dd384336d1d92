// Requests that the limits of their volume hold back: when they go on, and how they end otherwise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "target/block/volume_request.h"
#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::block {
namespace {

using namespace std::chrono_literals;
using engine::IoStatus;
using Kind = Traffic::Kind;
using testing::ElementsAre;

struct Command {
  explicit Command(std::string called) : name(std::move(called)) { request.context = this; }
  VolumeRequest request;
  std::string name;
  std::vector<std::string>* log = nullptr;
  std::function<void()> then;
};

class LimitedRequests : public testing::Test {
 protected:
  struct Path final : VolumeRequests::Owner {
    explicit Path(Reactor& reactor) : requests(*this, reactor) {}
    [[nodiscard]] bool may_start() const override { return true; }
    VolumeRequests requests;
  };

  // What came to pass is in `log`: its name when it goes on, with "!" when it is refused.
  Command& come(Path& by, const std::string& name, BlockVolume& volume, Kind kind = Kind::write,
                std::uint64_t bytes = 0) {
    Command& command = commands.emplace_back(name);
    command.request.volume = &volume;
    command.log = &log;
    const auto let_go = [](VolumeRequest& request) noexcept {
      auto& self = *static_cast<Command*>(request.context);
      self.log->push_back(self.name);
      if (self.then) self.then();
    };
    const auto refused = [](VolumeRequest& request, IoStatus outcome) noexcept {
      auto& self = *static_cast<Command*>(request.context);
      EXPECT_EQ(outcome, IoStatus::cancelled);
      self.log->push_back(self.name + "!");
    };
    if (by.requests.within_limits(command.request, {.kind = kind, .bytes = bytes}, let_go,
                                  refused)) {
      log.push_back(name);
    }
    return command;
  }
  void pass(engine::Duration time) {
    clock.advance(time);
    reactor.run_until_idle();
    reactor.run_until_idle();  // a timer is no activity
  }
  std::vector<std::string> taken_log() { return std::exchange(log, {}); }

  nvmf::ManualClock clock;
  nvmf::TestReactor reactor{engine::ByteCount{4U << 20}, &clock};
  nvmf::HeldVolume backing{engine::BlockSize{512}, 64};
  BlockVolume limited{backing};
  BlockVolume free{backing};
  std::deque<Command> commands;
  std::vector<std::string> log;
  Path path{reactor.get()};
  Path other{reactor.get()};
};

TEST_F(LimitedRequests, GoOnInTheirOrderWhenItIsTheirTurn) {
  limited.limiter().set_limits({.write_commands = 100}, clock.now());
  for (const char* name : {"a", "b", "c", "d"}) come(path, name, limited);
  EXPECT_THAT(taken_log(), ElementsAre("a"));
  EXPECT_EQ(limited.limiter().counts().writes_held, 3U);
  pass(9ms);
  EXPECT_THAT(taken_log(), ElementsAre());
  pass(1ms);
  EXPECT_THAT(taken_log(), ElementsAre("b"));
  pass(50ms);
  EXPECT_THAT(taken_log(), ElementsAre("c", "d")) << "late, and all that are due";
  EXPECT_FALSE(limited.limiter().is_holding());
  EXPECT_EQ(limited.limiter().counts().write_time, 10ms + 60ms + 60ms);
}

// Turns so close together that the timer comes later.
TEST_F(LimitedRequests, WhoComesLaterDoesNotGoOnFirst) {
  limited.limiter().set_limits({.write_commands = 100'000}, clock.now());
  come(path, "a", limited);
  come(path, "b", limited);
  pass(50us);  // when it would be the turn of several more
  come(path, "c", limited);
  EXPECT_THAT(taken_log(), ElementsAre("a"));
  pass(100us);
  EXPECT_THAT(taken_log(), ElementsAre("b", "c"));
  come(path, "d", limited);
  EXPECT_THAT(taken_log(), ElementsAre("d"));
}

TEST_F(LimitedRequests, PathsShareThemInTheOrderTheyCame) {
  limited.limiter().set_limits({.commands = 100}, clock.now());
  for (int i = 0; i < 3; ++i) {
    come(path, "a" + std::to_string(i), limited, Kind::read);
    come(other, "b" + std::to_string(i), limited, Kind::write);
  }
  for (int i = 0; i < 5; ++i) pass(10ms);
  EXPECT_THAT(taken_log(), ElementsAre("a0", "b0", "a1", "b1", "a2", "b2"));
}

// Neither another volume nor the other kind waits behind what is held back on the same path.
TEST_F(LimitedRequests, NobodyElseWaits) {
  limited.limiter().set_limits({.write_commands = 10}, clock.now());
  free.limiter().set_limits({.write_commands = 1000}, clock.now());
  come(path, "held0", limited);
  come(path, "held1", limited);
  come(path, "read", limited, Kind::read);
  come(path, "free0", free);
  come(path, "free1", free);
  EXPECT_THAT(taken_log(), ElementsAre("held0", "read", "free0"));
  pass(1ms);
  EXPECT_THAT(taken_log(), ElementsAre("free1"));
  pass(99ms);
  EXPECT_THAT(taken_log(), ElementsAre("held1"));
}

TEST_F(LimitedRequests, WhoPassesOneLimitMayWaitForTheNext) {
  limited.limiter().set_limits({.write_commands = 100, .commands = 20}, clock.now());
  come(path, "a", limited);
  come(path, "b", limited);
  pass(10ms);
  EXPECT_THAT(taken_log(), ElementsAre("a"));
  pass(40ms);
  EXPECT_THAT(taken_log(), ElementsAre("b"));
  EXPECT_EQ(limited.limiter().counts().writes, 1U) << "held back once, by both";
}

TEST_F(LimitedRequests, TakenBackTheyAreNotHeardOfAgain) {
  limited.limiter().set_limits({.write_commands = 100}, clock.now());
  come(path, "a", limited);
  Command& b = come(path, "b", limited);
  Command& c = come(path, "c", limited);
  VolumeRequest* found =
      path.requests.find_waiting([&](VolumeRequest& request) { return request.context == &c; });
  EXPECT_EQ(found, &c.request);
  EXPECT_TRUE(path.requests.cancel(b.request));
  EXPECT_TRUE(path.requests.cancel(c.request));
  EXPECT_FALSE(path.requests.cancel(c.request));
  EXPECT_FALSE(limited.limiter().is_holding());
  come(path, "d", limited);
  pass(10ms);
  EXPECT_THAT(taken_log(), ElementsAre("a", "d")) << "whose turn it is instead";
}

TEST_F(LimitedRequests, TheEndRefusesThemInOrder) {
  limited.limiter().set_limits({.write_commands = 100}, clock.now());
  for (const char* name : {"a", "b", "c"}) come(path, name, limited);
  come(other, "d", limited);
  path.requests.end();
  EXPECT_THAT(taken_log(), ElementsAre("a", "b!", "c!"));
  pass(1s);
  EXPECT_THAT(taken_log(), ElementsAre("d")) << "the other path's";
}

TEST_F(LimitedRequests, AfterARefusalNobodyIsHeldBackAnyMore) {
  limited.limiter().set_limits({.write_commands = 10}, clock.now());
  come(path, "a", limited);
  come(path, "b", limited);
  path.requests.refuse_held_back();
  come(path, "c", limited);
  EXPECT_THAT(taken_log(), ElementsAre("a", "b!", "c"));
}

TEST_F(LimitedRequests, HigherOnesAreFeltWithinATenthOfASecond) {
  limited.limiter().set_limits({.write_commands = 10}, clock.now());
  for (int i = 0; i < 40; ++i) come(path, std::to_string(i), limited);
  pass(50ms);
  EXPECT_EQ(taken_log().size(), 1U);
  limited.limiter().set_limits({.write_commands = 1000}, clock.now());
  pass(VolumeLimiter::look_interval - 50ms);
  pass(20ms);
  EXPECT_GE(log.size(), 20U);
  EXPECT_EQ(log.front(), "1");
  EXPECT_TRUE(std::is_sorted(log.begin(), log.end(), [](const auto& a, const auto& b) {
    return std::stoi(a) < std::stoi(b);
  }));
  limited.limiter().set_limits({}, clock.now());
  pass(VolumeLimiter::look_interval);
  EXPECT_EQ(log.size(), 39U) << "none: all go on";
}

TEST_F(LimitedRequests, LowerOnesAreFeltToo) {
  limited.limiter().set_limits({.write_commands = 1000}, clock.now());
  for (int i = 0; i < 500; ++i) come(path, std::to_string(i), limited);
  limited.limiter().set_limits({.write_commands = 10}, clock.now());
  for (int i = 0; i < 10; ++i) pass(100ms);
  // One was through before; one begins, and one follows every tenth of a second.
  EXPECT_GE(log.size(), 10U);
  EXPECT_LE(log.size(), 12U);
  path.requests.end();
}

// Exact over time, although whoever looks is late each time and the burst is short.
TEST_F(LimitedRequests, ALateThreadLosesNothing) {
  limited.limiter().set_limits({.write_commands = 1000}, clock.now());
  std::size_t passed = 0;
  int next = 0;
  for (; next < 64; ++next) come(path, "x", limited);
  for (int turn = 0; turn < 200; ++turn) {
    pass(17ms);
    passed += log.size();
    for (std::size_t i = taken_log().size(); i > 0; --i) come(path, "x", limited);
  }
  const double expected = 200 * 0.017 * 1000;
  EXPECT_NEAR(static_cast<double>(passed), expected, expected * 0.03);
  path.requests.end();
}

// The slot is used again from inside, as a queue does.
TEST_F(LimitedRequests, OneThatGoesOnMayEndTheRest) {
  limited.limiter().set_limits({.write_commands = 100}, clock.now());
  come(path, "a", limited);
  come(path, "b", limited).then = [&] { path.requests.end(); };
  come(path, "c", limited);
  pass(100ms);
  EXPECT_THAT(taken_log(), ElementsAre("a", "b", "c!"));
}

}  // namespace
}  // namespace target::block
