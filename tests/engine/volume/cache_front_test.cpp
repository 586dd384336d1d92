// The data path of a cached volume: what hosts read and write through the cache, in both
// granularities.
#include "engine/volume/cache_front.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/volume/verify_request.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using Kind = VolumeIo::Kind;

class CacheFrontTest : public testing::TestWithParam<Media> {
 protected:
  static std::vector<int> of_backing(std::uint64_t at, std::uint64_t sectors) {
    return FrontLife::of_backing(at, sectors);
  }
  // Put into the cache as a clean extent.
  static void fill(FrontLife& life, std::uint64_t at, std::uint64_t sectors) {
    (void)life.read(at, sectors);
    (void)life.read(at, sectors);
    ASSERT_TRUE(life.extent_of(at).has_value());
    ASSERT_FALSE(life.extent_of(at)->dirty);
  }
};

INSTANTIATE_TEST_SUITE_P(Media, CacheFrontTest, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

// ---- reading and writing

TEST_P(CacheFrontTest, WhatIsWrittenIsReadWithoutTheBacking) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(16, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.read(16, 8), all(8, 200));
  EXPECT_EQ(life.read(16, 8, 1), all(8, 200));
  EXPECT_EQ(life.backing.reads, 0);
}

TEST_P(CacheFrontTest, AWriteIsNotAnsweredBeforeItIsDurable) {
  FrontLife life(GetParam());
  const HostIo& io = life.submit(Kind::write, 0, 8, 200);
  EXPECT_FALSE(io.has_ended);
  life.go_on();
  ASSERT_TRUE(io.has_ended);
  EXPECT_EQ(life.lines != nullptr ? life.lines->unsettled() : life.pages->unsettled(), 0U);
}

TEST_P(CacheFrontTest, PartsOfABlockAreOverwritten) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.write(3, 2, 201, 1), IoStatus::ok);
  EXPECT_EQ(life.write(4, 8, 202), IoStatus::ok);
  EXPECT_EQ(life.read(0, 12), all(3, 200) + all(1, 201) + all(8, 202));
  EXPECT_EQ(life.backing.reads, 0);
}

TEST_P(CacheFrontTest, HolesAreReadFromTheBackingBetweenHits) {
  FrontLife life(GetParam());
  std::vector<int> expected = of_backing(0, 64);
  for (std::uint64_t at = 1; at < 64; at += 4) {
    EXPECT_EQ(life.write(at, 2, 200), IoStatus::ok);
    expected[at] = expected[at + 1] = 200;
  }
  EXPECT_EQ(life.read(0, 64), expected);
  EXPECT_EQ(life.backing.reads, 17);
}

TEST_P(CacheFrontTest, AMissLooksAgainBeforeItAsksTheBacking) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(2, 4, 200), IoStatus::ok);
  HostIo& io = life.miss(0, 8);
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_EQ(io.sectors(), of_backing(0, 2) + all(4, 200) + of_backing(6, 2));
  HostIo& whole = life.miss(2, 4);
  EXPECT_TRUE(whole.has_ended);
  EXPECT_EQ(life.end(whole), IoStatus::ok);
  EXPECT_EQ(whole.sectors(), all(4, 200));
  EXPECT_EQ(life.backing.reads, 2);
}

TEST_P(CacheFrontTest, WhatIsFoundOrLeftOutIsCounted) {
  using Event = CacheTraffic::Event;
  FrontLife life(GetParam());
  const auto counts = [&life] { return life.front->traffic().counts(); };
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(counts().of(Event::miss), 1U);
  EXPECT_EQ(counts().of(Event::first_read), 1U);
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(counts().of(Event::fill), 1U);
  EXPECT_EQ(life.read(0, 8, 1), of_backing(0, 8));
  EXPECT_EQ(counts().of(Event::hit), 1U);
  EXPECT_EQ(counts().of(Event::miss), 2U);
  for (std::uint64_t at = 1024; at < 4096; at += 128) (void)life.read(at, 128);
  EXPECT_GT(counts().of(Event::sequential), 10U);
  EXPECT_EQ(counts().of(Event::no_room) + counts().of(Event::by_mode), 0U);
}

TEST_P(CacheFrontTest, ZeroedAndDeallocatedReadsAsZeros) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(0, 16, 200), IoStatus::ok);
  EXPECT_EQ(life.end(life.submit(Kind::write_zeroes, 4, 4)), IoStatus::ok);
  EXPECT_EQ(life.end(life.submit(Kind::deallocate, 12, 8)), IoStatus::ok);
  EXPECT_EQ(life.read(0, 20), all(4, 200) + all(4, 0) + all(4, 200) + all(8, 0));
  EXPECT_EQ(life.backing.reads, 0);
}

TEST_P(CacheFrontTest, ALargeZeroingGoesInPieces) {
  FrontLife life(GetParam());
  constexpr std::uint64_t gib = (std::uint64_t{1} << 30) / 512;
  const std::uint64_t before = life.volume->commit().published();
  EXPECT_EQ(life.write(3 * gib, 8, 200), IoStatus::ok);
  HostIo& io = life.submit(Kind::write_zeroes, 8, 3 * gib - 8);
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_GE(life.volume->commit().published() - before, 4U);
  for (const std::uint64_t at : {std::uint64_t{8}, gib, gib + 8, 2 * gib, 3 * gib - 8}) {
    EXPECT_EQ(life.read(at, 8), all(8, 0)) << at;
  }
  EXPECT_EQ(life.read(3 * gib, 8), all(8, 200));
  EXPECT_EQ(life.backing.reads, 0);
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
}

TEST_P(CacheFrontTest, BlocksOf4096BytesAreEightSectors) {
  FrontLife life(GetParam());
  CacheFront front(life.cache, *life.volume, life.backing, BlockSize{4096}, life.clock);
  VolumeIo io;
  io.lba = {3};
  io.blocks = {2};
  EXPECT_EQ(front.range_of(io), (SectorRange{{24}, {16}}));
  EXPECT_EQ(front.position_of({24}), MediaOffset{12288});
}

// ---- rot

TEST_P(CacheFrontTest, RotOfWhatOnlyTheCacheHasIsAMediaError) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.write(8, 8, 201), IoStatus::ok);
  life.rot(0);
  EXPECT_EQ(life.end(life.submit(Kind::read, 0, 24)), IoStatus::media_error);
  EXPECT_EQ(life.front->lost_reads(), 1U);
  EXPECT_EQ(life.backing.reads, 0) << "in vain";
  EXPECT_EQ(life.read(8, 8), all(8, 201));
  EXPECT_EQ(life.end(life.miss(0, 8)), IoStatus::media_error);
  EXPECT_EQ(life.front->lost_reads(), 2U);
  EXPECT_EQ(life.backing.reads, 0);
}

TEST_P(CacheFrontTest, RotOfWhatTheBackingHasIsReadFromThere) {
  FrontLife life(GetParam());
  fill(life, 0, 8);
  const int reads = life.backing.reads;
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(life.backing.reads, reads);
  life.rot(0);
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(life.backing.reads, reads + 1);
  EXPECT_EQ(life.front->lost_reads(), 0U);
}

TEST_P(CacheFrontTest, RotOfWhatTheBackingHasIsHealed) {
  FrontLife life(GetParam());
  fill(life, 0, 16);
  life.rot(0);
  const int reads = life.backing.reads;
  const Place bad = life.extent_of(4)->place;
  EXPECT_EQ(life.read(4, 4), of_backing(4, 4));
  EXPECT_EQ(life.front->healed_reads(), 1U) << "no more than what was asked for";
  ASSERT_TRUE(life.extent_of(4).has_value());
  EXPECT_NE(life.extent_of(4)->place, bad);
  EXPECT_FALSE(life.extent_of(4)->dirty);
  EXPECT_EQ(life.read(0, 4), of_backing(0, 4));
  EXPECT_EQ(life.front->healed_reads(), 2U);
  EXPECT_EQ(life.backing.reads, reads + 2);
  EXPECT_EQ(life.read(0, 16), of_backing(0, 16));
  EXPECT_EQ(life.backing.reads, reads + 2) << "it is still bad";
}

TEST_P(CacheFrontTest, WhatCannotBeReadIsHealedOnlyFromWhatTheBackingGives) {
  FrontLife life(GetParam());
  fill(life, 0, 8);
  life.rot(0);
  life.backing.inner.fail_nth(1, IoStatus::media_error);
  EXPECT_EQ(life.end(life.submit(Kind::read, 0, 8)), IoStatus::media_error);
  EXPECT_EQ(life.front->healed_reads(), 0U);
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(life.front->healed_reads(), 1U);
}

// A read of what is missing or bad, whose way back into the cache a write overtakes.
void overtake(FrontLife& life) {
  HostIo& write = life.submit(Kind::write, 4, 2, 200, 1);
  HostIo& read = life.submit(Kind::read, 0, 8, 0, 0);
  (void)life.turn(1);  // the write's record comes first
  life.go_on();
  EXPECT_TRUE(write.has_ended);
  const auto newer = FrontLife::of_backing(0, 4) + all(2, 200) + FrontLife::of_backing(6, 2);
  EXPECT_TRUE(read.sectors() == FrontLife::of_backing(0, 8) || read.sectors() == newer);
}

TEST_P(CacheFrontTest, HealingLosesAgainstAnyNewerWrite) {
  FrontLife life(GetParam());
  fill(life, 0, 8);
  life.rot(0);
  overtake(life);
  EXPECT_EQ(life.front->healed_reads(), 0U);
  EXPECT_EQ(life.read(0, 8), of_backing(0, 4) + all(2, 200) + of_backing(6, 2));
}

// ---- verify

// The face of the volume, for who goes through that.
class Face final : public Volume {
 public:
  explicit Face(FrontLife& life) : life_(life) {}
  [[nodiscard]] const VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] BlockCount size() const override { return {1 << 20}; }
  [[nodiscard]] VolumeState state() const override { return VolumeState::online; }
  [[nodiscard]] VolumeCondition condition() const override { return {}; }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  void submit(IoLane& lane, VolumeIo& io) override { life_.front->submit(lane, io); }

  HostIo& verify(std::uint64_t at, std::uint64_t sectors) {
    return life_.on_lane(Kind::verify, at, sectors, 0, [this](IoLane& lane, HostIo& io) {
      VerifyRequest::start(*this, lane, io);
    });
  }

 private:
  FrontLife& life_;
  const VolumeIdentity identity_{.name = "face", .uuid = {}, .block_size = {512}};
};

TEST_P(CacheFrontTest, VerifyReadsTheWholeRangeInPieces) {
  FrontLife life(GetParam());
  Face face(life);
  EXPECT_EQ(life.write(1000, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.end(face.verify(0, 2000)), IoStatus::ok);
  EXPECT_EQ(life.backing.reads, 5) << "four pieces, one of them with a hit in it";
  life.backing.inner.break_sector(1999);
  EXPECT_EQ(life.end(face.verify(0, 1999)), IoStatus::ok);
  EXPECT_EQ(life.end(face.verify(0, 2000)), IoStatus::media_error);
}

TEST_P(CacheFrontTest, VerifyFindsRotThatNobodyCanHeal) {
  FrontLife life(GetParam());
  Face face(life);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  fill(life, 8, 8);
  EXPECT_EQ(life.end(face.verify(0, 16)), IoStatus::ok);
  life.rot(8);
  EXPECT_EQ(life.end(face.verify(0, 16)), IoStatus::ok) << "the backing has it";
  life.rot(0);
  EXPECT_EQ(life.end(face.verify(0, 16)), IoStatus::media_error);
  EXPECT_EQ(life.end(face.verify(8, 8)), IoStatus::ok);
}

// To look at everything once says nothing of what will be asked for.
TEST_P(CacheFrontTest, VerifyIsNoUse) {
  FrontLife life(GetParam());
  Face face(life);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  const std::uint8_t heat = life.extent_of(0)->heat;
  for (int time = 0; time < 3; ++time) EXPECT_EQ(life.end(face.verify(0, 16)), IoStatus::ok);
  EXPECT_EQ(life.extent_of(0)->heat, heat);
  EXPECT_FALSE(life.extent_of(8).has_value());
  (void)life.read(8, 8);
  EXPECT_FALSE(life.extent_of(8).has_value()) << "it was the first use";
}

TEST_P(CacheFrontTest, VerifyWaitsForABuffer) {
  FrontLife life(GetParam());
  Face face(life);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  std::vector<BufferLease> leases;
  while (auto lease = life.lanes[0]->buffers().lease({2U << 20})) {
    leases.push_back(std::move(*lease));
  }
  const HostIo& io = face.verify(0, 600);
  life.go_on();
  EXPECT_FALSE(io.has_ended);
  leases.clear();
  life.go_on();
  EXPECT_TRUE(io.has_ended);
  EXPECT_EQ(io.status, IoStatus::ok);
}

// ---- misses that are shared

TEST_P(CacheFrontTest, OneReadOfTheBackingServesAllWhoAskForIt) {
  FrontLife life(GetParam());
  life.backing.inner.hold(true);
  HostIo& first = life.submit(Kind::read, 0, 8, 0, 0);
  HostIo& second = life.submit(Kind::read, 0, 8, 0, 1);
  HostIo& same_lane = life.submit(Kind::read, 0, 8, 0, 0);
  HostIo& middle = life.submit(Kind::read, 3, 2, 0, 1);
  HostIo& beyond = life.submit(Kind::read, 6, 4, 0, 1);  // a part of it is nobody's yet
  life.go_on();
  EXPECT_EQ(life.backing.reads, 2);
  EXPECT_FALSE(first.has_ended || second.has_ended || middle.has_ended);
  life.backing.inner.release_oldest();
  life.go_on();
  EXPECT_TRUE(first.has_ended && second.has_ended && same_lane.has_ended && middle.has_ended);
  EXPECT_FALSE(beyond.has_ended);
  life.backing.inner.hold(false);
  life.backing.inner.release_all();
  life.go_on();
  for (HostIo* io : {&first, &second, &same_lane}) EXPECT_EQ(io->sectors(), of_backing(0, 8));
  EXPECT_EQ(middle.sectors(), of_backing(3, 2));
  EXPECT_EQ(beyond.sectors(), of_backing(6, 4));
  EXPECT_EQ(life.backing.reads, 2);
  life.volume->misses().check_invariants();
}

TEST_P(CacheFrontTest, WhoHasJoinedGetsWhatTheCacheHadToo) {
  FrontLife life(GetParam());
  life.backing.inner.hold(true);
  EXPECT_EQ(life.write(2, 4, 200), IoStatus::ok);
  HostIo& first = life.miss(0, 8, 0);
  HostIo& second = life.miss(0, 8, 1);
  life.backing.inner.hold(false);
  life.backing.inner.release_all();
  life.go_on();
  EXPECT_EQ(first.sectors(), of_backing(0, 2) + all(4, 200) + of_backing(6, 2));
  EXPECT_EQ(second.sectors(), first.sectors());
  EXPECT_EQ(life.backing.reads, 2);
}

TEST_P(CacheFrontTest, WhoHasJoinedAReadThatFailsReadsByHimself) {
  FrontLife life(GetParam());
  life.backing.inner.fail_nth(1, IoStatus::media_error);
  HostIo& first = life.submit(Kind::read, 0, 8, 0, 0);
  HostIo& second = life.submit(Kind::read, 0, 8, 0, 1);
  life.go_on();
  EXPECT_TRUE(first.has_ended && second.has_ended);
  EXPECT_EQ(first.status, IoStatus::media_error);
  EXPECT_EQ(second.sectors(), of_backing(0, 8));
  EXPECT_EQ(life.backing.reads, 2);
  life.volume->misses().check_invariants();
}

// What is bad of what another one has asked for is his affair.
TEST_P(CacheFrontTest, WhoHasJoinedFailsOnlyWithHisOwnBlocks) {
  FrontLife life(GetParam());
  life.backing.inner.break_sector(3);
  HostIo& first = life.submit(Kind::read, 0, 64, 0, 0);
  HostIo& good = life.submit(Kind::read, 32, 8, 0, 1);
  HostIo& bad = life.submit(Kind::read, 0, 8, 0, 1);
  life.go_on();
  EXPECT_EQ(first.status, IoStatus::media_error);
  EXPECT_EQ(good.sectors(), of_backing(32, 8));
  EXPECT_EQ(bad.status, IoStatus::media_error);
  EXPECT_EQ(life.backing.reads, 3);
  life.volume->misses().check_invariants();
}

TEST_P(CacheFrontTest, OneOfSeveralGapsThatFailsFailsTheRead) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(4, 4, 200), IoStatus::ok);
  life.backing.inner.fail_nth(1, IoStatus::unavailable);
  EXPECT_EQ(life.end(life.submit(Kind::read, 0, 12)), IoStatus::unavailable);
  EXPECT_EQ(life.backing.reads, 2);
}

// The write is published, written back and given up while the read is under way: what the read has
// got is old by then.
TEST_P(CacheFrontTest, WhoAsksAfterAWriteDoesNotGetWhatWasReadBefore) {
  FrontLife life(GetParam());
  (void)life.read(0, 8);  // the next one is worth a place
  life.backing.keeps_answers = true;
  HostIo& before = life.submit(Kind::read, 0, 8, 0, 0);
  life.go_on();
  ASSERT_EQ(life.backing.reads, 2);
  EXPECT_EQ(life.write(2, 2, 200, 1), IoStatus::ok);
  life.backing.inner.disk().write({2 * 512}, std::vector<std::byte>(1024, std::byte{200}));
  life.evict(2, 2);
  life.backing.keeps_answers = false;
  HostIo& after = life.submit(Kind::read, 0, 8, 0, 1);
  life.go_on();
  ASSERT_TRUE(after.has_ended) << "it waits for the old data";
  EXPECT_EQ(after.sectors(), of_backing(0, 2) + all(2, 200) + of_backing(4, 4));
  EXPECT_FALSE(before.has_ended);
  life.backing.give_answers();
  life.go_on();
  EXPECT_EQ(before.sectors(), after.sectors()) << "it has asked once more";
  EXPECT_EQ(life.read(0, 8), after.sectors()) << "old data is in the cache";
  life.volume->misses().check_invariants();
}

// It is overtaken when the fill is on its way already.
TEST_P(CacheFrontTest, AFillThatIsOvertakenInItsTurnIsDropped) {
  FrontLife life(GetParam());
  (void)life.read(0, 8);
  overtake(life);
  EXPECT_FALSE(life.extent_of(0).has_value());
  EXPECT_EQ(life.read(0, 8), of_backing(0, 4) + all(2, 200) + of_backing(6, 2));
}

// ---- fills

TEST_P(CacheFrontTest, TheSecondMissFills) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.read(8, 8), of_backing(8, 8));
  EXPECT_FALSE(life.extent_of(8).has_value());
  EXPECT_EQ(life.read(8, 8, 1), of_backing(8, 8));
  EXPECT_EQ(life.backing.reads, 2);
  EXPECT_EQ(life.read(8, 8), of_backing(8, 8));
  EXPECT_EQ(life.backing.reads, 2);
}

TEST_P(CacheFrontTest, AStreamDoesNotFill) {
  FrontLife life(GetParam());
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t at = 0; at < 4096; at += 256) {
      EXPECT_EQ(life.read(at, 256), of_backing(at, 256));
    }
  }
  EXPECT_FALSE(life.extent_of(4000).has_value());
}

TEST_P(CacheFrontTest, WhatIsOnlyPartlyMissingDoesNotFill) {
  FrontLife life(GetParam());
  EXPECT_EQ(life.write(4, 1, 200), IoStatus::ok);
  for (int round = 0; round < 3; ++round) {
    HostIo& io = life.miss(0, 8);
    EXPECT_EQ(life.end(io), IoStatus::ok);
  }
  EXPECT_FALSE(life.extent_of(0).has_value());
  // Nor does it take space.
  const std::uint64_t place = life.extent_of(4)->place.value;
  EXPECT_EQ(life.write(100, 1, 200), IoStatus::ok);
  EXPECT_EQ(life.extent_of(100)->place.value, place + (life.lines != nullptr ? 1 : 8));
}

// The host uses its buffer for something else as soon as it is told (HostIo).
TEST_P(CacheFrontTest, AFillDoesNotReadABufferThatHasBeenGivenBack) {
  FrontLife life(GetParam());
  (void)life.read(0, 8);
  const HostIo& second = life.submit(Kind::read, 0, 8);
  while (!second.has_ended) (void)life.turn(0);
  ASSERT_EQ(second.buffer[0], std::byte{0xee});
  life.go_on();
  ASSERT_TRUE(life.extent_of(0).has_value());
  EXPECT_EQ(life.read(0, 8), of_backing(0, 8));
  EXPECT_EQ(life.backing.reads, 2);
}

// A lane is not let go of while what it fills is on its way, though nobody waits for that.
TEST_P(CacheFrontTest, ALaneIsNotQuietWhileItFills) {
  FrontLife life(GetParam());
  (void)life.read(0, 8);
  EXPECT_TRUE(life.lanes[0]->guests_are_quiet());
  const HostIo& second = life.submit(Kind::read, 0, 8);
  EXPECT_FALSE(life.lanes[0]->guests_are_quiet());
  ASSERT_TRUE(life.volume->commit().try_lock());  // somebody else is at it
  while (!second.has_ended) (void)life.turn(0);
  (void)life.turn(0);
  EXPECT_EQ(life.lanes[0]->in_flight(), 0U);
  EXPECT_FALSE(life.lanes[0]->guests_are_quiet());
  life.volume->commit().unlock();
  EXPECT_EQ(life.write(100, 1, 200, 1), IoStatus::ok);
  EXPECT_TRUE(life.lanes[0]->guests_are_quiet());
}

// ---- whose turn commits

TEST(CacheFrontLanes, WhatAnotherLaneCommitsEndsOnItsOwn) {
  FrontLife life(Media::lines);
  std::vector<HostIo*> commands;
  for (std::uint64_t at = 0; at < 5; ++at) {
    commands.push_back(&life.submit(Kind::write, at * 8, 8, static_cast<std::uint8_t>(200 + at)));
  }
  ASSERT_TRUE(life.volume->commit().try_lock());
  (void)life.turn(0);
  life.volume->commit().unlock();
  EXPECT_FALSE(commands[0]->has_ended);
  const HostIo& other = life.submit(Kind::write, 100, 8, 210, 1);
  (void)life.turn(1);
  EXPECT_TRUE(other.has_ended);
  EXPECT_FALSE(commands[0]->has_ended) << "on another lane";
  EXPECT_EQ(life.read(0, 8, 1), all(8, 200)) << "it is committed";
  (void)life.turn(0);
  for (const HostIo* io : commands) EXPECT_TRUE(io->has_ended);
}

TEST_P(CacheFrontTest, ManyCommandsAreToldOfAtOnce) {
  FrontLife life(GetParam());
  std::vector<HostIo*> commands;
  for (std::uint64_t at = 0; at < 8; ++at) {
    commands.push_back(&life.submit(Kind::write, at * 8, 8, 200));
  }
  if (life.lines != nullptr) {
    ASSERT_TRUE(life.volume->commit().try_lock());
    (void)life.turn(0);
    life.volume->commit().unlock();
    (void)life.submit(Kind::write, 1000, 8, 201, 1);
    (void)life.turn(1);
  } else {
    (void)life.turn(0);
    while (life.commit()) {
    }
  }
  // Nothing else is under way on that lane: what reap() counts is what was posted to it.
  EXPECT_EQ(life.reap(0), 1U);
  for (const HostIo* io : commands) EXPECT_TRUE(io->has_ended);
}

}  // namespace
}  // namespace engine::test
