#include "engine/volume/backed_volume.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <thread>
#include <vector>

#include "engine/media/memory_device.h"
#include "engine/media/uring_lane.h"
#include "tests/engine/volume/volume_kit.h"
#include "tests/sim/sim_backing.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

struct VolumeOverSim : testing::Test {
  MemoryBudget budget{16_MiB};
  SimLane lane{budget};
  BackedVolume volume{
      {.name = "v", .uuid = {}, .block_size = {512}}, {2048}, "the pool is not mounted"};
  SimBacking* backing = nullptr;

  void bring_online() {
    auto made = std::make_unique<SimBacking>(1_MiB);
    backing = made.get();
    volume.go_online(std::move(made), some_uuid, {2048}, {});
  }
  IoStatus ask(Kind kind, std::uint64_t lba, std::uint64_t blocks, std::span<std::byte> data = {}) {
    return run(volume, lane, kind, lba, blocks, data);
  }
};

TEST_F(VolumeOverSim, LateVolumeHasItsSizeAndReasonAndAnswersUnavailable) {
  std::vector<std::byte> data(512);
  EXPECT_EQ(volume.state(), VolumeState::late);
  EXPECT_EQ(volume.size(), BlockCount{2048});
  EXPECT_EQ(volume.condition().reason, "the pool is not mounted");
  for (const Kind kind : {Kind::read, Kind::write})
    EXPECT_EQ(ask(kind, 0, 1, data), IoStatus::unavailable);
  for (const Kind kind : {Kind::write_zeroes, Kind::deallocate, Kind::flush, Kind::verify}) {
    EXPECT_EQ(ask(kind, 0, 1), IoStatus::unavailable);
  }
}

TEST_F(VolumeOverSim, RangesAreCheckedWithoutWrapping) {
  bring_online();
  std::vector<std::byte> data(512);
  EXPECT_EQ(ask(Kind::read, 2047, 1, data), IoStatus::ok);
  for (const Kind kind :
       {Kind::read, Kind::write, Kind::write_zeroes, Kind::deallocate, Kind::verify}) {
    EXPECT_EQ(ask(kind, 2048, 1, data), IoStatus::out_of_range);
    EXPECT_EQ(ask(kind, 2047, 2, data), IoStatus::out_of_range);
    EXPECT_EQ(ask(kind, most, 1, data), IoStatus::out_of_range);
    EXPECT_EQ(ask(kind, most, 2, data), IoStatus::out_of_range);
    EXPECT_EQ(ask(kind, 1, most, data), IoStatus::out_of_range);
    EXPECT_EQ(ask(kind, 0, 0), IoStatus::ok) << "zero blocks are no blocks";
    EXPECT_EQ(ask(kind, 2048, 0), IoStatus::ok);
    EXPECT_EQ(ask(kind, 2049, 0), IoStatus::out_of_range);
  }
}

TEST_F(VolumeOverSim, EveryKindDoesWhatItSays) {
  bring_online();
  std::vector<std::byte> ones(4096, std::byte{1});
  std::vector<std::byte> now(4096);
  for (const Kind zeroing : {Kind::write_zeroes, Kind::deallocate}) {
    for (const bool may_deallocate : {false, true}) {
      ASSERT_EQ(ask(Kind::write, 8, 8, ones), IoStatus::ok);
      ASSERT_EQ(ask(Kind::read, 8, 8, now), IoStatus::ok);
      EXPECT_EQ(now, ones);
      VolumeIo io{.kind = zeroing, .may_deallocate = may_deallocate, .lba = {8}, .blocks = {8}};
      ASSERT_EQ(run(volume, lane, io), IoStatus::ok);
      ASSERT_EQ(ask(Kind::read, 8, 8, now), IoStatus::ok);
      EXPECT_EQ(now, std::vector<std::byte>(4096));
      EXPECT_EQ(backing->disk().unsynced_sectors(), 0U) << "answered, so durable";
    }
  }
  EXPECT_EQ(ask(Kind::flush, 0, 0), IoStatus::ok);
}

TEST_F(VolumeOverSim, VerifyReadsEveryBlockAndChangesNothing) {
  bring_online();
  EXPECT_EQ(ask(Kind::verify, 0, 2048), IoStatus::ok);
  backing->break_sector(1999);
  EXPECT_EQ(ask(Kind::verify, 0, 2048), IoStatus::media_error);
  EXPECT_EQ(ask(Kind::verify, 0, 1999), IoStatus::ok);
  EXPECT_EQ(ask(Kind::verify, 2000, 48), IoStatus::ok);
  EXPECT_EQ(volume.state(), VolumeState::online) << "a bad block is not a failed volume";
}

TEST_F(VolumeOverSim, VerifyWaitsForABuffer) {
  bring_online();
  std::vector<BufferLease> held;
  while (auto lease = lane.buffers().lease(BufferPool::largest)) held.push_back(std::move(*lease));
  VolumeIo io{.kind = Kind::verify, .blocks = {2048}};
  static bool ended;
  ended = false;
  io.done = [](VolumeIo&, IoStatus status) noexcept {
    EXPECT_EQ(status, IoStatus::ok);
    ended = true;
  };
  volume.submit(lane, io);
  lane.submit();
  lane.reap();
  EXPECT_FALSE(ended);
  held.clear();
  drive_until(lane, [] { return ended; });
}

struct Watcher final : VolumeObserver {
  std::vector<VolumeState> states;
  std::vector<std::uint64_t> sizes;
  void volume_changed(Volume& volume) noexcept override {
    states.push_back(volume.state());
    sizes.push_back(volume.size().value);
  }
};

TEST_F(VolumeOverSim, EachChangeIsToldAfterItIsVisibleAndBeforeTheAnswer) {
  Watcher watcher;
  volume.observe(&watcher);
  const auto before = volume.changes();
  bring_online();
  EXPECT_EQ(volume.identity().uuid, some_uuid);
  backing->fail_syncs(true);
  std::vector<std::byte> data(512);
  VolumeIo io{.kind = Kind::write, .blocks = {1}, .data = data};
  static Volume* watched;
  static VolumeState seen;
  watched = &volume;
  io.done = [](VolumeIo&, IoStatus) noexcept { seen = watched->state(); };
  seen = VolumeState::late;
  volume.submit(lane, io);
  drive_until(lane, [] { return seen != VolumeState::late; });
  EXPECT_EQ(seen, VolumeState::failed);
  EXPECT_EQ(ask(Kind::write, 0, 1, data), IoStatus::unavailable);
  backing->fail_syncs(false);
  backing->reopen();
  volume.recover({2048}, {});
  backing->grow(2_MiB);
  volume.grow({4096}, {});
  EXPECT_EQ(watcher.states, (std::vector{VolumeState::online, VolumeState::failed,
                                         VolumeState::online, VolumeState::online}));
  EXPECT_EQ(watcher.sizes, (std::vector<std::uint64_t>{2048, 2048, 2048, 4096}));
  EXPECT_EQ(volume.changes() - before, 4U);
}

TEST_F(VolumeOverSim, VolumeThatFailsAgainWhileRecoveringIsFailed) {
  bring_online();
  backing->fail_syncs(true);
  std::vector<std::byte> data(512);
  EXPECT_EQ(ask(Kind::write, 0, 1, data), IoStatus::sync_failed);
  volume.recover({2048}, {});  // the backing has not been reopened, or has failed again since
  EXPECT_EQ(volume.state(), VolumeState::failed);
}

// State, size, reason and note change together: whoever looks at any moment sees no reason beside a
// state or a size that it does not speak of. Long texts make the change last.
TEST_F(VolumeOverSim, ConditionIsOfOneMoment) {
  bring_online();
  constexpr int looks = 20'000;
  constexpr std::uint64_t largest = 4096;
  const std::string length(16U << 10, '.');
  backing->grow({largest * 512});
  std::atomic<bool> over{false};
  std::thread reader([&] {
    for (int look = 0; look < looks && !HasFailure(); ++look) {
      const VolumeCondition now = volume.condition();
      const std::string size = std::to_string(now.size.value) + length;
      EXPECT_TRUE(now.reason == (now.state == VolumeState::online ? "" : size));
      EXPECT_TRUE(now.promise.note == (now.size.value == 2048 ? "" : size));
    }
    over = true;
  });
  for (std::uint64_t size = 2048; !over;) {
    volume.fail(std::to_string(size) + length);
    size = std::min(size + 1, largest);
    volume.recover({size}, {.durable = true, .note = std::to_string(size) + length});
  }
  reader.join();
}

TEST_F(VolumeOverSim, HeldWriteEndsWhenTheDiskAnswersAndNotBefore) {
  bring_online();
  backing->hold(true);
  std::vector<std::byte> data(512, std::byte{5});
  VolumeIo io{.kind = Kind::write, .blocks = {1}, .data = data};
  static bool ended;
  ended = false;
  io.done = [](VolumeIo&, IoStatus) noexcept { ended = true; };
  volume.submit(lane, io);
  for (int turn = 0; turn < 3; ++turn) {
    lane.submit();
    lane.reap();
  }
  EXPECT_FALSE(ended);
  ASSERT_TRUE(backing->release_oldest());
  drive_until(lane, [] { return ended; });
}

// Several reactors, each with its own lane, on one volume while it grows: run under TSan.
template <class MakeBacking, class Grow>
void hammer(const MakeBacking& make_backing, const Grow& grow) {
  constexpr std::uint64_t blocks_each = 64;
  constexpr int thread_count = 3;
  constexpr std::uint64_t first_size = thread_count * blocks_each;
  MemoryBudget budget(16_MiB);
  BackedVolume volume({.name = "v", .uuid = {}, .block_size = {512}}, {first_size}, "");
  auto made = make_backing(ByteCount{first_size * 512});
  auto* backing = made.get();
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < thread_count; ++number) {
    threads.emplace_back([&, number] {
      auto lane = std::move(UringLane::create(budget).value());
      SeededRandom random(number);
      std::vector<std::byte> model(blocks_each * 512);
      while (volume.state() == VolumeState::late) std::this_thread::yield();
      while (!go.load()) std::this_thread::yield();
      for (int round = 0; round < 400; ++round) {
        const std::uint64_t lba = random.below(blocks_each);
        const std::uint64_t count = 1 + random.below(blocks_each - lba);
        const auto part = std::span(model).subspan(lba * 512, count * 512);
        if (random.chance(1, 2)) {
          random.fill(part);
          EXPECT_EQ(run(volume, *lane, Kind::write, number * blocks_each + lba, count, part),
                    IoStatus::ok);
        } else {
          std::vector<std::byte> now(part.size());
          EXPECT_EQ(run(volume, *lane, Kind::read, number * blocks_each + lba, count, now),
                    IoStatus::ok);
          EXPECT_TRUE(std::equal(now.begin(), now.end(), part.begin()));
        }
      }
    });
  }
  volume.go_online(std::move(made), some_uuid, {first_size}, {});
  go.store(true);
  for (std::uint64_t step = 1; step <= 20; ++step) {
    grow(*backing, ByteCount{(first_size + step * 8) * 512});
    volume.grow({first_size + step * 8}, {});
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(VolumeThreads, SeveralReactorsShareAMemoryVolumeThatGrows) {
  hammer([](ByteCount size) { return std::move(MemoryDevice::create(size).value()); },
         [](MemoryDevice& device, ByteCount size) { EXPECT_TRUE(device.grow(size)); });
}

TEST(VolumeThreads, SeveralReactorsShareASimulatedDisk) {
  hammer([](ByteCount size) { return std::make_unique<SimBacking>(size); },
         [](SimBacking& device, ByteCount size) { device.grow(size); });
}

// Neighbouring sectors of one 4096-byte block written from different reactors: the block lock
// crosses lanes.
TEST(VolumeThreads, SeveralReactorsModifyPartsOfTheSameBlocks) {
  constexpr int thread_count = 3;
  char path[] = "forebay-threads-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  unlink(path);
  ASSERT_EQ(posix_fallocate(fd, 0, 65536), 0);
  MemoryBudget budget(16_MiB);
  // Buffered, but treated as if only whole 4096-byte blocks could be written.
  FileDevice device(OpenFile::borrowed(fd, {.offset_alignment = 4096, .memory_alignment = 512}),
                    {65536}, IoSource::new_file(IoSource::new_backing()));
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < thread_count; ++number) {
    threads.emplace_back([&, number] {
      auto lane = std::move(UringLane::create(budget).value());
      for (std::uint64_t round = 0; round < 60; ++round) {
        std::vector<std::byte> bytes(512, static_cast<std::byte>(round + number));
        BackingIo io{.kind = BackingIo::Kind::write};
        io.offset = {(round % 4) * 4096 + number * 512};
        io.buffer = bytes;
        bool ended = false;
        io.context = &ended;
        io.done = [](BackingIo& done, IoStatus status) noexcept {
          EXPECT_EQ(status, IoStatus::ok);
          *static_cast<bool*>(done.context) = true;
        };
        device.submit(*lane, io);
        drive_until(*lane, [&ended] { return ended; });
        std::vector<std::byte> now(512);
        ASSERT_EQ(pread(fd, now.data(), 512, static_cast<off_t>(io.offset.value)), 512);
        ASSERT_EQ(now, bytes) << "round " << round;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  close(fd);
}

}  // namespace
}  // namespace engine
