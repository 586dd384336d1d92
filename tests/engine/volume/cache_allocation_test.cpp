// The 4 KiB write and the read hit, copied and in place, take nothing from the heap on their whole
// way through a lane. A program of its own: it counts every allocation of the process.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/uring_lane.h"
#include "engine/volume/cache_front.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/engine/counted_heap.h"
#include "tests/sim/sim_backing.h"

namespace engine::test {
namespace {

constexpr std::uint64_t blocks = 256;
constexpr std::uint64_t depth = 32;

struct Command : VolumeIo {
  std::vector<std::byte> buffer = std::vector<std::byte>(4096, std::byte{1});
  bool is_open = false;
};

TEST(CacheFrontAllocation, A4KibWriteAndAReadHitTakeNothingFromTheHeap) {
  OpenCache cache;
  cache.region = threads_pmem();
  cache.device = open_device(*cache.region);
  cache.memory = std::make_unique<IndexMemory>(16_MiB);
  cache.wake = [] {};
  target::SimClock clock;
  auto writer = must(DurableWriter::make(*cache.region));
  (void)must(cache.device->volumes().attach(writer, new_volume(1)));
  const auto volume = must(recover_volume(*cache.device, 0, *cache.memory, clock, writer)).cache;
  SimBacking backing(1_MiB);
  CacheFront front(cache, *volume, backing, BlockSize{4096}, clock);
  MemoryBudget budget(8_MiB);
  const auto lane = std::move(UringLane::create(budget).value());

  std::vector<Command> commands(depth);
  SeededRandom random(1);
  const auto run = [&](VolumeIo::Kind kind, int turns) {
    for (int turn = 0; turn < turns; ++turn) {
      for (Command& command : commands) {
        command.kind = kind;
        command.lba = {random.below(blocks)};
        command.blocks = {1};
        command.data = command.buffer;
        command.is_open = true;
        command.done = [](VolumeIo& io, IoStatus status) noexcept {
          CHECK(status == IoStatus::ok);
          static_cast<Command&>(io).is_open = false;
        };
        front.submit(*lane, command);
      }
      lane->finish_turn();
      (void)lane->reap();
      for (const Command& command : commands) ASSERT_FALSE(command.is_open);
    }
  };
  // Until each stripe of the index is there, and as many commands as are ever under way.
  run(VolumeIo::Kind::write, 100);
  const std::uint32_t segments = cache.device->segments().free_count();

  const std::size_t before = allocations;
  ASSERT_GT(before, 0U) << "they are not counted";
  run(VolumeIo::Kind::write, 100);
  EXPECT_EQ(allocations, before) << "writes";
  run(VolumeIo::Kind::read, 100);
  EXPECT_EQ(allocations, before) << "reads";
  front.pins().set_segments(8 * depth);
  std::array<PinnedRead, depth> pinned;
  const auto read_in_place = [&] {
    for (PinnedRead& read : pinned) {
      read = front.read_in_place(*lane, {.lba = {random.below(blocks)}, .blocks = {1}});
      ASSERT_TRUE(read);
    }
    for (PinnedRead& read : pinned) read.release();
  };
  read_in_place();  // as many as are ever pinned at once
  const std::size_t before_pins = allocations;
  for (int turn = 0; turn < 100; ++turn) read_in_place();
  EXPECT_EQ(allocations, before_pins) << "reads in place";
  EXPECT_LT(cache.device->segments().free_count(), segments) << "no segment was changed";
}

}  // namespace
}  // namespace engine::test
