// A file that has no space for everything: who is asked before a write, and what becomes of it.
#include "engine/media/volume_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <vector>

#include "engine/media/allocated_range.h"
#include "tests/engine/media/backing_kit.h"

namespace engine {
namespace {

using AskedKind = BackingIo::Kind;
using Answer = SpaceQuestion::Answer;

constexpr FileGeometry sectors{
    .offset_alignment = 512, .memory_alignment = 4, .direct = true, .never_buffered = true};

struct SpaceAsked : testing::Test {
  MemoryBudget memory{64_MiB};
  SimDisk disk{1_MiB, 1};
  SimLane lane{memory, 1};
  SpaceBudget budget;
  std::deque<SpaceQuestion> asked;  // as they were
  Answer answer = Answer::refused;
  VolumeSpace space{
      budget, [this](SpaceQuestion& question) {
        asked.push_back(question);
        if (answer == Answer::promised) {
          EXPECT_TRUE(budget.admits(VolumeSpace::needed(question.offset, question.length)));
        }
        VolumeSpace::answer(question, answer);
      }};
  FileDevice device{OpenFile::borrowed(lane.attach(disk), sectors), 1_MiB,
                    IoSource::new_file(IoSource::new_backing()), FileSpace::given_back, &space};

  void measure(ByteCount free, ByteCount owed = {}) {
    budget.measure([owed] { return owed; }, [free] { return std::optional(free); });
  }
  IoStatus write(std::uint64_t offset, std::size_t bytes, bool has_space = false) {
    std::vector<std::byte> data(bytes, std::byte{1});
    BackingIo io{.kind = AskedKind::write, .durable = true, .offset = {offset}, .buffer = data};
    io.has_space = has_space;
    return run(io);
  }
  IoStatus run(BackingIo& io) {
    std::optional<IoStatus> ended;
    io.context = &ended;
    io.done = [](BackingIo& one, IoStatus status) noexcept {
      *static_cast<std::optional<IoStatus>*>(one.context) = status;
    };
    device.submit(lane, io);
    drive_until(lane, [&ended] { return ended.has_value(); });
    return *ended;
  }
};

TEST_F(SpaceAsked, IsTakenInWholeBlocksAndGivenBackAtTheEnd) {
  measure(8_KiB);
  EXPECT_EQ(write(512, 4096), IoStatus::ok);  // of two blocks
  EXPECT_TRUE(asked.empty());
  EXPECT_FALSE(budget.admits(1_KiB));
  measure({});
  EXPECT_EQ(budget.promised(), ByteCount{}) << "it has ended";
}

TEST_F(SpaceAsked, AWriteWithoutSpaceIsRefusedAndNothingElseIs) {
  measure(1_KiB);
  EXPECT_EQ(write(8192, 512), IoStatus::capacity_exceeded);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].offset, MediaOffset{8192});
  EXPECT_EQ(asked[0].length, ByteCount{512});
  EXPECT_FALSE(device.needs_reopen());
  std::vector<std::byte> now(4096, std::byte{7});
  BackingIo read{.kind = AskedKind::read, .offset = {8192}, .buffer = now};
  EXPECT_EQ(run(read), IoStatus::ok);
  EXPECT_EQ(now, std::vector<std::byte>(4096)) << "nothing was written";
  for (const AskedKind kind : {AskedKind::zero_range, AskedKind::discard}) {
    BackingIo zeros{.kind = kind, .durable = true, .offset = {0}};
    zeros.length = 64_KiB;
    EXPECT_EQ(run(zeros), IoStatus::ok);
  }
  EXPECT_EQ(write(8192, 512, /*has_space=*/true), IoStatus::ok);
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(SpaceAsked, AWriteWithItsPlaceGoesOnAndTakesNothing) {
  answer = Answer::has_place;
  EXPECT_EQ(write(0, 8192), IoStatus::ok);
  measure({});
  EXPECT_EQ(budget.promised(), ByteCount{});
}

TEST_F(SpaceAsked, APromiseThatCameLateIsGivenBackToo) {
  std::vector<std::byte> data(4096, std::byte{1});
  measure(4_KiB);
  ASSERT_TRUE(budget.admits(2_KiB));
  answer = Answer::unknown;
  EXPECT_EQ(write(0, 4096), IoStatus::unavailable);
  measure(8_KiB);
  answer = Answer::promised;
  EXPECT_EQ(write(0, 4096), IoStatus::ok);
  budget.ended(2_KiB);
  measure({});
  EXPECT_EQ(budget.promised(), ByteCount{});
}

TEST_F(SpaceAsked, WhatAWriteThatFailsWasPromisedIsFreeAgain) {
  measure(4_KiB);
  lane.fail_next(FileOperation::Kind::write_durable, EIO);
  EXPECT_NE(write(0, 4096), IoStatus::ok);
  measure(4_KiB);
  EXPECT_EQ(budget.promised(), ByteCount{});
  EXPECT_TRUE(budget.admits(4_KiB));
}

TEST_F(SpaceAsked, WhatACacheOwesIsNobodyElses) {
  measure(16_KiB, space.owed());
  space.expect(8_KiB);
  EXPECT_FALSE(budget.admits(12_KiB));
  measure(16_KiB, space.owed());
  EXPECT_EQ(budget.promised(), 8_KiB);
  ByteCount dirty = 12_KiB;
  space.follow([&dirty] { return dirty; });
  measure(16_KiB, space.owed());
  EXPECT_EQ(budget.promised(), 12_KiB);
  dirty = {};
  space.follow({});
  measure(16_KiB, space.owed());
  EXPECT_TRUE(budget.admits(16_KiB));
}

TEST(AllocatedRange, IsToldOnTheFileSystemOfTheTestsAndInMemory) {
  for (const std::string directory : {".", "/dev/shm"}) {
    std::string path = directory + "/forebay-allocated-XXXXXX";
    const int fd = mkostemp(path.data(), O_CLOEXEC);
    ASSERT_GE(fd, 0);
    unlink(path.c_str());
    ASSERT_EQ(ftruncate(fd, 1 << 20), 0);
    const std::vector<char> data(4096, 1);
    // Every other block, so that there are more extents than are asked for at once; then a hundred
    // blocks that are.
    for (off_t block = 0; block < 100; block += 2) {
      ASSERT_EQ(pwrite(fd, data.data(), data.size(), block * 4096), 4096);
    }
    for (off_t block = 100; block < 200; ++block) {
      ASSERT_EQ(pwrite(fd, data.data(), data.size(), block * 4096), 4096);
    }
    ASSERT_EQ(fsync(fd), 0);
    if (!is_allocated(fd, {0}, {4096})) {
      close(fd);
      GTEST_LOG_(INFO) << directory << " is on a file system that does not overwrite in place";
      continue;
    }
    EXPECT_TRUE(is_allocated(fd, {8192 + 512}, {512}));
    EXPECT_FALSE(is_allocated(fd, {4096}, {4096}));
    EXPECT_FALSE(is_allocated(fd, {0}, {8192}));
    EXPECT_FALSE(is_allocated(fd, {0}, {200 * 4096}));
    EXPECT_TRUE(is_allocated(fd, {100 * 4096}, {100 * 4096}));
    EXPECT_FALSE(is_allocated(fd, {100 * 4096}, {101 * 4096}));
    EXPECT_FALSE(is_allocated(fd, {2 << 20}, {4096}));
    close(fd);
  }
  EXPECT_FALSE(is_allocated(-1, {0}, {4096}));
}

}  // namespace
}  // namespace engine
