// Runs: sorted arrays of entries that do not overlap, in blocks of IndexMemory.
#pragma once

#include <cstdint>
#include <span>

#include "engine/cache/index_entry.h"
#include "engine/cache/index_memory.h"

namespace engine {

// Where a run lies in the address space of its stripe: 2^log2 sectors from `begin` on.
struct RunWindow {
  std::uint32_t begin = 0;
  std::uint32_t log2 = 13;
  [[nodiscard]] std::uint32_t end() const { return begin + (1U << log2); }
  // Where in a run of `size` entries spread evenly the one at `sector` would be.
  [[nodiscard]] std::uint32_t guess(std::uint32_t sector, std::uint32_t size) const {
    return (sector - begin) * size >> log2;
  }
};
static_assert(stripe_sectors == 1U << RunWindow{}.log2);

// Index of the first entry that ends behind `sector`; the run's size if there is none.
[[nodiscard]] std::uint32_t first_ending_behind(std::span<const IndexEntry> run, RunWindow window,
                                                std::uint32_t sector);

// Entries [first, last) of a run give way to `with`: what makes room for [begin, end) and fills it.
struct RunCut {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t with_count = 0;
  IndexEntry with[3];

  [[nodiscard]] std::uint32_t new_size(std::size_t size) const {
    return static_cast<std::uint32_t>(size) - (last - first) + with_count;
  }
};
// `inserted` (which is [begin, end)) may be null: then the range becomes a hole.
[[nodiscard]] RunCut cut_run(std::span<const IndexEntry> run, RunWindow window, std::uint32_t begin,
                             std::uint32_t end, const IndexEntry* inserted);

// Writes the cut run to `to`, which may be where the run is.
void apply_cut(std::span<const IndexEntry> run, const RunCut& cut, IndexEntry* to);

// What blocks an index holds: kept under the lock of whoever owns the runs.
struct HeldMemory {
  std::uint32_t units = 0;    // of 16 bytes, as allocated
  std::uint32_t entries = 0;  // indexed fragments
};

// Allocates and frees on behalf of one group of runs, and counts.
class RunStore {
 public:
  using Handle = IndexMemory::Handle;
  RunStore(IndexMemory& memory, HeldMemory& held) : memory_(memory), held_(held) {}

  [[nodiscard]] Handle allocate(std::uint32_t units);
  [[nodiscard]] Handle try_allocate(std::uint32_t units);
  void free(Handle handle);
  // The block at `handle` (0 if `run` lies elsewhere) after the cut: the same, another, or 0 if no
  // entry is left. Cannot fail: a block too large stays if there is no smaller one to be had.
  [[nodiscard]] Handle splice(Handle handle, std::span<IndexEntry> run, const RunCut& cut);

  [[nodiscard]] IndexEntry* entries(Handle handle) const { return memory_.as<IndexEntry>(handle); }
  [[nodiscard]] IndexMemory& memory() const { return memory_; }
  [[nodiscard]] HeldMemory& held() const { return held_; }

 private:
  IndexMemory& memory_;
  HeldMemory& held_;
};

}  // namespace engine
