#include "engine/cache/index_runs.h"

#include <cstring>

#include "engine/foundation/check.h"

namespace engine {

// Extents of one size spread evenly are found at once; others are a few steps away, mostly in the
// same cache line. Runs are short (see Stripe), so the walk is bounded.
std::uint32_t first_ending_behind(std::span<const IndexEntry> run, RunWindow window,
                                  std::uint32_t sector) {
  const auto size = static_cast<std::uint32_t>(run.size());
  std::uint32_t at = window.guess(sector, size);
  while (at < size && run[at].end() <= sector) ++at;
  while (at > 0 && run[at - 1].end() > sector) --at;
  return at;
}

RunCut cut_run(std::span<const IndexEntry> run, RunWindow window, std::uint32_t begin,
               std::uint32_t end, const IndexEntry* inserted) {
  RunCut cut;
  cut.first = cut.last = first_ending_behind(run, window, begin);
  while (cut.last < run.size() && run[cut.last].begin() < end) ++cut.last;
  const bool any = cut.last > cut.first;
  if (any && run[cut.first].begin() < begin) {
    cut.with[cut.with_count++] = run[cut.first].clipped(0, begin);
  }
  if (inserted != nullptr) cut.with[cut.with_count++] = *inserted;
  if (any && run[cut.last - 1].end() > end) {
    cut.with[cut.with_count++] = run[cut.last - 1].clipped(end, stripe_sectors);
  }
  return cut;
}

void apply_cut(std::span<const IndexEntry> run, const RunCut& cut, IndexEntry* to) {
  const std::size_t behind = run.size() - cut.last;
  // The tail first: in place it would be overwritten.
  if (behind > 0 && (to != run.data() || cut.last != cut.first + cut.with_count)) {
    std::memmove(to + cut.first + cut.with_count, run.data() + cut.last,
                 behind * sizeof(IndexEntry));
  }
  if (to != run.data() && cut.first > 0) {
    std::memcpy(to, run.data(), cut.first * sizeof(IndexEntry));
  }
  for (std::uint32_t at = 0; at < cut.with_count; ++at) to[cut.first + at] = cut.with[at];
}

RunStore::Handle RunStore::allocate(std::uint32_t units) {
  held_.units += IndexMemory::rounded(units);
  return memory_.allocate(units);
}

RunStore::Handle RunStore::try_allocate(std::uint32_t units) {
  const Handle handle = memory_.try_allocate(units);
  if (handle != 0) held_.units += IndexMemory::rounded(units);
  return handle;
}

void RunStore::free(Handle handle) {
  held_.units -= memory_.capacity(handle);
  memory_.free(handle);
}

RunStore::Handle RunStore::splice(Handle handle, std::span<IndexEntry> run, const RunCut& cut) {
  const auto size = static_cast<std::uint32_t>(run.size());
  const std::uint32_t new_size = cut.new_size(size);
  held_.entries += new_size - size;
  if (new_size == 0) {
    if (handle != 0) free(handle);
    return 0;
  }
  Handle fresh = handle;
  if (handle == 0) {
    fresh = allocate(new_size);
  } else if (new_size != size) {
    const std::uint32_t capacity = memory_.capacity(handle);
    if (new_size > capacity) {
      fresh = allocate(new_size);
    } else if (IndexMemory::rounded(new_size) < capacity) {
      fresh = try_allocate(new_size);
      if (fresh == 0) fresh = handle;
    }
  }
  apply_cut(run, cut, entries(fresh));
  if (handle != 0 && fresh != handle) free(handle);
  return fresh;
}

}  // namespace engine
