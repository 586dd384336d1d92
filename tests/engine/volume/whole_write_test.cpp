// Writes of several blocks are whole or not there: in the log, and for who reads meanwhile.
#include <gtest/gtest.h>

#include "engine/cache/least_space.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using Kind = VolumeIo::Kind;

class WholeWrite : public testing::TestWithParam<Media> {
 protected:
  // A read whose first look at the cache was some time ago.
  class Begun {
   public:
    Begun(FrontLife& life, std::uint64_t at, std::uint64_t sectors) : life_(life) {
      const auto look = [this](IoLane& on, HostIo& io) {
        CacheLane& here = *CacheLane::of(life_.cache, on);
        read_ = &here.take_read(here.ticket_for(*life_.front));
        EXPECT_TRUE(CachedRead::look(*life_.front, io, gaps_));
      };
      io_ = &life.on_lane(Kind::read, at, sectors, 0, look);
    }
    HostIo& go_on() {
      // In a turn of the lane.
      const auto start = [this](IoLane& on, HostIo& other) {
        read_->start(*life_.front, *io_, gaps_);
        life_.front->submit(on, other);
      };
      (void)life_.on_lane(Kind::write, 8000, 1, 1, start);
      return *io_;
    }

   private:
    FrontLife& life_;
    CachedRead::Gaps gaps_;
    CachedRead* read_ = nullptr;
    HostIo* io_ = nullptr;
  };
  static std::vector<int> of_backing(std::uint64_t at, std::uint64_t sectors) {
    return FrontLife::of_backing(at, sectors);
  }

  FrontLife life{GetParam(), 400};
};

INSTANTIATE_TEST_SUITE_P(Media, WholeWrite, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

// Over stripes of the index and dozens of segments, from whichever sector it begins.
TEST_P(WholeWrite, IsOneSetOfKeys) {
  std::uint8_t value = 150;
  for (const std::uint64_t at : {stripe_sectors - 1000, std::uint64_t{3}, 2 * stripe_sectors - 1}) {
    const std::uint64_t before = life.volume->commit().published();
    EXPECT_EQ(life.write(at, whole_write.value, ++value), IoStatus::ok);
    EXPECT_EQ(life.volume->commit().published(), before + 1);
    EXPECT_EQ(life.read(at, whole_write.value), all(whole_write.value, value));
  }
}

// What the cache gave out at first is older than what it has of the rest.
TEST_P(WholeWrite, IsSeenWholeByAReadThatMissesSomeOfIt) {
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  Begun read(life, 0, 24);
  EXPECT_EQ(life.write(0, 24, 201, 1), IoStatus::ok);
  HostIo& io = read.go_on();
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_EQ(io.sectors(), all(24, 201));
}

// Neither has the cache anything of it any more when the read ends.
TEST_P(WholeWrite, IsSeenWholeWhereItHasLeftTheCacheMeanwhile) {
  FrontUpkeep upkeep(life);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  Begun read(life, 0, 24);
  EXPECT_EQ(life.write(0, 24, 201, 1), IoStatus::ok);
  upkeep.drain();
  upkeep.work();
  life.evict(0, 24);
  HostIo& io = read.go_on();
  upkeep.work();
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_EQ(io.sectors(), all(24, 201));
}

// The backing was read before; it is read again.
TEST_P(WholeWrite, IsSeenWholeWhereItHasComeAndGoneWhileTheBackingAnswered) {
  FrontUpkeep upkeep(life);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  upkeep.drain();
  upkeep.work();
  life.backing.keeps_answers = true;
  HostIo& io = life.submit(Kind::read, 0, 24);
  life.go_on();
  ASSERT_FALSE(io.has_ended);
  life.backing.keeps_answers = false;
  EXPECT_EQ(life.write(0, 24, 201, 1), IoStatus::ok);
  upkeep.drain();
  upkeep.work();
  life.evict(8, 16);
  ASSERT_TRUE(life.extent_of(0).has_value());
  const int reads = life.backing.reads;
  life.backing.give_answers();
  upkeep.work();
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_EQ(io.sectors(), all(24, 201));
  EXPECT_GT(life.backing.reads, reads);
}

// One miss gets its part from another's read, which began before the write.
TEST_P(WholeWrite, IsSeenWholeByWhoHasJoinedAnotherRead) {
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  life.backing.keeps_answers = true;
  HostIo& first = life.submit(Kind::read, 8, 16, 0, 1);
  HostIo& second = life.submit(Kind::read, 0, 24);
  life.go_on();
  life.backing.keeps_answers = false;
  EXPECT_EQ(life.write(0, 24, 201, 1), IoStatus::ok);
  life.backing.give_answers();
  EXPECT_EQ(life.end(second), IoStatus::ok);
  EXPECT_EQ(second.sectors(), all(24, 201));
  EXPECT_EQ(life.end(first), IoStatus::ok);
  EXPECT_EQ(first.sectors(), all(16, 201));
}

// A block that nobody stops writing does not keep a read from its end.
TEST_P(WholeWrite, DoesNotKeepAReadFromItsEnd) {
  life.backing.keeps_answers = true;
  HostIo& io = life.submit(Kind::read, 0, 64);
  for (std::uint8_t value = 150; value < 160; ++value) {
    EXPECT_EQ(life.write(8, 16, value, 1), IoStatus::ok);
  }
  const int reads = life.backing.reads;
  life.backing.keeps_answers = false;
  life.backing.give_answers();
  EXPECT_EQ(life.end(io), IoStatus::ok);
  EXPECT_EQ(io.sectors(),
            FrontLife::of_backing(0, 8) + all(16, 159) + FrontLife::of_backing(24, 40));
  EXPECT_EQ(life.backing.reads, reads) << "what it has read is good";
}

// Nobody is watched for any more when all have ended.
TEST_P(WholeWrite, LeavesNothingInTheTableOfMisses) {
  (void)life.read(0, 4096);
  (void)life.read(2047, 4000);
  life.volume->misses().check_invariants();
}

}  // namespace
}  // namespace engine::test
