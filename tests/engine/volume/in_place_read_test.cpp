// Reads that are given out where they lie in the cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/volume/cached_pins.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine::test {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint32_t many = 800;  // segments: a hundred may be pinned

class InPlaceRead : public testing::TestWithParam<Media> {
 protected:
  struct Life : FrontLife {
    explicit Life(std::uint32_t segments = many) : FrontLife(GetParam()) {
      front->pins().set_segments(segments);
    }
    [[nodiscard]] PinnedRead pin(std::uint64_t at, std::uint64_t sectors, bool is_use = true) {
      return front->read_in_place(
          *lanes[0], {.lba = {at}, .blocks = {sectors}, .is_use = is_use, .needs_checksum = true});
    }
    [[nodiscard]] std::uint32_t pins_of_segments() const {
      std::uint32_t sum = 0;
      for (std::uint32_t at = 0; at < cache.device->segments().count(); ++at) {
        sum += cache.device->segments().counters(at).pins;
      }
      return sum;
    }
    [[nodiscard]] std::uint32_t segment_of(std::uint64_t sector) {
      const auto place = extent_of(sector).value().place;
      return cache.device->layout().segment_of({place.value * 512}).value();
    }
  };

  // The first byte of each sector.
  static std::vector<int> sectors(const Bytes& bytes) {
    std::vector<int> found;
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      found.push_back(std::to_integer<int>(bytes[at]));
    }
    return found;
  }
  static Bytes bytes_of(const PinnedRead& read) {
    Bytes bytes;
    for (const auto piece : read.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
    EXPECT_EQ(read.bytes(), bytes.size());
    return bytes;
  }
};

INSTANTIATE_TEST_SUITE_P(Media, InPlaceRead, testing::Values(Media::lines, Media::pages),
                         [](const auto& media) {
                           return media.param == Media::lines ? "Lines" : "Pages";
                         });

TEST_P(InPlaceRead, GivesOutWhatTheCacheHasWhole) {
  Life life;
  EXPECT_EQ(life.write(0, 24, 200), IoStatus::ok);
  EXPECT_EQ(life.write(24, 16, 201), IoStatus::ok);
  EXPECT_EQ(life.write(10, 2, 202), IoStatus::ok);
  PinnedRead read = life.pin(2, 36);
  ASSERT_TRUE(read);
  const Bytes bytes = bytes_of(read);
  EXPECT_EQ(sectors(bytes), all(8, 200) + all(2, 202) + all(12, 200) + all(14, 201));
  EXPECT_EQ(read.checksum(), crc32c(bytes));
  EXPECT_EQ(life.pins_of_segments(), read.pieces().size());
  EXPECT_EQ(life.front->pins().taken(), read.pieces().size());
  EXPECT_EQ(life.front->reads_in_place(), 1U);
  EXPECT_EQ(life.front->bytes_in_place(), ByteCount{36 * 512});
  read.release();
  EXPECT_EQ(life.pins_of_segments(), 0U);
  EXPECT_EQ(life.front->pins().taken(), 0U);
  EXPECT_EQ(life.backing.reads, 0);
}

TEST_P(InPlaceRead, StaysAsItIsWhateverIsWrittenMeanwhile) {
  Life life;
  EXPECT_EQ(life.write(0, 16, 200), IoStatus::ok);
  const PinnedRead before = life.pin(0, 16);
  ASSERT_TRUE(before);
  EXPECT_EQ(life.write(0, 16, 201), IoStatus::ok);
  EXPECT_EQ(sectors(bytes_of(before)), all(16, 200));
  const PinnedRead after = life.pin(0, 16);
  ASSERT_TRUE(after);
  EXPECT_EQ(sectors(bytes_of(after)), all(16, 201));
}

TEST_P(InPlaceRead, WhatIsNotThereWholeIsToBeSubmitted) {
  Life life;
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.end(life.submit(VolumeIo::Kind::write_zeroes, 8, 8)), IoStatus::ok);
  EXPECT_FALSE(life.pin(0, 9)) << "zeros behind it";
  EXPECT_FALSE(life.pin(8, 8)) << "zeros";
  EXPECT_FALSE(life.pin(1000, 8)) << "nothing";
  EXPECT_EQ(life.write(1000, 8, 201), IoStatus::ok);
  EXPECT_FALSE(life.pin(996, 8)) << "a gap in front";
  EXPECT_FALSE(life.pin(1004, 8)) << "a gap behind";
  // Every second sector anew: each is a piece.
  EXPECT_EQ(life.write(64, 17, 202), IoStatus::ok);
  for (std::uint64_t at = 65; at < 80; at += 2) EXPECT_EQ(life.write(at, 1, 203), IoStatus::ok);
  EXPECT_TRUE(life.pin(64, CachedPins::most_hits));
  EXPECT_FALSE(life.pin(64, CachedPins::most_hits + 1));
  EXPECT_EQ(life.pins_of_segments(), 0U);
  EXPECT_EQ(life.front->pins().taken(), 0U);
  EXPECT_EQ(life.front->reads_in_place(), 1U);
}

TEST_P(InPlaceRead, CountsAsAUseOnlyIfItIsGivenOut) {
  Life life;
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  const int cold = life.extent_of(0)->heat;
  EXPECT_FALSE(life.pin(0, 16));
  EXPECT_EQ(life.extent_of(0)->heat, cold);
  EXPECT_TRUE(life.pin(0, 8, /*is_use=*/false));
  EXPECT_EQ(life.extent_of(0)->heat, cold);
  EXPECT_TRUE(life.pin(0, 8));
  EXPECT_EQ(life.extent_of(0)->heat, cold + 1);
}

TEST_P(InPlaceRead, RotIsNotGivenOut) {
  Life life;
  EXPECT_EQ(life.write(0, 32, 200), IoStatus::ok);
  EXPECT_TRUE(life.pin(0, 32));
  life.rot(17);
  EXPECT_FALSE(life.pin(0, 32));
  EXPECT_TRUE(life.pin(0, 16)) << "in front of it";
  EXPECT_EQ(life.pins_of_segments(), 0U);
  EXPECT_EQ(life.end(life.submit(VolumeIo::Kind::read, 0, 32)), IoStatus::media_error);
}

TEST_P(InPlaceRead, MemoryThatGoesBadIsMetByTheCopyAndByTheNextRead) {
  Life life;
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  EXPECT_EQ(life.write(8, 8, 201), IoStatus::ok);
  const PinnedRead read = life.pin(0, 16);
  ASSERT_TRUE(read);
  ASSERT_EQ(read.pieces().size(), 2U);
  const MediaOffset bad{life.extent_of(8)->place.value * 512};
  if (GetParam() == Media::lines) {
    life.lines->poison(bad, {512});
  } else {
    life.pages->poison(bad, {512});
  }
  Bytes copy(8 * 512);
  const auto first = read.pieces().front().subspan(512, 512);
  EXPECT_TRUE(read.copy(first, copy));
  EXPECT_EQ(copy[511], std::byte{200});
  EXPECT_FALSE(read.copy(read.pieces().back(), copy));
  EXPECT_FALSE(life.pin(0, 16));
  EXPECT_TRUE(life.pin(0, 8));
}

TEST_P(InPlaceRead, AVolumeHasNoMoreThanItsPartPinned) {
  Life life(2 * PinBudget::parts);
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  PinnedRead first = life.pin(0, 8);
  const PinnedRead second = life.pin(0, 8);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(life.pin(0, 8));
  EXPECT_EQ(life.read(0, 8), all(8, 200)) << "it is copied";
  first.release();
  EXPECT_TRUE(life.pin(0, 8));
}

// As long as a host takes nothing from its socket, the place is kept, and everything else goes
// round.
TEST_P(InPlaceRead, ReclaimPassesByWhatIsPinned) {
  Life life;
  EXPECT_EQ(life.write(0, 16, 200), IoStatus::ok);
  const std::uint32_t segment = life.segment_of(0);
  FrontUpkeep upkeep(life);
  PinnedRead read = life.pin(0, 16);
  ASSERT_TRUE(read);
  const SegmentTable& segments = life.cache.device->segments();
  const auto generation = segments.info(segment).generation;
  // Several times what the cache holds.
  const auto go_round = [&] {
    for (std::uint8_t round = 0; round < 100; ++round) {
      const HostIo& io = life.submit(VolumeIo::Kind::write, round % 4 * 16, 16, round);
      upkeep.work();
      for (int ticks = 0; ticks < 20 && !io.has_ended; ++ticks) upkeep.tick();
      ASSERT_TRUE(io.has_ended);
    }
  };
  go_round();
  EXPECT_EQ(sectors(bytes_of(read)), all(16, 200));
  EXPECT_EQ(segments.info(segment).generation, generation);
  read.release();
  go_round();
  EXPECT_NE(segments.info(segment).generation, generation);
}

TEST_P(InPlaceRead, NothingIsPinnedWhileAWriteWaitsForSpace) {
  Life life;
  std::uint64_t at = 0;
  const HostIo* waiting = nullptr;
  for (; waiting == nullptr; at += 8) {
    const HostIo& io = life.submit(VolumeIo::Kind::write, at, 8, 200);
    life.go_on();
    if (!io.has_ended) waiting = &io;
  }
  EXPECT_FALSE(life.pin(0, 8));
  EXPECT_EQ(life.read(0, 8), all(8, 200)) << "it is copied";
  {
    FrontUpkeep upkeep(life);
    for (int ticks = 0; ticks < 20; ++ticks) upkeep.tick();
  }
  EXPECT_TRUE(waiting->has_ended);
  life.front->pins().set_segments(many);
  EXPECT_TRUE(life.pin(at - 8, 8));
}

TEST_P(InPlaceRead, ALaneIsNotQuietBeforeItIsLetGoOf) {
  Life life;
  EXPECT_EQ(life.write(0, 8, 200), IoStatus::ok);
  PinnedRead read = life.pin(0, 8);
  ASSERT_TRUE(read);
  EXPECT_FALSE(life.lanes[0]->guests_are_quiet());
  PinnedRead moved = std::move(read);
  EXPECT_FALSE(life.lanes[0]->guests_are_quiet());
  moved.release();
  EXPECT_TRUE(life.lanes[0]->guests_are_quiet());
}

}  // namespace
}  // namespace engine::test
