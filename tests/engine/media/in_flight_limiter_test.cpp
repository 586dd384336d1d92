#include "engine/media/in_flight_limiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

using LimitedKind = FileOperation::Kind;

struct Limited {
  explicit Limited(InFlightLimiter::Caps caps) : limiter(caps, [this] { ++woken; }) {}
  std::atomic<int> woken{0};
  InFlightLimiter limiter;
  std::deque<FileOperation> operations;
  std::vector<FileOperation*> running;
  std::size_t ended = 0;

  void start(IoSource source, LimitedKind kind = LimitedKind::read) {
    operations.emplace_back();
    operations.back().source = source;
    operations.back().kind = kind;
    if (limiter.admit(operations.back())) running.push_back(&operations.back());
  }
  void end(std::size_t at) {
    FileOperation* operation = running[at];
    ++ended;
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
    limiter.ended(*operation, [this](FileOperation& next) { running.push_back(&next); });
  }
  [[nodiscard]] bool waiting() const { return ended + running.size() < operations.size(); }
  // As a lane that has been woken.
  void go_on() {
    if (!limiter.has_grants()) return;
    limiter.use_grants([this](FileOperation& next) { running.push_back(&next); });
  }
  [[nodiscard]] std::size_t running_of(IoSource source) const {
    std::size_t count = 0;
    for (const FileOperation* operation : running) count += operation->source.file == source.file;
    return count;
  }
};

TEST(InFlightLimiter, FileIsHeldToItsCapAndGoesOnInOrder) {
  Limited limited({.transfers_per_file = 2, .blocking_per_file = 1, .per_backing = 10});
  const IoSource file = IoSource::new_file(IoSource::new_backing());
  for (int at = 0; at < 5; ++at) limited.start(file);
  EXPECT_EQ(limited.running.size(), 2U);
  limited.end(0);
  EXPECT_EQ(limited.running.size(), 2U);
  EXPECT_EQ(limited.running.back(), &limited.operations[2]);
  while (!limited.running.empty()) limited.end(0);
  EXPECT_TRUE(limited.limiter.admit(limited.operations[0]));
}

TEST(InFlightLimiter, OneFlushAtATimeAndReadsPassIt) {
  Limited limited({.transfers_per_file = 2, .blocking_per_file = 1, .per_backing = 10});
  const IoSource file = IoSource::new_file(IoSource::new_backing());
  limited.start(file, LimitedKind::sync);
  limited.start(file, LimitedKind::punch_hole);
  limited.start(file, LimitedKind::read);
  ASSERT_EQ(limited.running.size(), 2U);
  EXPECT_EQ(limited.running[1]->kind, LimitedKind::read);
  limited.end(0);
  EXPECT_EQ(limited.running.back()->kind, LimitedKind::punch_hole);
}

TEST(InFlightLimiter, HungFileLeavesRoomForAnotherOfTheSameBacking) {
  Limited limited({.transfers_per_file = 4, .blocking_per_file = 1, .per_backing = 8});
  const auto backing = IoSource::new_backing();
  const IoSource hung = IoSource::new_file(backing);
  const IoSource good = IoSource::new_file(backing);
  for (int at = 0; at < 100; ++at) limited.start(hung);
  EXPECT_EQ(limited.running.size(), 4U);
  limited.start(good);
  EXPECT_EQ(limited.running_of(good), 1U);
}

TEST(InFlightLimiter, HungBackingLeavesAnotherUntouched) {
  Limited limited({.transfers_per_file = 4, .blocking_per_file = 1, .per_backing = 8});
  const auto hung = IoSource::new_backing();
  for (int file = 0; file < 50; ++file) {
    const IoSource source = IoSource::new_file(hung);
    for (int at = 0; at < 10; ++at) limited.start(source);
    limited.start(source, LimitedKind::sync);
  }
  EXPECT_EQ(limited.running.size(), 8U) << "all that may ever block";
  const IoSource good = IoSource::new_file(IoSource::new_backing());
  limited.start(good, LimitedKind::sync);
  EXPECT_EQ(limited.running_of(good), 1U);
}

TEST(InFlightLimiter, FilesOfABackingTakeTurnsAtItsCap) {
  Limited limited({.transfers_per_file = 8, .blocking_per_file = 1, .per_backing = 8});
  const auto backing = IoSource::new_backing();
  const IoSource greedy = IoSource::new_file(backing);
  const IoSource modest = IoSource::new_file(backing);
  for (int at = 0; at < 100; ++at) limited.start(greedy);
  for (int at = 0; at < 4; ++at) limited.start(modest);
  EXPECT_EQ(limited.running_of(modest), 0U);
  for (int at = 0; at < 8; ++at) limited.end(0);
  EXPECT_EQ(limited.running_of(modest), 4U) << "every other turn is its";
}

TEST(InFlightLimiter, EverythingIsStartedExactlyOnceAndCapsHold) {
  const InFlightLimiter::Caps caps{
      .transfers_per_file = 3, .blocking_per_file = 1, .per_backing = 5};
  Limited limited(caps);
  std::vector<IoSource> files;
  for (int backing = 0; backing < 3; ++backing) {
    const auto number = IoSource::new_backing();
    for (int file = 0; file < 4; ++file) files.push_back(IoSource::new_file(number));
  }
  SeededRandom random(7);
  std::size_t ended = 0;
  for (int at = 0; at < 3000; ++at) {
    limited.start(files[random.below(files.size())],
                  random.chance(1, 5) ? LimitedKind::sync : LimitedKind::write);
    while (!limited.running.empty() && random.chance(2, 3)) {
      limited.end(random.below(limited.running.size()));
      ++ended;
    }
    for (const IoSource& file : files) ASSERT_LE(limited.running_of(file), 4U);
    ASSERT_LE(limited.running.size(), 3 * caps.per_backing);
  }
  while (!limited.running.empty()) {
    limited.end(0);
    ++ended;
  }
  EXPECT_EQ(ended, 3000U);
}

TEST(InFlightLimiter, LanesShareTheDepthOfABackingInTurn) {
  Limited first({});
  Limited second({});
  const auto backing = IoSource::new_backing();
  const IoSource file = IoSource::new_file(backing);
  QueueDepth::of(backing).set_limit(4);
  for (int at = 0; at < 10; ++at) first.start(file);
  for (int at = 0; at < 10; ++at) second.start(file);
  EXPECT_EQ(first.running.size(), 4U);
  EXPECT_EQ(second.running.size(), 0U);
  first.end(0);  // its own turn came first
  EXPECT_EQ(first.running.size(), 4U);
  EXPECT_EQ(second.woken, 0);
  first.end(0);
  EXPECT_EQ(first.running.size(), 3U) << "the other lane has waited longer";
  EXPECT_EQ(second.woken, 1);
  second.go_on();
  EXPECT_EQ(second.running.size(), 1U);
  std::size_t most = 0;
  while (!first.running.empty() || !second.running.empty()) {
    most = std::max(most, first.running.size() + second.running.size());
    if (!first.running.empty()) first.end(0);
    second.go_on();
    first.go_on();
    if (!second.running.empty()) second.end(0);
    second.go_on();
    first.go_on();
  }
  EXPECT_EQ(most, 4U);
  first.start(file);
  second.start(file);
  EXPECT_EQ(first.running.size() + second.running.size(), 2U) << "nothing was lost";
  QueueDepth::of(backing).set_limit(0);
}

TEST(InFlightLimiter, DepthMayChangeAtAnyTime) {
  Limited limited({.transfers_per_file = 3, .blocking_per_file = 1, .per_backing = 5});
  const auto backing = IoSource::new_backing();
  const IoSource one = IoSource::new_file(backing);
  const IoSource other = IoSource::new_file(backing);
  const std::uint64_t allowed = QueueDepth::allowed();
  for (int at = 0; at < 30; ++at) limited.start(at % 2 == 0 ? one : other);
  EXPECT_EQ(limited.running.size(), 5U) << "none is set: the lane's own";
  QueueDepth::of(backing).set_limit(2);
  EXPECT_EQ(QueueDepth::allowed(), allowed + 2);
  limited.end(0);
  limited.end(0);
  limited.end(0);
  EXPECT_EQ(limited.running.size(), 2U) << "what was under way ends first";
  limited.end(0);
  EXPECT_EQ(limited.running.size(), 2U);
  QueueDepth::of(backing).set_limit(12);
  limited.go_on();
  limited.end(0);
  EXPECT_EQ(limited.running.size(), 12U) << "more than the lane's own, each file half";
  EXPECT_EQ(limited.running_of(one), 6U);
  QueueDepth::of(backing).set_limit(0);
  limited.go_on();
  while (!limited.running.empty()) limited.end(0);
  EXPECT_EQ(QueueDepth::allowed(), allowed);
}

TEST(InFlightLimiter, LaneThatEndsGivesItsTurnOn) {
  const auto backing = IoSource::new_backing();
  const IoSource file = IoSource::new_file(backing);
  QueueDepth::of(backing).set_limit(1);
  Limited last({});
  {
    Limited first({});
    Limited second({});
    first.start(file);
    second.start(file);
    last.start(file);
    first.end(0);
    EXPECT_EQ(second.woken, 1);
    EXPECT_EQ(last.woken, 0);
  }
  EXPECT_EQ(last.woken, 1);
  last.go_on();
  EXPECT_EQ(last.running.size(), 1U);
  QueueDepth::of(backing).set_limit(0);
}

TEST(InFlightLimiter, ThreadsOfLanesKeepToOneDepthAndAllEnd) {
  constexpr std::size_t operations = 2000;
  const auto backing = IoSource::new_backing();
  QueueDepth& depth = QueueDepth::of(backing);
  depth.set_limit(3);
  std::atomic<std::size_t> most{0};
  std::atomic<std::size_t> with_kernel{0};
  const auto lane = [&](std::uint64_t seed) {
    Limited limited({});
    const IoSource file = IoSource::new_file(backing);
    SeededRandom random(seed);
    std::size_t begun = 0;
    std::size_t seen = 0;  // of `running`, what is counted in `with_kernel`
    const auto count_new = [&] {
      for (; seen < limited.running.size(); ++seen) {
        const std::size_t now = with_kernel.fetch_add(1) + 1;
        std::size_t before = most.load();
        while (before < now && !most.compare_exchange_weak(before, now)) continue;
      }
    };
    while (begun < operations || !limited.running.empty() || limited.waiting()) {
      if (begun < operations && random.chance(1, 2)) {
        limited.start(file, random.chance(1, 9) ? LimitedKind::sync : LimitedKind::read);
        ++begun;
      }
      limited.go_on();
      count_new();
      if (limited.running.empty()) {
        std::this_thread::yield();
        continue;
      }
      with_kernel.fetch_sub(1);
      --seen;
      limited.end(random.below(limited.running.size()));
      count_new();
    }
  };
  std::thread one(lane, 1);
  std::thread other(lane, 2);
  one.join();
  other.join();
  EXPECT_LE(most.load(), 3U);
  EXPECT_EQ(with_kernel.load(), 0U);
  Limited last({});
  for (int at = 0; at < 3; ++at) last.start(IoSource::new_file(backing));
  EXPECT_EQ(last.running.size(), 3U) << "all of it is free again";
  depth.set_limit(0);
}

TEST(InFlightLimiter, UnnamedSourcesAreNotCapped) {
  Limited limited({.transfers_per_file = 1, .blocking_per_file = 1, .per_backing = 1});
  for (int at = 0; at < 10; ++at) limited.start({});
  EXPECT_EQ(limited.running.size(), 10U);
}

}  // namespace
}  // namespace engine
