// Threads write to a volume while its home lane brings it to the backing.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/cache/write_back.h"
#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "engine/media/memory_device.h"
#include "engine/media/open_pmem.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/sim/sim_lane.h"
#include "tests/sim/sim_marker.h"

namespace engine::test::write_back_threads {
namespace {

constexpr std::uint64_t places = 64;  // 4 KiB each
constexpr std::uint64_t turns = 400;

struct Done final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++count; }
  std::atomic<std::uint64_t> count{0};
};

void write_much(VolumeCache& volume, std::uint64_t seed) {
  const auto actor = must(CacheActor::make(volume.device()));
  SeededRandom random(seed);
  Done done;
  CommitRecord record(done);
  std::vector<std::byte> data(4096);
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    random.fill(data);
    const std::uint64_t before = done.count;
    const SectorRange range{{random.below(places) * 8}, {8}};
    const bool zeroes = random.chance(1, 8);
    const auto taken = zeroes ? volume.write_zeroes(*actor, record, {&range, 1})
                              : volume.write(*actor, record, range, data);
    ASSERT_TRUE(taken);
    while (actor->end_turn() || done.count == before) std::this_thread::yield();
  }
}

TEST(WriteBackThreads, WritersGoOnWhileTheirVolumeIsWrittenBack) {
  const auto region = threads_pmem();
  const SystemClock clock;
  IndexMemory memory(64_MiB);
  const auto device = open_device(*region);
  auto writer = must(DurableWriter::make(*region));
  (void)must(device->volumes().attach(writer, new_volume(1)));
  const auto volume = must(recover_volume(*device, 0, memory, clock, writer)).cache;

  const auto backing = std::move(MemoryDevice::create(1_GiB).value());
  SimMarker marker;
  MemoryBudget budget(8_MiB);
  SimLane lane(budget);
  WriteBack write_back(*volume, *backing, marker, lane, writer, clock, {},
                       {.most_keys = 40, .most_bytes = 1_MiB});
  write_back.set_draining(true);
  const auto turn = [&] {
    write_back.tick();
    lane.finish_turn();
    (void)lane.reap();
  };
  {
    std::atomic<int> running{2};
    std::vector<std::jthread> threads;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      threads.emplace_back([&volume, &running, seed] {
        write_much(*volume, seed);
        --running;
      });
    }
    while (running > 0) turn();
  }
  while (!volume->commit().is_backing_current() || !write_back.is_quiet()) turn();
  EXPECT_GT(marker.history().size(), 2U) << "more than one batch";
  EXPECT_EQ(write_back.status().bytes_left, ByteCount{});

  // The backing alone is the volume.
  std::vector<std::byte> cached(places * 4096);
  std::vector<std::byte> alone(cached.size());
  BackingIo io{.kind = BackingIo::Kind::read, .buffer = alone};
  io.done = [](BackingIo&, IoStatus status) noexcept { CHECK(status == IoStatus::ok); };
  backing->submit(lane, io);
  volume->read({{0}, {places * 8}}, cached, ExtentIndex::Heat::keep, [&](const CacheGap& gap) {
    EXPECT_EQ(gap.kind, CacheGap::Kind::hole);
    const auto at = static_cast<std::ptrdiff_t>(gap.range.begin.value * 512);
    std::copy_n(alone.begin() + at, gap.range.count.value * 512, cached.begin() + at);
  });
  EXPECT_EQ(cached, alone);
  volume->index().for_each([](const Fragment& part) { EXPECT_FALSE(part.value.dirty); });
}

}  // namespace
}  // namespace engine::test::write_back_threads
