#include "engine/volume/admission_pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ByteCount room{100'000'000};
constexpr ByteCount drain{10'000'000};

Instant at(Duration time) { return {time}; }

// A pace as it is with so much dirty.
struct PaceAt {
  explicit PaceAt(std::uint64_t percent) {
    pace.measure({.dirty = {room.value / 100 * percent}, .room = room, .drain = drain},
                 at(seconds(1)));
  }
  AdmissionPace pace;
};

TEST(AdmissionPace, BelowSeventyPercentNothingIsPaced) {
  PaceAt now(69);
  EXPECT_FALSE(now.pace.is_paced());
  for (int command = 0; command < 1000; ++command) EXPECT_TRUE(now.pace.admits(room));
}

TEST(AdmissionPace, ComesDownFromTwiceTheDrainRateToNothing) {
  EXPECT_NEAR(static_cast<double>(PaceAt(70).pace.rate().value), 2.0e7, 1e5);
  EXPECT_NEAR(static_cast<double>(PaceAt(85).pace.rate().value), 1.0e7, 1e5);
  EXPECT_NEAR(static_cast<double>(PaceAt(94).pace.rate().value), 0.4e7, 1e5);
  EXPECT_LT(PaceAt(100).pace.rate().value, drain.value / 10);
  EXPECT_GT(PaceAt(100).pace.rate().value, 0U);
}

TEST(AdmissionPace, NothingIsPacedWhereTheBackingDoesNotGetOn) {
  AdmissionPace pace;
  pace.measure({.dirty = room, .room = room, .drain = {}}, at(seconds(1)));
  EXPECT_FALSE(pace.is_paced());
}

TEST(AdmissionPace, AdmitsAtItsRateWhateverTheSizeOfCommands) {
  for (const std::uint64_t bytes : {512U, 4096U, 1U << 20}) {
    PaceAt now(85);
    std::uint64_t admitted = 0;
    for (Duration time = seconds(1); time < seconds(11); time += milliseconds(10)) {
      now.pace.refill(at(time));
      while (now.pace.admits({bytes})) admitted += bytes;
    }
    EXPECT_NEAR(static_cast<double>(admitted), 10.0 * 1e7, 1.1 * (1 << 20) + 1e6) << bytes;
  }
}

TEST(AdmissionPace, WhatWasNotUsedIsNotKept) {
  PaceAt now(85);
  now.pace.refill(at(seconds(100)));
  std::uint64_t admitted = 0;
  while (now.pace.admits({4096})) admitted += 4096;
  EXPECT_LE(admitted, drain.value / 10 + 8192);
}

TEST(AdmissionPace, ADebtIsPaidFirst) {
  PaceAt now(85);
  EXPECT_TRUE(now.pace.admits({10'000'000})) << "no command is too large";
  EXPECT_TRUE(now.pace.holds_back());
  now.pace.refill(at(milliseconds(1900)));
  EXPECT_FALSE(now.pace.admits({1}));
  now.pace.refill(at(milliseconds(2001)));
  EXPECT_TRUE(now.pace.admits({1}));
}

// Hosts that write as much as they may, over a backing that takes a batch every quarter of a
// second: it comes to rest below full, and nobody waits long on the way.
TEST(AdmissionPace, FullIsNeverReachedAndNobodyWaitsLong) {
  AdmissionPace pace;
  std::uint64_t dirty = 0;
  Duration longest{};
  Duration last = seconds(1);
  const Duration step = milliseconds(10);
  for (Duration time = seconds(1); time < seconds(61); time += step) {
    if ((time / step) % 10 == 0) {
      pace.measure({.dirty = {dirty}, .room = room, .drain = drain}, at(time));
    }
    if ((time / step) % 25 == 0) dirty -= std::min<std::uint64_t>(dirty, drain.value / 4);
    pace.refill(at(time));
    // Ten times what the backing takes.
    for (int command = 0; command < 256 && pace.admits({4096}); ++command) {
      dirty += 4096;
      longest = std::max(longest, time - last);
      last = time;
    }
    ASSERT_LT(dirty, room.value * 95 / 100) << "at " << time.count();
  }
  EXPECT_GT(dirty, room.value * 75 / 100);
  EXPECT_LE(longest, milliseconds(50));
}

// ---- in front of a cache

class PacedWrites : public testing::TestWithParam<Media> {};
INSTANTIATE_TEST_SUITE_P(Media, PacedWrites, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

TEST_P(PacedWrites, WaitInTheirOrderThoughThereIsRoom) {
  FrontLife life(GetParam());
  AdmissionPace& pace = life.front->pace();
  pace.measure({.dirty = {85}, .room = {100}, .drain = {40960}}, life.clock.now());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok) << "the debt begins";
  std::vector<HostIo*> waiting;
  for (std::uint64_t each = 1; each <= 3; ++each) {
    waiting.push_back(&life.submit(VolumeIo::Kind::write, 8 * each, 8,
                                   static_cast<std::uint8_t>(200 + each), each % 2));
  }
  life.go_on();
  for (const HostIo* io : waiting) EXPECT_FALSE(io->has_ended);
  EXPECT_EQ(life.read(0, 8), all(8, 200)) << "reads do not wait";
  pace.measure({}, life.clock.now());
  life.front->space().tell_first();
  life.go_on();
  for (const HostIo* io : waiting) EXPECT_TRUE(io->has_ended);
  EXPECT_LT(waiting[0]->order, waiting[2]->order);
}

TEST_P(PacedWrites, AreLetInAsTheBackingGetsOn) {
  FrontLife life(GetParam());
  AdmissionPace& pace = life.front->pace();
  pace.measure({.dirty = {85}, .room = {100}, .drain = {40960}}, life.clock.now());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  const HostIo& first = life.submit(VolumeIo::Kind::write, 8, 8, 201);
  const HostIo& second = life.submit(VolumeIo::Kind::write, 16, 8, 202, 1);
  const auto later = [&](Duration by) {
    life.clock.advance(by);
    pace.refill(life.clock.now());
    life.front->space().tell_first();
    life.go_on();
  };
  later(milliseconds(90));
  EXPECT_FALSE(first.has_ended) << "4096 bytes take 100 ms";
  later(milliseconds(11));
  EXPECT_TRUE(first.has_ended);
  EXPECT_FALSE(second.has_ended);
  later(milliseconds(101));
  EXPECT_TRUE(second.has_ended);
}

// What write-back says decides: with little dirty, who was held back goes on at once.
TEST_P(PacedWrites, AreNotHeldBackBelowSeventyPercent) {
  FrontLife life(GetParam());
  life.front->pace().measure({.dirty = {85}, .room = {100}, .drain = {1}}, life.clock.now());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  const HostIo& held = life.submit(VolumeIo::Kind::write, 8, 8, 201);
  life.go_on();
  EXPECT_FALSE(held.has_ended);
  FrontUpkeep upkeep(life);
  upkeep.tick();
  EXPECT_TRUE(held.has_ended);
  EXPECT_FALSE(life.front->pace().is_paced());
}

// A volume that can never hold what it is asked to, which no configuration makes.
TEST_P(PacedWrites, AWaitThatIsTooLongIsATrouble) {
  FrontLife life(GetParam(), 40);
  must(life.cache.device->segments().shares().set_share(life.volume->tag(), {0, 1}));
  FrontUpkeep upkeep(life);
  HostIo& io = life.submit(VolumeIo::Kind::write, 0, 256, 200);
  upkeep.tick(seconds(9));
  EXPECT_EQ(upkeep.trouble(), "");
  upkeep.tick(seconds(2));
  EXPECT_NE(upkeep.trouble().find("have waited for space in its cache for more than 10 s"),
            std::string::npos)
      << upkeep.trouble();
  must(life.cache.device->segments().shares().set_share(life.volume->tag(), {0, 30}));
  upkeep.tick();
  upkeep.tick();
  EXPECT_TRUE(io.has_ended);
  EXPECT_EQ(upkeep.trouble(), "");
}

}  // namespace
}  // namespace engine::test
