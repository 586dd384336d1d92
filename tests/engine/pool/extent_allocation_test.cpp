// An operation of a volume over several members takes nothing from the heap once as many have been
// under way, however it is cut. A program of its own: it counts every allocation of the process.
#include <gtest/gtest.h>

#include <deque>

#include "tests/engine/counted_heap.h"
#include "tests/engine/pool/extent_kit.h"

namespace engine {
namespace {

TEST(ExtentBackingAllocation, PiecesTakeNothingFromTheHeap) {
  FileExtentKit kit(4_MiB, shape_for(4_MiB, 3, 16_KiB));
  constexpr std::size_t depth = 32;
  struct Asked : BackingIo {
    std::span<std::byte> memory;
    bool is_open = false;
  };
  std::array<Asked, depth> all;
  std::vector<std::byte> memory(depth * (64 << 10) + 4096);
  const auto begin = (4096 - reinterpret_cast<std::uintptr_t>(memory.data()) % 4096) % 4096;
  for (std::size_t at = 0; at < depth; ++at) {
    all[at].memory = std::span(memory).subspan(begin + at * (64 << 10), 64 << 10);
  }
  SeededRandom random(1);
  const auto run = [&](int turns) {
    for (int turn = 0; turn < turns; ++turn) {
      for (Asked& io : all) {
        const bool is_sync = random.chance(1, 10);
        io.kind = is_sync               ? BackingIo::Kind::sync
                  : random.chance(1, 2) ? BackingIo::Kind::read
                                        : BackingIo::Kind::write;
        io.offset = {4096 * random.below(900)};
        io.buffer = io.memory.first(random.chance(1, 2) ? 4096 : 64 << 10);
        io.is_open = true;
        io.done = [](BackingIo& ended, IoStatus status) noexcept {
          EXPECT_EQ(status, IoStatus::ok);
          static_cast<Asked&>(ended).is_open = false;
        };
        kit.device().submit(kit.lane(), io);
      }
      drive_until(kit.lane(), [&all] {
        return std::ranges::none_of(all, [](const Asked& io) { return io.is_open; });
      });
    }
  };
  run(200);  // whatever grows to its size
  const std::size_t before = allocations;
  run(200);
  EXPECT_EQ(allocations - before, 0U);
}

}  // namespace
}  // namespace engine
