// What tests of write-back share: one cached volume over a simulated backing with its marker.
#pragma once

#include "engine/cache/write_back.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_journal.h"
#include "tests/sim/sim_lane.h"
#include "tests/sim/sim_marker.h"

namespace engine::test {

class WaitsForDirtyTail final : public DirtyTailWaiter {
 public:
  void written_back() override { ++told; }
  int told = 0;
};

// The backing, which outlives what is written back to it.
struct WriteBackDisk {
  SimBacking backing{8_MiB};
  SimMarker marker;
  SimJournal journal;

  // What power loss would leave of some sectors: the first byte of each.
  [[nodiscard]] std::vector<int> durable(std::uint64_t at, std::uint64_t sectors) {
    std::vector<int> found;
    for (std::uint64_t sector = at; sector < at + sectors; ++sector) {
      found.push_back(std::to_integer<int>(backing.disk().durable()[sector * 512]));
    }
    return found;
  }
};

// One life of the volume.
class WriteBackLife {
 public:
  // `journal`: null, or that of the disk.
  WriteBackLife(PmemRegion& pmem, WriteBackDisk& disk, const BatchBounds& bounds = {},
                const WriteBackLimits& limits = {}, SimJournal* journal = nullptr,
                ByteCount frame = 8_KiB)
      : cache(pmem),
        disk_(disk),
        write_back(*cache.volume, disk.backing, disk.marker, lane, cache.writer, cache.clock,
                   limits, bounds, journal, frame) {}
  // As kill -9 would: whatever is under way on the backing ends somehow.
  ~WriteBackLife() {
    disk_.backing.crash();
    if (disk_.marker.is_held()) disk_.marker.release();
    disk_.journal.release();
    (void)lane.reap();
  }

  // Turns until nothing happens any more.
  void go_on() {
    for (int turn = 0; turn < 10'000; ++turn) {
      lane.finish_turn();
      if (lane.reap() == 0 && !lane.has_tasks()) return;
    }
    ADD_FAILURE() << "write-back goes round in circles";
  }
  // As time goes by.
  void later(Duration by) {
    cache.clock.advance(by);
    write_back.tick();
    go_on();
  }
  // What is held on the backing ends, and what comes after it.
  void let_go() {
    disk_.backing.hold(false);
    disk_.backing.release_all();
    go_on();
  }
  [[nodiscard]] std::uint64_t published() { return cache.volume->commit().published(); }
  // Starts to bring everything to the backing.
  void write_back_all() {
    write_back.set_draining(true);
    go_on();
  }
  [[nodiscard]] const LogTails& tails() { return cache.device->volumes()[0].tails; }
  [[nodiscard]] std::uint64_t dirty_sectors() {
    std::uint64_t dirty = 0;
    cache.volume->index().for_each(
        [&dirty](const Fragment& part) { dirty += part.value.dirty ? part.range.count.value : 0; });
    return dirty;
  }
  void write(std::uint64_t at, std::uint64_t sectors, std::uint8_t value) {
    ASSERT_TRUE(cache.write(at, sectors, value));
  }
  void zero(std::uint64_t at, std::uint64_t sectors) { ASSERT_TRUE(cache.zero(at, sectors)); }
  void invalidate(std::uint64_t at, std::uint64_t sectors) {
    CommitRecord record(cache.sink);
    ASSERT_TRUE(cache.volume->invalidate(*cache.actor, record, {{at}, {sectors}}));
    ASSERT_FALSE(cache.actor->end_turn());
  }
  // Where the first sector's data lies in the cache.
  [[nodiscard]] MediaOffset place_of(std::uint64_t sector) {
    MediaOffset place;
    cache.volume->index().look_up(
        {{sector}, {1}}, ExtentIndex::Heat::keep,
        [&place](const Piece& piece) { place = {piece.value->place.value * format::place_bytes}; });
    return place;
  }

  MemoryBudget budget{1_MiB};
  SimLane lane{budget};
  OpenVolume cache;

 private:
  WriteBackDisk& disk_;

 public:
  WriteBack write_back;
};

}  // namespace engine::test
