#include "engine/media/in_flight_limiter.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

using LimitedKind = FileOperation::Kind;

struct Limited {
  explicit Limited(InFlightLimiter::Caps caps) : limiter(caps) {}
  InFlightLimiter limiter;
  std::deque<FileOperation> operations;
  std::vector<FileOperation*> running;

  void start(IoSource source, LimitedKind kind = LimitedKind::read) {
    operations.emplace_back();
    operations.back().source = source;
    operations.back().kind = kind;
    if (limiter.admit(operations.back())) running.push_back(&operations.back());
  }
  void end(std::size_t at) {
    FileOperation* operation = running[at];
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
    limiter.ended(*operation, [this](FileOperation& next) { running.push_back(&next); });
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

TEST(InFlightLimiter, UnnamedSourcesAreNotCapped) {
  Limited limited({.transfers_per_file = 1, .blocking_per_file = 1, .per_backing = 1});
  for (int at = 0; at < 10; ++at) limited.start({});
  EXPECT_EQ(limited.running.size(), 10U);
}

}  // namespace
}  // namespace engine
