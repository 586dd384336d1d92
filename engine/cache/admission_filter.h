// AdmissionFilter: which misses of one volume are worth a place in the cache.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/cache/extent.h"
#include "engine/foundation/spin_lock.h"

namespace engine {

// A miss goes into the cache when it is the second of its place within the filter's memory, so that
// what is read once costs nothing; and not while it is a part of a sequential stream, which is read
// once as a whole and fast enough from the backing.
//
// The memory is a ghost: fingerprints of blocks that missed, four to a set, the oldest of a set
// gives way. Any thread; a spin-lock for a few dozen instructions, on misses only.
class AdmissionFilter {
 public:
  // Misses that are remembered, about, at 2 bytes each. A quarter of the blocks that the cache
  // holds is best for skewed reads (docs/decisions.md).
  explicit AdmissionFilter(std::uint64_t remembered);
  // What it takes at most.
  [[nodiscard]] static constexpr ByteCount memory_of(std::uint64_t remembered) {
    return {2 * remembered * sizeof(std::uint16_t) + sizeof(AdmissionFilter)};
  }
  AdmissionFilter(const AdmissionFilter&) = delete;
  AdmissionFilter& operator=(const AdmissionFilter&) = delete;

  enum class Verdict : std::uint8_t {
    fill,        // put what the backing has into the cache, if nothing overtakes it
    first_read,  // not seen before, as far as is remembered
    sequential,  // a part of a stream
  };
  // A host's read missed in this range; every one is told.
  [[nodiscard]] Verdict judge(SectorRange range);
  [[nodiscard]] bool admits(SectorRange range) { return judge(range) == Verdict::fill; }

  // A stream is sequential from so much on.
  static constexpr std::uint64_t stream_sectors = 1024;  // 512 KiB
  // Hits and other readers' misses make holes in a stream; it goes on within that.
  static constexpr std::uint64_t stream_slack = 256;

 private:
  static constexpr std::size_t ways = 4;
  static constexpr std::size_t streams = 16;
  using Set = std::array<std::uint16_t, ways>;  // the newest first; 0: none
  struct Stream {
    std::uint64_t next = 0;  // sector
    std::uint64_t length = 0;
    std::uint64_t touched = 0;
  };

  [[nodiscard]] bool is_sequential(SectorRange range);
  [[nodiscard]] bool was_seen(Sector sector);

  SpinLock lock_;  // guards everything; a leaf
  std::vector<Set> sets_;
  std::array<Stream, streams> streams_{};
  std::uint64_t clock_ = 0;
};

}  // namespace engine
