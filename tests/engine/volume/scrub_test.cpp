// What a scrub finds in a cache and behind it, what it heals, and what it leaves alone: in both
// granularities.
#include "engine/volume/scrub.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/volume/bad_range_search.h"
#include "engine/volume/direct_scrub.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using BadKind = ScrubFinding::Kind;

struct TestScrub : ScrubIo {
  bool has_ended = false;
  IoStatus status = IoStatus::ok;

  TestScrub(std::uint64_t at, std::uint64_t sectors) {
    lba = {at};
    blocks = {sectors};
    done = [](ScrubIo& io, IoStatus ended_with) noexcept {
      auto& self = static_cast<TestScrub&>(io);
      EXPECT_FALSE(std::exchange(self.has_ended, true)) << "it ends twice";
      self.status = ended_with;
    };
  }
};

class ScrubTest : public testing::TestWithParam<Media> {
 protected:
  static void fill(FrontLife& life, std::uint64_t at, std::uint64_t sectors) {
    (void)life.read(at, sectors);
    (void)life.read(at, sectors);
    ASSERT_TRUE(life.extent_of(at).has_value());
    ASSERT_FALSE(life.extent_of(at)->dirty);
  }
  static TestScrub scrub(FrontLife& life, std::uint64_t at, std::uint64_t sectors) {
    TestScrub io(at, sectors);
    life.front->scrub(*life.lanes[0], io);
    life.go_on();
    EXPECT_TRUE(io.has_ended);
    EXPECT_EQ(io.status, IoStatus::ok);
    return io;
  }
  static std::vector<ScrubFinding> found(FrontLife& life, std::uint64_t at, std::uint64_t sectors) {
    return scrub(life, at, sectors).findings;
  }
  // Behind the cache's back.
  static void change_backing(FrontLife& life, std::uint64_t sector) {
    const std::vector<std::byte> other(512, std::byte{0x77});
    life.backing.inner.disk().write({sector * 512}, other);
  }
};

INSTANTIATE_TEST_SUITE_P(Media, ScrubTest, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

TEST_P(ScrubTest, NothingAmissIsNoFinding) {
  FrontLife life(GetParam());
  fill(life, 0, 16);
  EXPECT_EQ(life.write(32, 8, 200), IoStatus::ok);
  const TestScrub io = scrub(life, 0, 256);
  EXPECT_TRUE(io.findings.empty());
  EXPECT_EQ(io.in_cache, ByteCount{24 * 512});
  EXPECT_EQ(io.compared, ByteCount{16 * 512}) << "what is dirty the backing need not have";
}

TEST_P(ScrubTest, RotIsHealedFromTheBackingAndGoneTheNextTime) {
  FrontLife life(GetParam());
  fill(life, 0, 16);
  life.rot(9);
  EXPECT_EQ(found(life, 0, 256), (std::vector<ScrubFinding>{{BadKind::cache_healed, {8}, {8}}}));
  EXPECT_EQ(life.front->healed_reads(), 1U);
  EXPECT_TRUE(found(life, 0, 256).empty());
  EXPECT_EQ(life.read(0, 16), FrontLife::of_backing(0, 16));
}

TEST_P(ScrubTest, RotThatNobodyElseHasIsLost) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(64, 8, 200), IoStatus::ok);
  life.rot(66);
  const std::vector<ScrubFinding> lost{{BadKind::cache_lost, {64}, {8}}};
  EXPECT_EQ(found(life, 0, 256), lost);
  EXPECT_EQ(life.front->lost_reads(), 1U) << "as a read of it counts";
  EXPECT_EQ(found(life, 0, 256), lost) << "until it is written";
  EXPECT_EQ(life.write(64, 8, 201), IoStatus::ok);
  EXPECT_TRUE(found(life, 0, 256).empty());
}

TEST_P(ScrubTest, ABackingThatHasChangedBehindTheCacheDiffers) {
  FrontLife life(GetParam());
  fill(life, 0, 16);
  change_backing(life, 5);
  EXPECT_EQ(found(life, 0, 256), (std::vector<ScrubFinding>{{BadKind::backing_differs, {5}, {1}}}));
  EXPECT_EQ(life.read(0, 16), FrontLife::of_backing(0, 16)) << "hosts get what the cache has";
}

TEST_P(ScrubTest, WhatTheBackingDoesNotGiveBackIsNamedToTheBlock) {
  FrontLife life(GetParam());
  fill(life, 8, 8);
  life.backing.inner.break_sector(9);
  life.backing.inner.break_sector(200);
  EXPECT_EQ(found(life, 0, 256),
            (std::vector<ScrubFinding>{{BadKind::backing_unreadable, {8}, {8}},
                                       {BadKind::backing_unreadable, {200}, {8}}}));
  life.rot(9);
  EXPECT_EQ(found(life, 0, 64), (std::vector<ScrubFinding>{{BadKind::backing_unreadable, {8}, {8}},
                                                           {BadKind::cache_bad, {8}, {8}}}));
}

TEST_P(ScrubTest, WhatIsWrittenMeanwhileIsNoFinding) {
  FrontLife life(GetParam());
  fill(life, 0, 16);
  life.backing.keeps_answers = true;
  TestScrub io(0, 64);
  life.front->scrub(*life.lanes[0], io);
  life.go_on();
  EXPECT_FALSE(io.has_ended);
  EXPECT_EQ(life.write(0, 8, 200, 1), IoStatus::ok);
  change_backing(life, 3);
  // And what has left the cache may be written to the backing without it.
  life.evict(8, 8);
  change_backing(life, 12);
  life.backing.keeps_answers = false;
  life.backing.give_answers();
  life.go_on();
  ASSERT_TRUE(io.has_ended);
  EXPECT_EQ(io.status, IoStatus::ok);
  EXPECT_TRUE(io.findings.empty());
  EXPECT_EQ(life.read(0, 8), all(8, 200));
}

// The answer of the backing is of before the write, the cache's copy of behind it.
TEST_P(ScrubTest, WhatIsWrittenAndClaimedCleanMeanwhileIsNotCompared) {
  FrontLife life(GetParam());
  FrontUpkeep upkeep(life);
  fill(life, 0, 8);
  life.backing.keeps_answers = true;
  TestScrub io(0, 64);
  life.front->scrub(*life.lanes[0], io);
  life.go_on();
  life.backing.keeps_answers = false;
  EXPECT_EQ(life.write(0, 8, 200, 1), IoStatus::ok);
  upkeep.drain();
  for (int i = 0; i < 20 && upkeep.is_draining(); ++i) upkeep.tick();
  ASSERT_FALSE(upkeep.is_draining());
  ASSERT_FALSE(life.extent_of(0)->dirty);
  life.backing.give_answers();
  upkeep.work();
  ASSERT_TRUE(io.has_ended);
  EXPECT_TRUE(io.findings.empty());
  EXPECT_EQ(life.read(0, 8), all(8, 200));
}

// The face of a volume, for who goes through that.
class ScrubFace final : public Volume {
 public:
  explicit ScrubFace(FrontLife& life) : life_(life) {}
  [[nodiscard]] const VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] BlockCount size() const override { return {1 << 20}; }
  [[nodiscard]] VolumeState state() const override { return VolumeState::online; }
  [[nodiscard]] VolumeCondition condition() const override { return {}; }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  void submit(IoLane& lane, VolumeIo& io) override {
    if (is_late) return io.done(io, IoStatus::unavailable);
    life_.front->submit(lane, io);
  }
  bool is_late = false;

 private:
  FrontLife& life_;
  const VolumeIdentity identity_{.name = "face", .uuid = {}, .block_size = {512}};
};

TEST_P(ScrubTest, WithoutACacheTheBackingIsReadAlone) {
  FrontLife life(GetParam());
  ScrubFace face(life);
  life.backing.inner.break_sector(100);
  TestScrub io(0, 256);
  DirectScrub::start(face, *life.lanes[0], io);
  life.go_on();
  ASSERT_TRUE(io.has_ended);
  EXPECT_EQ(io.status, IoStatus::ok);
  EXPECT_EQ(io.findings, (std::vector<ScrubFinding>{{BadKind::backing_unreadable, {96}, {8}}}));
  face.is_late = true;
  TestScrub late(0, 256);
  DirectScrub::start(face, *life.lanes[0], late);
  EXPECT_TRUE(late.has_ended);
  EXPECT_EQ(late.status, IoStatus::unavailable);
}

TEST(BadRangeSearch, FindsEachBadBlockWithFewReads) {
  BadRangeSearch search;
  search.begin({{0}, {256}});
  int reads = 0;
  const auto is_bad = [](SectorRange range) {
    for (const std::uint64_t bad : {17U, 18U, 24U, 255U}) {
      if (range.begin.value <= bad && bad < range.end().value) return true;
    }
    return false;
  };
  while (search.goes_on()) {
    ++reads;
    if (is_bad(search.next())) {
      search.failed();
    } else {
      search.read_well();
    }
  }
  EXPECT_EQ(search.bad(), (std::vector<SectorRange>{{{16}, {16}}, {{248}, {8}}}));
  EXPECT_LE(reads, 25);
  EXPECT_TRUE(search.is_bad({{20}, {100}}));
  EXPECT_FALSE(search.is_bad({{32}, {216}}));
}

}  // namespace
}  // namespace engine::test
