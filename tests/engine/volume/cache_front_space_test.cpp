// Commands of a cached volume when there is no space, no memory, or nothing can be written any
// more.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/cache/least_space.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using Kind = VolumeIo::Kind;
using std::chrono::seconds;

class CacheFrontSpace : public testing::TestWithParam<Media> {
 protected:
  static std::vector<int> of_backing(std::uint64_t at, std::uint64_t sectors) {
    return FrontLife::of_backing(at, sectors);
  }
};

INSTANTIATE_TEST_SUITE_P(Media, CacheFrontSpace, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

// ---- no space

// Everything is taken, and dirty.
std::uint64_t fill_up(FrontLife& life, std::uint64_t sectors = 8) {
  std::uint64_t at = 0;
  for (;; at += sectors) {
    const HostIo& io = life.submit(Kind::write, at, sectors, 200);
    life.go_on();
    if (!io.has_ended) return at;
    EXPECT_EQ(io.status, IoStatus::ok);
  }
}

TEST_P(CacheFrontSpace, WritesWaitForSpaceFirstComeFirstServed) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(5000, 1, 199, 1), IoStatus::ok);  // the other lane has room
  const std::uint64_t first = fill_up(life);
  EXPECT_GT(life.wakes, 0) << "nobody is told";
  std::vector<HostIo*> waiting{&life.commands.back()};
  for (std::uint8_t at = 1; at <= 6; ++at) {
    // Those for which there would be room come later nevertheless.
    waiting.push_back(&life.submit(Kind::write, first, at % 2 == 0 ? 1 : 8,
                                   static_cast<std::uint8_t>(200 + at), at % 2));
    life.go_on();
  }
  for (const HostIo* io : waiting) EXPECT_FALSE(io->has_ended);
  EXPECT_EQ(life.read(0, 8), all(8, 200)) << "reads do not wait";
  {
    FrontUpkeep upkeep(life);
    for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  }
  for (std::size_t at = 0; at < waiting.size(); ++at) {
    ASSERT_TRUE(waiting[at]->has_ended);
    EXPECT_EQ(waiting[at]->status, IoStatus::ok);
    // Of one lane, in their order; what one commit ends is told lane by lane.
    EXPECT_TRUE(at < 2 || waiting[at]->order > waiting[at - 2]->order);
  }
  EXPECT_TRUE(life.front->space().empty());
  EXPECT_EQ(life.read(first, 8), all(1, 206) + all(7, 205));
  EXPECT_EQ(life.read(0, 8), all(8, 200)) << "written back";
}

// Space is not looked for when a clock says so, but made by whoever waits for it, and used at once.
TEST_P(CacheFrontSpace, WhoWaitsForSpaceWaitsForNoClock) {
  FrontLife life(GetParam());
  const std::uint64_t first = fill_up(life);
  const Instant before = life.clock.now();
  {
    FrontUpkeep upkeep(life);
    upkeep.work();
    EXPECT_TRUE(life.commands.back().has_ended);
  }
  EXPECT_EQ(life.clock.now(), before);
  EXPECT_EQ(life.read(first, 8), all(8, 200));
}

TEST_P(CacheFrontSpace, AWriteThatWaitsHoldsNothing) {
  FrontLife life(GetParam());
  (void)fill_up(life, 40);
  const std::uint32_t free = life.cache.device->segments().free_count();
  std::uint64_t live = 0;
  for (std::uint32_t at = 0; at < life.cache.device->segments().count(); ++at) {
    live += life.cache.device->segments().counters(at).live_sectors;
  }
  std::uint64_t indexed = 0;
  life.volume->index().for_each(
      [&indexed](const Fragment& part) { indexed += part.range.count.value; });
  EXPECT_EQ(live, indexed);
  for (int looks = 0; looks < 5; ++looks) {
    life.front->space().tell_first();
    life.go_on();
  }
  EXPECT_EQ(life.cache.device->segments().free_count(), free);
  life.cache.device->segments().check_invariants();
  FrontUpkeep upkeep(life);
  for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  EXPECT_TRUE(life.commands.back().has_ended);
}

// Told while it looks: space that comes in that moment must not be missed.
TEST(CacheFrontSpaceInLines, WhoIsToldWhileItIsToldLooksOnceMore) {
  FrontLife life(Media::lines);
  (void)fill_up(life);
  SpaceQueue& space = life.front->space();
  space.tell_first();
  space.tell_first();
  EXPECT_EQ(life.reap(0), 1U) << "one look";
  EXPECT_EQ(life.reap(0), 1U) << "and one for what was told meanwhile";
  EXPECT_EQ(life.reap(0), 0U);
  space.tell_first();
  EXPECT_EQ(life.reap(0), 1U);
  EXPECT_EQ(life.reap(0), 0U);
  FrontUpkeep upkeep(life);
  for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
}

// Each lane keeps what it has begun to fill; that must not be all there is for good.
TEST_P(CacheFrontSpace, SpaceComesBackFromWhatLanesHaveBegunToFill) {
  for (const std::uint32_t most : {1U, 2U, 3U}) {
    FrontLife life(GetParam());
    must(life.cache.device->segments().shares().set_share(life.volume->tag(), {0, most}));
    FrontUpkeep upkeep(life);
    EXPECT_EQ(life.write(0, 1, 200, 1), IoStatus::ok);
    for (std::uint64_t at = 8; at < 8 * 40; at += 8) {
      const HostIo& io = life.submit(Kind::write, at, 8, 201, 0);
      for (int ticks = 0; ticks < 20 && !io.has_ended; ++ticks) upkeep.tick();
      ASSERT_TRUE(io.has_ended) << "it waits for ever, with " << most << " segments";
      EXPECT_EQ(io.status, IoStatus::ok);
      // A hot part of what was written, so that reclaim has to move it if it keeps it.
      const HostIo& part = life.submit(Kind::write, at, 1, 202, 0);
      for (int ticks = 0; ticks < 20 && !part.has_ended; ++ticks) upkeep.tick();
      ASSERT_TRUE(part.has_ended) << "it waits for ever, with " << most << " segments";
      for (int look = 0; look < 3; ++look) EXPECT_EQ(life.read(at + 1, 7), all(7, 201));
    }
    EXPECT_EQ(life.read(0, 8, 1), all(1, 200) + of_backing(1, 7));
    EXPECT_EQ(life.read(8, 8, 1), all(1, 202) + all(7, 201));
  }
}

// A write of as much as a buffer may have, in a volume of the least size: it goes in parts, and
// the two lanes' heads do not keep each other from getting through.
TEST_P(CacheFrontSpace, TheLargestCommandsGetThroughTheLeastSpace) {
  FrontLife life(GetParam(), 120);
  CacheDevice& device = *life.cache.device;
  const std::uint32_t least = least_data_segments(device.layout(), device.payload_crc());
  must(device.segments().shares().set_share(life.volume->tag(), {least, least}));
  FrontUpkeep upkeep(life);
  constexpr std::uint64_t largest = BufferPool::largest.value / 512;
  EXPECT_EQ(life.write(0, 1, 190, 0), IoStatus::ok);
  EXPECT_EQ(life.write(largest * 3 + 7, 1, 191, 1), IoStatus::ok);
  std::vector<HostIo*> all_of_them;
  for (std::uint8_t at = 0; at < 3; ++at) {
    all_of_them.push_back(&life.submit(Kind::write, 1 + at * largest, largest,
                                       static_cast<std::uint8_t>(200 + at), at % 2));
  }
  all_of_them.push_back(&life.submit(Kind::write_zeroes, 100, 8, 0, 1));
  const auto are_through = [&] {
    return std::ranges::all_of(all_of_them, [](const HostIo* io) { return io->has_ended; });
  };
  for (int ticks = 0; ticks < 200 && !are_through(); ++ticks) upkeep.tick();
  for (const HostIo* io : all_of_them) {
    ASSERT_TRUE(io->has_ended) << "it waits for ever";
    EXPECT_EQ(io->status, IoStatus::ok);
  }
  EXPECT_EQ(life.read(0, 100), all(1, 190) + all(99, 200));
  EXPECT_EQ(life.read(largest - 1, 4), all(2, 200) + all(2, 201));
  EXPECT_EQ(life.read(largest * 3 - 1, 9),
            all(2, 202) + of_backing(largest * 3 + 1, 6) + all(1, 191));
  EXPECT_LE(device.segments().shares().used(life.volume->tag()), least);
}

// What a command is promised to be whole is never cut.
TEST_P(CacheFrontSpace, WhatIsToBeWholeWaitsUntilItFitsAsAWhole) {
  FrontLife life(GetParam(), 120);
  CacheDevice& device = *life.cache.device;
  const std::uint32_t least = least_data_segments(device.layout(), device.payload_crc());
  must(device.segments().shares().set_share(life.volume->tag(), {least, least}));
  (void)fill_up(life);
  const std::uint64_t at = 3;  // across a multiple
  HostIo& io = life.submit(Kind::write, at, whole_write.value, 201, 1);
  FrontUpkeep upkeep(life);
  std::uint64_t published = 0;
  for (int ticks = 0; ticks < 100 && !io.has_ended; ++ticks) {
    published = life.volume->commit().published();
    upkeep.tick();
  }
  ASSERT_TRUE(io.has_ended);
  EXPECT_EQ(io.status, IoStatus::ok);
  EXPECT_LE(life.volume->commit().published() - published, 2U)
      << "one kset, beside who waited before";
  EXPECT_EQ(life.read(at, whole_write.value), all(whole_write.value, 201));
}

// Hosts ask for the same blocks again and again: that does not keep them in the cache for ever.
TEST_P(CacheFrontSpace, WhatIsHotDoesNotKeepAWriteWaiting) {
  FrontLife life(GetParam(), 40);
  must(life.cache.device->segments().shares().set_share(life.volume->tag(), {0, 12}));
  FrontUpkeep upkeep(life);
  upkeep.beside = [&life] {
    for (int look = 0; look < 3; ++look) {
      life.volume->index().look_up({{0}, {4000}}, ExtentIndex::Heat::warm, [](const Piece&) {});
    }
  };
  for (std::uint64_t at = 0; at < 4000; at += 200) {
    const HostIo& io = life.submit(Kind::write, at, 200, 200);
    for (int ticks = 0; ticks < 50 && !io.has_ended; ++ticks) upkeep.tick();
    ASSERT_TRUE(io.has_ended) << "at " << at;
    EXPECT_EQ(io.status, IoStatus::ok);
  }
}

TEST_P(CacheFrontSpace, FillsTakeNothingThatWritesWaitFor) {
  FrontLife life(GetParam());
  constexpr std::uint64_t far = 10'000;
  (void)life.read(far, 8);
  (void)fill_up(life, 40);
  HostIo& waiting = life.commands.back();
  ASSERT_FALSE(waiting.has_ended);
  // Somewhere in a head there is still room for so little.
  const std::uint64_t published = life.volume->commit().published();
  EXPECT_EQ(life.read(far, 1), of_backing(far, 1));
  EXPECT_EQ(life.volume->commit().published(), published);
  EXPECT_FALSE(life.extent_of(far).has_value());
  FrontUpkeep upkeep(life);
  for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  EXPECT_TRUE(waiting.has_ended);
}

TEST_P(CacheFrontSpace, PatienceEndsOnlyWhereNothingGetsOn) {
  FrontLife life(GetParam());
  (void)fill_up(life);
  const HostIo& first = life.commands.back();
  const auto look = [&life] {
    life.front->space().tell_first();
    life.go_on();
  };
  life.clock.advance(seconds(60));
  look();
  EXPECT_FALSE(first.has_ended) << "it gets on";
  const HostIo& second = life.submit(Kind::write, 4000, 8, 201, 1);
  life.front->set_gets_on(false);
  look();
  EXPECT_TRUE(first.has_ended);
  EXPECT_EQ(first.status, IoStatus::unavailable);
  EXPECT_FALSE(second.has_ended) << "it has just come";
  life.clock.advance(CacheFront::space_patience - std::chrono::milliseconds(1));
  look();
  EXPECT_FALSE(second.has_ended);
  life.clock.advance(std::chrono::milliseconds(1));
  look();
  EXPECT_TRUE(second.has_ended);
  EXPECT_EQ(second.status, IoStatus::unavailable);
  EXPECT_TRUE(life.front->space().empty());
}

TEST_P(CacheFrontSpace, AHoldEndsWhetherTheBackingGetsOnOrNot) {
  for (const bool gets_on : {true, false}) {
    FrontLife life(GetParam());
    (void)fill_up(life);
    const HostIo& first = life.commands.back();
    const HostIo& second = life.submit(Kind::write, 4000, 8, 201, 1);
    const auto look = [&life] {
      life.front->space().tell_first();
      life.go_on();
    };
    life.front->set_gets_on(gets_on);
    life.front->set_hold(seconds(10));
    life.clock.advance(seconds(10) - std::chrono::milliseconds(1));
    look();
    EXPECT_FALSE(first.has_ended);
    life.clock.advance(std::chrono::milliseconds(1));
    look();
    look();
    for (const HostIo* io : {&first, &second}) {
      EXPECT_TRUE(io->has_ended);
      EXPECT_EQ(io->status, IoStatus::no_room);
    }
    EXPECT_TRUE(life.front->space().empty());
  }
}

// Wherever it stands, and nobody else loses his place by it.
TEST_P(CacheFrontSpace, AWriteThatWaitsIsTakenBack) {
  FrontLife life(GetParam());
  (void)fill_up(life);
  const HostIo& first = life.commands.back();
  TakeBack* handle = nullptr;
  HostIo& second = life.on_lane(
      Kind::write, 4000, 8, 201,
      [&](IoLane& lane, HostIo& io) {
        io.engine_state = &handle;
        io.waits = [](VolumeIo& waiting, TakeBack& take_back) noexcept {
          *static_cast<TakeBack**>(waiting.engine_state) = &take_back;
        };
        life.front->submit(lane, io);
      },
      1);
  const HostIo& third = life.submit(Kind::write, 4100, 8, 202, 1);
  ASSERT_NE(handle, nullptr) << "it was not told that it waits";
  handle->take_back();
  EXPECT_FALSE(second.has_ended) << "not inside the call";
  life.go_on();
  EXPECT_TRUE(second.has_ended);
  EXPECT_EQ(second.status, IoStatus::cancelled);
  EXPECT_FALSE(first.has_ended);
  EXPECT_FALSE(third.has_ended);
  FrontUpkeep upkeep(life);
  for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  for (const HostIo* io : {&first, &third}) {
    EXPECT_TRUE(io->has_ended);
    EXPECT_EQ(io->status, IoStatus::ok);
  }
  EXPECT_EQ(life.read(4000, 8), of_backing(4000, 8));
}

TEST_P(CacheFrontSpace, RoomIsThereAgainWhenMuchHasBeenWrittenBack) {
  FrontLife life(GetParam());
  FrontUpkeep upkeep(life);
  upkeep.tick();
  EXPECT_TRUE(life.front->has_room());
  life.backing.keeps_answers = true;
  (void)fill_up(life);
  upkeep.tick();
  EXPECT_FALSE(life.front->has_room());
  life.backing.keeps_answers = false;
  life.backing.give_answers();
  for (int ticks = 0; ticks < 30; ++ticks) upkeep.tick();
  EXPECT_TRUE(life.commands.back().has_ended);
  EXPECT_TRUE(life.front->has_room());
}

TEST_P(CacheFrontSpace, NoMemoryForTheIndexIsWaitedForLikeSpace) {
  FrontLife life(GetParam(), 30, 64_KiB);
  // Every other sector, without data.
  for (std::uint64_t at = 0; at < 8000 && life.front->space().empty(); at += 2) {
    (void)life.submit(Kind::deallocate, at, 1);
    if (at % 128 == 0) life.go_on();
  }
  const HostIo& waiting = life.commands.back();
  EXPECT_FALSE(waiting.has_ended);
  EXPECT_GT(life.cache.device->segments().free_count(), 4U) << "there is space";
  FrontUpkeep upkeep(life);
  for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  EXPECT_TRUE(waiting.has_ended);
  EXPECT_EQ(waiting.status, IoStatus::ok);
  EXPECT_EQ(life.read(0, 4), all(1, 0) + of_backing(1, 1) + all(1, 0) + of_backing(3, 1));
}

// ---- room on the backing

// Write-back of what has become old makes way for hosts that are on the backing, too: they write,
// or read what the cache lacks.
TEST_P(CacheFrontSpace, WriteBackLeavesTheBackingToWhoUsesIt) {
  constexpr std::uint64_t scattered = 40;
  constexpr WriteBackLimits limits;
  const auto under_way = [&](auto host) {
    FrontLife life(GetParam(), 80);
    FrontUpkeep upkeep(life);
    for (std::uint64_t at = 0; at < scattered; ++at) {
      const HostIo& write = life.submit(Kind::write, at * 16, 1, 200);
      upkeep.work();
      EXPECT_TRUE(write.has_ended);
    }
    upkeep.tick();
    host(life);
    life.backing.inner.hold(true);
    upkeep.tick(limits.most_age);
    const std::size_t begun = life.backing.inner.held();
    life.backing.inner.hold(false);
    life.backing.inner.release_all();
    upkeep.work();
    return begun;
  };
  EXPECT_EQ(under_way([](FrontLife&) {}), limits.most_in_flight);
  EXPECT_EQ(under_way([](FrontLife& life) { EXPECT_EQ(life.read(16, 1), all(1, 200)); }),
            limits.most_in_flight)
      << "who reads from the cache is not on the backing";
  EXPECT_EQ(under_way([](FrontLife& life) { (void)life.read(17, 1); }), limits.busy_in_flight);
  EXPECT_EQ(under_way([](FrontLife& life) { EXPECT_EQ(life.write(17, 1, 201), IoStatus::ok); }),
            limits.busy_in_flight);
}

// ---- what cannot be written

TEST_P(CacheFrontSpace, ALogThatFailsAcknowledgesNothing) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  const HostIo& first = life.submit(Kind::write, 8, 8, 201, 0);
  const HostIo& second = life.submit(Kind::write, 16, 8, 202, 1);
  if (life.lines != nullptr) {
    life.lines->heal_on_overwrite(false);
    VolumeLog& log = life.volume->log();
    life.lines->poison(log.places()[1] + ByteCount{log.offset()}, {64});
  } else {
    life.pages->fail_next_sync();
  }
  life.go_on();
  for (const HostIo* io : {&first, &second}) {
    EXPECT_TRUE(io->has_ended);
    EXPECT_EQ(io->status, IoStatus::sync_failed);
  }
  EXPECT_EQ(life.write(8, 8, 203), IoStatus::sync_failed);
  EXPECT_EQ(life.end(life.submit(Kind::write_zeroes, 0, 8)), IoStatus::sync_failed);
  EXPECT_EQ(life.read(0, 8), all(8, 200));
  EXPECT_EQ(life.read(8, 8), of_backing(8, 8));
}

TEST_P(CacheFrontSpace, WhoWaitsForSpaceIsToldOfALogThatFails) {
  FrontLife life(GetParam());
  (void)fill_up(life);
  const HostIo& waiting = life.commands.back();
  const HostIo& behind = life.submit(Kind::write, 4000, 1, 201, 1);
  life.cache.device->fail();
  life.front->space().tell_first();
  life.go_on();
  EXPECT_TRUE(waiting.has_ended && behind.has_ended);
  EXPECT_EQ(waiting.status, IoStatus::sync_failed);
  EXPECT_EQ(behind.status, IoStatus::sync_failed);
}

TEST_P(CacheFrontSpace, AVolumeThatIsNotWritableIsReadOnly) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  must(life.volume->stop_clean(*life.writer));
  EXPECT_EQ(life.write(0, 8, 201), IoStatus::read_only);
  EXPECT_EQ(life.end(life.submit(Kind::deallocate, 0, 8)), IoStatus::read_only);
  EXPECT_EQ(life.read(0, 16), all(8, 200) + of_backing(8, 8));
}

TEST(CacheFrontSpaceInLines, APlaceThatCannotBeWrittenIsLeftForAnother) {
  FrontLife life(Media::lines);
  EXPECT_EQ(life.write(0, 1, 200), IoStatus::ok);
  life.lines->heal_on_overwrite(false);
  life.lines->poison({(life.extent_of(0)->place.value + 1) * 512}, {512});
  EXPECT_EQ(life.write(8, 1, 201), IoStatus::ok);
  EXPECT_EQ(life.read(8, 1), all(1, 201));
}

}  // namespace
}  // namespace engine::test
