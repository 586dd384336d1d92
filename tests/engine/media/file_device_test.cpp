// What is FileDevice's own: alignment, refusals, errors, reopening. The contract:
// backing_device_test.cpp.
#include "engine/media/file_device.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/physical_block.h"
#include "tests/engine/media/backing_kit.h"
#include "tests/engine/media/hung_memory.h"
#include "tests/engine/media/loop_device.h"

namespace engine {
namespace {

using Kind = BackingIo::Kind;

std::uint64_t allocated_bytes(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

TEST(FileDevice, DiscardGivesSpaceBackAndZeroRangeKeepsIt) {
  FileKit kit(4_MiB, ".");
  ASSERT_TRUE(kit.device().geometry().direct)
      << "the build folder's file system must have O_DIRECT";
  std::vector<std::byte> ones(1 << 20, std::byte{1});
  ASSERT_EQ(kit.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
  const auto full = allocated_bytes(kit.path());
  ASSERT_EQ(kit.run(Kind::zero_range, 512, {}, (1 << 20) - 512, true), IoStatus::ok);
  EXPECT_EQ(allocated_bytes(kit.path()), full);
  ASSERT_EQ(kit.run(Kind::discard, 512, {}, (1 << 20) - 512, true), IoStatus::ok);
  EXPECT_LE(allocated_bytes(kit.path()), full - (1 << 20) + 4096);
  std::vector<std::byte> now(1 << 20);
  ASSERT_EQ(kit.run(Kind::read, 0, now), IoStatus::ok);
  EXPECT_TRUE(
      std::all_of(now.begin(), now.begin() + 512, [](auto b) { return b == std::byte{1}; }));
  EXPECT_TRUE(std::all_of(now.begin() + 512, now.end(), [](auto b) { return b == std::byte{0}; }));
}

// Of a thick volume, and of a thin one: whatever is asked for.
TEST(FileDevice, SpaceIsKeptOrGivenBackHoweverItIsZeroed) {
  for (const Kind kind : {Kind::discard, Kind::zero_range}) {
    std::vector<std::byte> ones(1 << 20, std::byte{1});
    FileKit thick(4_MiB, ".", FileSpace::kept);
    ASSERT_EQ(thick.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
    const auto full = allocated_bytes(thick.path());
    ASSERT_EQ(thick.run(kind, 512, {}, (1 << 20) - 512, true), IoStatus::ok);
    EXPECT_EQ(allocated_bytes(thick.path()), full);
    FileKit thin(4_MiB, ".", FileSpace::given_back);
    ASSERT_EQ(thin.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
    ASSERT_EQ(thin.run(kind, 512, {}, (1 << 20) - 512, true), IoStatus::ok);
    EXPECT_LE(allocated_bytes(thin.path()), full - (1 << 20) + 4096);
  }
}

TEST(FileDevice, ZeroesOfPartsOfAHoleTakeNoSpace) {
  FileKit kit(4_MiB, ".", FileSpace::given_back);
  for (const Kind kind : {Kind::discard, Kind::zero_range}) {
    // Ends in the middle of blocks, and of sectors.
    ASSERT_EQ(kit.run(kind, 512, {}, 1024, true), IoStatus::ok);
    ASSERT_EQ(kit.run(kind, (1 << 20) + 512, {}, (1 << 20) - 1024, true), IoStatus::ok);
    ASSERT_EQ(kit.run(kind, (3 << 20) + 100, {}, 5000, true), IoStatus::ok);
    EXPECT_EQ(allocated_bytes(kit.path()), 0U);
  }
  std::vector<std::byte> ones(8192, std::byte{1});
  ASSERT_EQ(kit.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
  ASSERT_EQ(kit.run(Kind::discard, 100, {}, 1000, true), IoStatus::ok);
  ASSERT_EQ(kit.run(Kind::discard, 4608, {}, 512, true), IoStatus::ok);
  std::fill_n(ones.begin() + 100, 1000, std::byte{});
  std::fill_n(ones.begin() + 4608, 512, std::byte{});
  std::vector<std::byte> now(8192);
  ASSERT_EQ(kit.run(Kind::read, 0, now), IoStatus::ok);
  EXPECT_EQ(now, ones);
}

TEST(FileDevice, TmpfsIsServedAndSaysWhatItDoesNotPromise) {
  FileKit kit(1_MiB, "/dev/shm");
  EXPECT_FALSE(kit.device().geometry().survives_power_loss);
  EXPECT_NE(kit.device().note().find("power loss"), std::string::npos);
  EXPECT_EQ(kit.device().geometry().atomic_write_bytes, 0U);
  FileKit on_disk(1_MiB, ".");
  EXPECT_EQ(on_disk.device().note(), "");
}

TEST(FileDevice, KeepsWholeWhatItsDiskDoesAndNoMoreThanABlockOfTheFileSystem) {
  FileKit kit(1_MiB, ".");
  struct stat status {};
  struct statfs file_system {};
  ASSERT_EQ(::stat(kit.path().c_str(), &status), 0);
  ASSERT_EQ(::statfs(kit.path().c_str(), &file_system), 0);
  const FileGeometry& geometry = kit.device().geometry();
  const auto block = static_cast<std::uint32_t>(file_system.f_bsize);
  EXPECT_EQ(geometry.atomic_write_bytes,
            geometry.never_buffered ? std::min(physical_block_bytes(status.st_dev), block) : 0U);
}

TEST(FileDevice, AlignedWritesAreOneOperationEachWithoutReadingFirst) {
  SimFileKit kit(1_MiB, native_4k);
  auto lease = *kit.lane().buffers().lease(64_KiB);
  ASSERT_EQ(kit.run(Kind::write, 4096, lease.bytes(), 0, true), IoStatus::ok);
  EXPECT_EQ(kit.lane().ended(), 1U);
  EXPECT_EQ(kit.lane().count(FileOperation::Kind::write_durable), 1U);
}

TEST(FileDevice, PartsOfBlocksWrittenAtOnceKeepEachOthersData) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimFileKit kit(64_KiB, native_4k, seed);
    std::deque<BackingIo> writes;
    std::vector<std::vector<std::byte>> data;
    std::size_t ended = 0;
    for (std::size_t sector = 0; sector < 32; ++sector) {
      data.emplace_back(512, static_cast<std::byte>(sector + 1));
    }
    for (std::size_t sector = 0; sector < 32; ++sector) {
      writes.push_back({.kind = Kind::write, .durable = true});
      writes.back().offset = {sector * 512};
      writes.back().buffer = data[sector];
      writes.back().context = &ended;
      writes.back().done = [](BackingIo& io, IoStatus status) noexcept {
        EXPECT_EQ(status, IoStatus::ok);
        ++*static_cast<std::size_t*>(io.context);
      };
      kit.device().submit(kit.lane(), writes.back());
    }
    drive_until(kit.lane(), [&] { return ended == writes.size(); });
    const auto medium = kit.disk().durable();
    for (std::size_t sector = 0; sector < 32; ++sector) {
      ASSERT_TRUE(std::equal(data[sector].begin(), data[sector].end(),
                             medium.begin() + static_cast<std::ptrdiff_t>(sector * 512)))
          << "seed " << seed << " sector " << sector;
    }
  }
}

TEST(FileDevice, ShortReadOfABlockNeverZeroesTheNeighboursOfAWrite) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimFileKit kit(64_KiB, native_4k, seed);
    std::vector<std::byte> ones(65536, std::byte{1});
    ASSERT_EQ(kit.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
    kit.lane().shorten(1);
    std::vector<std::byte> two(512, std::byte{2});
    (void)kit.run(Kind::write, 4096, two, 0, true);  // may fail, may succeed
    const auto medium = kit.disk().durable();
    for (std::size_t at = 0; at < medium.size(); ++at) {
      if (at >= 4096 && at < 4608) continue;
      ASSERT_EQ(medium[at], std::byte{1}) << "seed " << seed << " at " << at;
    }
  }
}

TEST(FileDevice, BouncingGoesOnWhenAllBuffersAreOut) {
  SimFileKit kit(4_MiB, native_4k);
  std::vector<BufferLease> held;
  while (auto lease = kit.lane().buffers().lease(BufferPool::largest))
    held.push_back(std::move(*lease));
  ASSERT_GT(held.size(), 4U);
  // Those who hold everything wait for these two to end.
  std::deque<BackingIo> writes(2, BackingIo{.kind = Kind::write, .durable = true});
  std::size_t ended = 0;
  for (std::size_t at = 0; at < writes.size(); ++at) {
    std::memset(held[at].bytes().data(), static_cast<int>(at + 1), held[at].bytes().size());
    writes[at].offset = {at * 2097152};
    writes[at].buffer = held[at].bytes().subspan(1, 1048576);
    writes[at].context = &ended;
    writes[at].done = [](BackingIo& io, IoStatus status) noexcept {
      EXPECT_EQ(status, IoStatus::ok);
      ++*static_cast<std::size_t*>(io.context);
    };
    kit.device().submit(kit.lane(), writes[at]);
  }
  drive_until(kit.lane(), [&] { return ended == 2; });
  EXPECT_EQ(kit.disk().durable()[0], std::byte{1});
  EXPECT_EQ(kit.disk().durable()[2097152 + 1048575], std::byte{2});
}

TEST(FileDevice, RefusedFallocateIsReplacedByWrittenZeros) {
  for (const auto kind : {Kind::discard, Kind::zero_range}) {
    SimFileKit kit(4_MiB, native_512);
    kit.lane().fail_all(FileOperation::Kind::punch_hole, EOPNOTSUPP);
    kit.lane().fail_all(FileOperation::Kind::zero_range, EOPNOTSUPP);
    std::vector<std::byte> ones(1 << 20, std::byte{1});
    ASSERT_EQ(kit.run(Kind::write, 0, ones, 0, true), IoStatus::ok);
    ASSERT_EQ(kit.run(kind, 1536, {}, 700000 / 512 * 512, true), IoStatus::ok);
    const auto medium = kit.disk().durable();
    for (std::size_t at = 0; at < ones.size(); ++at) {
      const bool zeroed = at >= 1536 && at < 1536 + 700000 / 512 * 512;
      ASSERT_EQ(medium[at], zeroed ? std::byte{0} : std::byte{1}) << at;
    }
    ASSERT_EQ(kit.run(kind, 0, {}, 8192, true), IoStatus::ok);
    EXPECT_LE(kit.lane().count(FileOperation::Kind::punch_hole) +
                  kit.lane().count(FileOperation::Kind::zero_range),
              1U)
        << "asked once, remembered";
  }
}

TEST(FileDevice, EachErrnoBecomesItsStatus) {
  struct Row {
    int error;
    IoStatus status;
  };
  const std::array rows{
      Row{EIO, IoStatus::media_error},          Row{EILSEQ, IoStatus::media_error},
      Row{EINVAL, IoStatus::media_error},       Row{ENOSPC, IoStatus::capacity_exceeded},
      Row{EDQUOT, IoStatus::capacity_exceeded}, Row{EROFS, IoStatus::read_only},
      Row{ETIMEDOUT, IoStatus::timed_out},      Row{ENODEV, IoStatus::unavailable},
      Row{ENOMEM, IoStatus::unavailable},       Row{ECANCELED, IoStatus::cancelled}};
  for (const Row& row : rows) {
    SimFileKit kit(1_MiB, native_512);
    std::vector<std::byte> buffer(4096);
    kit.lane().fail_next(FileOperation::Kind::read, row.error);
    EXPECT_EQ(kit.run(Kind::read, 0, buffer), row.status) << row.error;
    kit.lane().fail_next(FileOperation::Kind::read, row.error);
    EXPECT_EQ(kit.run(Kind::read, 512, std::span(buffer).subspan(1, 512)), row.status) << row.error;
    EXPECT_STRNE(text(row.status), "unknown");
  }
}

TEST(FileDevice, InterruptedOperationIsRepeated) {
  SimFileKit kit(1_MiB, native_512);
  std::vector<std::byte> buffer(4096);
  for (const auto kind : {FileOperation::Kind::read, FileOperation::Kind::write_durable}) {
    kit.lane().fail_next(kind, EINTR);
    kit.lane().fail_next(kind, EINTR);
  }
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::read, 0, buffer), IoStatus::ok);
}

TEST(FileDevice, BrokenSectorIsAnErrorForItsBlocksOnlyUntilOverwritten) {
  SimFileKit kit(1_MiB, native_512);
  std::vector<std::byte> buffer(4096);
  kit.disk().break_sector(3);
  EXPECT_EQ(kit.run(Kind::read, 0, buffer), IoStatus::media_error);
  EXPECT_EQ(kit.run(Kind::read, 4096, buffer), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::read, 0, std::span(buffer).first(1536)), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::write, 1536, std::span(buffer).first(512), 0, true), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::read, 0, buffer), IoStatus::ok);
}

TEST(FileDevice, FileThatBecameShorterIsAnErrorNotZeros) {
  FileKit kit(1_MiB, ".");
  ASSERT_EQ(truncate(kit.path().c_str(), 4096), 0);
  std::vector<std::byte> buffer(8192);
  EXPECT_EQ(kit.run(Kind::read, 0, buffer), IoStatus::media_error);
  EXPECT_EQ(kit.run(Kind::read, 65536, buffer), IoStatus::media_error);
}

// The kernel says of such a disk that there is no space left on it, and that it ends before its
// beginning: hosts must not hear that the volume is full.
TEST(FileDevice, ADiskThatHasBeenPulledIsGoneAndNotFullUntilItIsOpenedAnew) {
  LoopDevice loop(1_MiB);
  const auto open = [&] {
    auto file = OpenFile::open(loop.path(), 1_MiB);
    EXPECT_TRUE(file) << file.error();
    return std::move(file.value());
  };
  MemoryBudget budget(64_MiB);
  const auto lane = std::move(UringLane::create(budget).value());
  FileDevice device(open(), 1_MiB, IoSource::new_file(IoSource::new_backing()));
  alignas(4096) std::array<std::byte, 4096> memory{};
  const auto run = [&](Kind kind, bool durable = false) {
    BackingIo io{.kind = kind, .durable = durable, .offset = {8192}, .buffer = memory};
    return run_to_end(device, *lane, io);
  };
  for (const Kind first : {Kind::write, Kind::read}) {
    EXPECT_EQ(run(Kind::write, true), IoStatus::ok);
    loop.resize({});
    EXPECT_EQ(run(first, first == Kind::write), IoStatus::unavailable);
    EXPECT_TRUE(device.needs_reopen());
    EXPECT_EQ(run(Kind::read), IoStatus::unavailable);
    EXPECT_EQ(run(Kind::write, true), IoStatus::unavailable);
    loop.resize(1_MiB);
    EXPECT_TRUE(device.reopen(open()));
  }
  EXPECT_EQ(run(Kind::read), IoStatus::ok);
}

TEST(FileDevice, ReopenGoesOnWithTheFileThatIsThereNow) {
  FileKit kit(1_MiB, ".");
  std::vector<std::byte> buffer(4096, std::byte{7});
  ASSERT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
  auto file = OpenFile::open(kit.path(), 1_MiB);
  ASSERT_TRUE(file);
  ASSERT_TRUE(kit.device().reopen(std::move(file.value())));
  std::vector<std::byte> now(4096);
  EXPECT_EQ(kit.run(Kind::read, 0, now), IoStatus::ok);
  EXPECT_EQ(now, buffer);
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
}

struct HungWrite {
  bool ended = false;
  FileOperation operation{.kind = FileOperation::Kind::write};
  explicit HungWrite(int fd, std::span<std::byte> memory) {
    operation.fd = fd;
    operation.buffer = memory;
    operation.context = this;
    operation.done = [](FileOperation& done, int) noexcept {
      static_cast<HungWrite*>(done.context)->ended = true;
    };
  }
};

// A killed daemon's descriptors are closed, its writes are not over: whoever opens the file next
// must wait for them, or they land on top of what it has acknowledged.
TEST(FileDevice, LockOfAClosedFileLastsUntilItsLastWriteHasEnded) {
  FileKit kit(1_MiB, "/dev/shm");
  HungMemory memory;
  auto earlier = std::make_unique<OpenFile>(std::move(OpenFile::open(kit.path(), 1_MiB).value()));
  ASSERT_TRUE(earlier->lock());
  HungWrite write(earlier->fd(), memory.bytes());
  kit.lane().start(write.operation);
  kit.lane().submit();
  memory.await_blocked(1);
  earlier.reset();
  auto later = OpenFile::open(kit.path(), 1_MiB);
  ASSERT_TRUE(later);
  const auto refused = later.value().lock();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("an earlier daemon's I/O has not ended"), std::string::npos);
  memory.release();
  drive_until(kit.lane(), [&write] { return write.ended; });
  EXPECT_TRUE(later.value().lock());
}

TEST(FileDevice, ReopenWaitsForTheWritesOfTheFileBefore) {
  FileKit kit(1_MiB, "/dev/shm");
  HungMemory memory;
  auto first = OpenFile::open(kit.path(), 1_MiB);
  ASSERT_TRUE(first && first.value().lock());
  HungWrite write(first.value().fd(), memory.bytes());
  FileDevice device(std::move(first.value()), 1_MiB, IoSource::new_file(IoSource::new_backing()));
  kit.lane().start(write.operation);
  kit.lane().submit();
  memory.await_blocked(1);
  const auto refused = device.reopen(std::move(OpenFile::open(kit.path(), 1_MiB).value()));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("has not ended"), std::string::npos) << refused.error();
  memory.release();
  drive_until(kit.lane(), [&write] { return write.ended; });
  EXPECT_TRUE(device.reopen(std::move(OpenFile::open(kit.path(), 1_MiB).value())));
  EXPECT_FALSE(OpenFile::open(kit.path(), 1_MiB).value().lock()) << "it holds the lock again";
}

TEST(FileDevice, OpeningTheWrongThingSaysWhat) {
  FileKit kit(1_MiB, ".");
  EXPECT_NE(OpenFile::open("no-such-file", 1_MiB).error().find("No such file"), std::string::npos);
  EXPECT_NE(OpenFile::open(".", 1_MiB).error().find("directory"), std::string::npos);
  EXPECT_NE(OpenFile::open("/dev/null", 1_MiB).error().find("neither"), std::string::npos);
  EXPECT_NE(OpenFile::open(kit.path(), 2_MiB).error().find("truncated"), std::string::npos);
  const std::string link = kit.path() + ".link";
  ASSERT_EQ(symlink(kit.path().c_str(), link.c_str()), 0);
  EXPECT_FALSE(OpenFile::open(link, 1_MiB));
  unlink(link.c_str());
}

TEST(FileDevice, GrowsWhileInUse) {
  SimFileKit kit(1_MiB, native_512);
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(kit.run(Kind::write, 1 << 20, buffer, 0, true), IoStatus::out_of_range);
  kit.disk().grow(2_MiB);
  kit.device().grow(2_MiB);
  EXPECT_EQ(kit.run(Kind::write, 1 << 20, buffer, 0, true), IoStatus::ok);
}

}  // namespace
}  // namespace engine
