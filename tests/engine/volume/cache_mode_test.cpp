// The modes of a volume's cache, and their change while hosts use it.
#include <gtest/gtest.h>

#include "tests/engine/volume/cache_front_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;
using test::all;
using test::operator+;
using test::FrontLife;
using test::FrontUpkeep;
using test::HostIo;

class CacheModeTest : public testing::TestWithParam<test::Media> {
 protected:
  void change(CacheMode mode) {
    life.front->set_mode(mode);
    upkeep.follow_mode();
    upkeep.work();
  }
  IoStatus end(HostIo& io) {
    upkeep.work();
    EXPECT_TRUE(io.has_ended);
    return io.status;
  }
  IoStatus write(std::uint64_t at, std::uint64_t sectors, std::uint8_t value) {
    return end(life.submit(Kind::write, at, sectors, value));
  }
  std::vector<int> read(std::uint64_t at, std::uint64_t sectors) {
    HostIo& io = life.submit(Kind::read, at, sectors);
    EXPECT_EQ(end(io), IoStatus::ok);
    return io.sectors();
  }
  void let_go() {
    life.backing.inner.hold(false);
    life.backing.inner.release_all();
  }
  [[nodiscard]] bool is_cached(std::uint64_t sector) { return life.extent_of(sector).has_value(); }
  // What would be left of the sector if power failed now, and the cache with it.
  [[nodiscard]] int on_disk(std::uint64_t sector) {
    return std::to_integer<int>(life.backing.inner.disk().durable()[sector * 512]);
  }
  [[nodiscard]] std::uint64_t dirty() const { return life.volume->commit().backlog().value; }

  FrontLife life{GetParam(), 64};
  FrontUpkeep upkeep{life};
};

INSTANTIATE_TEST_SUITE_P(Media, CacheModeTest,
                         testing::Values(test::Media::lines, test::Media::pages));

TEST_P(CacheModeTest, WhatGoesAroundIsOnTheDiskWhenItIsAnsweredAndNowhereElse) {
  for (const CacheMode mode : {CacheMode::write_around, CacheMode::pass_through}) {
    change(mode);
    ASSERT_EQ(write(8, 8, 200), IoStatus::ok);
    EXPECT_EQ(on_disk(8), 200);
    EXPECT_FALSE(is_cached(8));
    EXPECT_EQ(read(8, 8), all(8, 200));
    ASSERT_EQ(end(life.submit(Kind::write_zeroes, 8, 4)), IoStatus::ok);
    ASSERT_EQ(end(life.submit(Kind::deallocate, 12, 2)), IoStatus::ok);
    EXPECT_EQ(on_disk(8), 0);
    EXPECT_EQ(on_disk(13), 0);
    EXPECT_EQ(on_disk(14), 200);
    EXPECT_EQ(dirty(), 0U);
  }
}

TEST_P(CacheModeTest, ReadsFillTheCacheUnlessTheyPassThrough) {
  change(CacheMode::write_around);
  for (int times = 0; times < 3; ++times) (void)read(8, 8);
  EXPECT_TRUE(is_cached(8));
  change(CacheMode::pass_through);
  for (int times = 0; times < 3; ++times) (void)read(800, 8);
  EXPECT_FALSE(is_cached(800));
  const int reads = life.backing.reads;
  EXPECT_EQ(read(8, 8), FrontLife::of_backing(8, 8));
  EXPECT_EQ(life.backing.reads, reads) << "what is there is used";
}

TEST_P(CacheModeTest, WhatTheCacheHadOfIsForgottenBeforeTheDiskIsWritten) {
  for (int times = 0; times < 3; ++times) (void)read(8, 16);
  ASSERT_TRUE(is_cached(8));
  change(CacheMode::write_around);
  life.backing.inner.hold(true);
  const HostIo& write = life.submit(Kind::write, 12, 4, 200);
  upkeep.work();
  EXPECT_FALSE(write.has_ended);
  EXPECT_TRUE(is_cached(8));
  EXPECT_FALSE(is_cached(12)) << "before the disk has it";
  EXPECT_EQ(life.backing.inner.held(), 1U);
  let_go();
  upkeep.work();
  EXPECT_TRUE(write.has_ended);
  EXPECT_EQ(read(8, 8), FrontLife::of_backing(8, 4) + all(4, 200));
}

TEST_P(CacheModeTest, AMissBesideADirectWriteNeverFills) {
  change(CacheMode::write_around);
  (void)read(8, 8);  // the next one would be kept
  life.backing.keeps_answers = true;
  const HostIo& early = life.submit(Kind::read, 8, 8);  // has read what is old
  life.go_on();
  const HostIo& write = life.submit(Kind::write, 8, 8, 200);
  upkeep.work();
  const HostIo& late = life.submit(Kind::read, 8, 8, 0, 1);
  for (int times = 0; times < 4; ++times) {
    life.backing.give_answers();
    upkeep.work();
  }
  ASSERT_TRUE(early.has_ended && write.has_ended && late.has_ended);
  life.backing.keeps_answers = false;
  EXPECT_FALSE(is_cached(8));
  EXPECT_EQ(read(8, 8), all(8, 200));
}

TEST_P(CacheModeTest, WhileTheDiskLacksSomethingWritesGoThroughTheCacheInOrder) {
  for (const std::uint64_t at : {2048, 2312}) {
    ASSERT_EQ(write(at, 264, 200), IoStatus::ok);  // together too much to wait for
  }
  life.backing.inner.hold(true);
  ASSERT_EQ(dirty(), 528U);
  change(CacheMode::write_around);
  const HostIo& second = life.submit(Kind::write, 64, 8, 201);
  upkeep.work();
  EXPECT_TRUE(is_cached(64)) << "not past what is older";
  EXPECT_FALSE(second.has_ended) << "answered when the disk has it";
  while (life.backing.inner.held() > 0) {
    EXPECT_TRUE(on_disk(64) != 201 || on_disk(2575) == 200);
    life.backing.inner.release_oldest();
    upkeep.work();
  }
  let_go();
  upkeep.work();
  EXPECT_EQ(second.status, IoStatus::ok);
  EXPECT_TRUE(second.has_ended);
  ASSERT_EQ(write(64, 8, 202), IoStatus::ok);
  EXPECT_FALSE(is_cached(64)) << "now straight there";
  EXPECT_EQ(on_disk(64), 202);
}

TEST_P(CacheModeTest, WritesThatKeepComingDoNotKeepEachOtherInTheCache) {
  ASSERT_EQ(write(8, 8, 200), IoStatus::ok);
  life.front->set_mode(CacheMode::pass_through);
  upkeep.follow_mode();
  // Each is on its way before the one before it has arrived.
  std::vector<const HostIo*> writes;
  bool around = false;
  for (std::uint64_t at = 0; at < 64 && !around; ++at) {
    life.backing.inner.hold(true);
    writes.push_back(&life.submit(Kind::write, 64 + at * 8, 8, 201));
    upkeep.work();
    around = !is_cached(64 + at * 8);
    let_go();
    upkeep.tick();
  }
  EXPECT_TRUE(around);
  upkeep.work();
  for (const HostIo* one : writes) {
    EXPECT_TRUE(one->has_ended);
    EXPECT_EQ(one->status, IoStatus::ok);
  }
}

// What they forget fills the log, and only reclaim makes room there.
TEST_P(CacheModeTest, WritesThatGoAroundGetRoomInAFullLog) {
  change(CacheMode::pass_through);
  std::vector<HostIo*> writes;
  while (life.front->space().empty() && writes.size() < 100'000) {
    writes.push_back(&life.submit(Kind::write, writes.size() % 100 * 8, 8, 200));
    for (bool more = true; more;) {
      more = life.turn(0);
      more = life.commit() || more;
    }
  }
  ASSERT_FALSE(life.front->space().empty()) << "the log is not full";
  for (int times = 0; times < 20 && !writes.back()->has_ended; ++times) upkeep.tick();
  for (const HostIo* const write : writes) ASSERT_EQ(write->status, IoStatus::ok);
  EXPECT_TRUE(writes.back()->has_ended);
}

TEST_P(CacheModeTest, WhatWaitsToGoAroundGoesThroughIfTheModeSaysSo) {
  ASSERT_EQ(write(8, 8, 200), IoStatus::ok);
  life.backing.inner.hang(true);
  change(CacheMode::pass_through);
  ASSERT_TRUE(life.front->goes_around_only()) << "it is little that the disk lacks";
  const HostIo& waiting = life.submit(Kind::write, 64, 8, 201);
  upkeep.tick();
  EXPECT_FALSE(waiting.has_ended);
  EXPECT_FALSE(is_cached(64));
  change(CacheMode::write_back);
  upkeep.tick();
  EXPECT_TRUE(waiting.has_ended);
  EXPECT_EQ(waiting.status, IoStatus::ok);
  EXPECT_TRUE(is_cached(64));
  life.backing.inner.hang(false);
  upkeep.work();
}

TEST_P(CacheModeTest, AFailedDirectWriteIsToldToItsHost) {
  change(CacheMode::write_around);
  life.backing.inner.fail_nth(1, IoStatus::media_error);
  EXPECT_EQ(write(8, 8, 200), IoStatus::media_error);
  EXPECT_EQ(write(64, 8, 201), IoStatus::ok);
}

TEST_P(CacheModeTest, ReadOnlyTakesNothingMoreAndGivesTheDiskWhatItLacks) {
  ASSERT_EQ(write(8, 8, 200), IoStatus::ok);
  change(CacheMode::read_only);
  EXPECT_EQ(write(8, 8, 201), IoStatus::read_only);
  EXPECT_EQ(end(life.submit(Kind::write_zeroes, 8, 8)), IoStatus::read_only);
  upkeep.tick();
  EXPECT_EQ(read(8, 8), all(8, 200));
  EXPECT_EQ(on_disk(8), 200);
  EXPECT_EQ(dirty(), 0U);
  change(CacheMode::write_back);
  EXPECT_EQ(write(8, 8, 202), IoStatus::ok);
  EXPECT_EQ(read(8, 8), all(8, 202));
}

TEST_P(CacheModeTest, ADrainEndsWithWhatWasThereWhenItBegan) {
  ASSERT_EQ(write(8, 8, 200), IoStatus::ok);
  life.backing.inner.hang(true);
  upkeep.drain();
  upkeep.work();
  EXPECT_TRUE(upkeep.is_draining());
  ASSERT_EQ(write(64, 8, 201), IoStatus::ok) << "answered by the cache meanwhile";
  upkeep.tick();
  EXPECT_EQ(upkeep.upkeep().status().bytes_left, 8_KiB);
  EXPECT_EQ(upkeep.upkeep().drain_left(), 4_KiB) << "what came later is not waited for";
  life.backing.inner.hang(false);
  upkeep.tick();
  EXPECT_FALSE(upkeep.is_draining());
  EXPECT_EQ(on_disk(8), 200);

  life.backing.inner.hang(true);
  ASSERT_EQ(write(128, 8, 202), IoStatus::ok);
  upkeep.drain();
  upkeep.work();
  upkeep.tick();
  ASSERT_TRUE(upkeep.upkeep().drain_time()) << "as fast as the last one";
  EXPECT_GT(*upkeep.upkeep().drain_time(), Duration{});
  upkeep.tick(std::chrono::seconds(6));
  EXPECT_FALSE(upkeep.upkeep().drain_time()) << "nothing has been heard of the backing since";
  EXPECT_FALSE(upkeep.trouble().empty());
  upkeep.cancel_drain();
  EXPECT_FALSE(upkeep.is_draining());
  life.backing.inner.hang(false);
  upkeep.work();
}

}  // namespace
}  // namespace engine
