// forebay-cache-bench: what the cache engine costs, beside what the machine can do at best. Each
// part tells its figures, those of one repeat together; report/engine.py makes the table.
#pragma once

#include <cstdint>
#include <string>

#include "engine/foundation/units.h"

namespace engine {

inline constexpr std::size_t block_bytes = 4096;

struct BenchPlan {
  std::string memory = "/dev/shm";  // a directory whose files are in memory: the cache devices
  std::string disk = ".";           // a directory on a disk: backings, pools, a cache of pages
  int repeats = 5;
  std::uint64_t writes = 400'000;      // of 4 KiB, in each measurement
  ByteCount written_back = 512_MiB;    // a volume's, whole
  std::uint64_t page_writes = 16'384;  // at depth 32; a sixteenth of it at depth 1

  // Random writes come back to a block now and then; reclaim has nothing to do.
  [[nodiscard]] ByteCount volume_bytes() const {
    return {(writes * 5 / 8 / 1024 + 1) * 1024 * block_bytes};
  }
  [[nodiscard]] ByteCount device_bytes() const {
    return ByteCount{(writes * 3 / 2 / 1024 + 1) * 1024 * block_bytes} + 16_MiB;
  }
};

// 4 KiB writes of one core, durable when their turn has ended, and the bare copy; the source in the
// CPU's cache, and not.
void measure_writes(const BenchPlan& plan);
// The same of two cores: one volume, and one each.
void measure_cores(const BenchPlan& plan);
// Read hits beside a bare copy; recovery of what was written.
void measure_reads(const BenchPlan& plan);
// 128 KiB that the cache has to a socket: by a buffer, and from where it lies.
void measure_in_place(const BenchPlan& plan);
// The whole way of a volume: Engine, CachedVolume, a lane. Beside VolumeCache alone.
void measure_joined(const BenchPlan& plan);
// How fast dirty data goes to a disk, beside a plain writer to the same file.
void measure_write_back(const BenchPlan& plan);
// A cache in an ordinary file, beside pwrite and fdatasync.
void measure_pages(const BenchPlan& plan);

// Nothing is measured here: what valgrind counts of one more write is the difference of two calls.
enum class CountedPath { bare, cache, joined };
struct CountedWrites {
  CountedPath path = CountedPath::cache;
  bool crc = false;  // cache only
  std::size_t depth = 32;
  std::uint64_t writes = 0;
};
void run_counted(const BenchPlan& plan, const CountedWrites& counted);

}  // namespace engine
