// LogChunks: carves log chunks, always in pairs, from the device's log segments.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "engine/cache/cache_error.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/segment_table.h"

namespace engine {

// Any thread, each with a writer of its own (reserve() and release(): also one for later); occupy()
// comes before threads do. One lock guards which places are taken; a leaf, never held across a
// store, a fence, or a call of the segment table. Invariants: the two places of a pair lie in two
// log segments; a place is in at most one pair; a log segment with nothing taken is given back at
// once, except while a pair is being put together.
class LogChunks {
 public:
  // All outlive it.
  LogChunks(const CacheLayout& layout, const DeviceSeal& seal, SegmentTable& segments);
  LogChunks(const LogChunks&) = delete;
  LogChunks& operator=(const LogChunks&) = delete;

  // Opening: takes over every log segment of the table as empty, then each place that is somebody's
  // (a place may be named more than once).
  void take_segments();
  void occupy(MediaOffset place);
  void occupy_all();
  // Gives log segments back in which nothing is taken. Error: io.
  [[nodiscard]] Result<void, CacheError> free_empty_segments(DurableWriter& writer);

  // Two places for a chunk; a log segment is allocated where none has room. Nothing is written: a
  // pair that nobody has begun is free again after a crash. Errors: no_free_segment, io.
  [[nodiscard]] Result<ChunkPlaces, CacheError> reserve(DurableWriter& writer);
  // Writes both headers into a reserved pair; durable on return, before the first kset goes in.
  // Everything in the log before `first_sequence` must be durable already. Error: io; the pair is
  // lost to this volume and cannot be given back before the next open.
  [[nodiscard]] Result<LogChunk, CacheError> begin(DurableWriter& writer, const ChunkPlaces& places,
                                                   std::uint32_t volume_tag, std::uint64_t ordinal,
                                                   std::uint64_t first_sequence,
                                                   std::uint64_t epoch);
  // Gives a pair back, and log segments in which nothing is taken any more. A chunk that was begun
  // must be forgotten durably before: below the tails, or of a volume that has left. Chunks of a
  // volume whose chunks contradict each other are left to the next open. Error: io.
  [[nodiscard]] Result<void, CacheError> release(DurableWriter& writer, const ChunkPlaces& places);
  // Releases and removes the chunks at the front of `chunks` whose ordinal is below.
  [[nodiscard]] Result<void, CacheError> release_below(DurableWriter& writer,
                                                       std::deque<LogChunk>& chunks,
                                                       std::uint64_t ordinal);

  // Places taken, and log segments; for accounting.
  [[nodiscard]] std::size_t taken() const;
  [[nodiscard]] std::size_t segments() const;
  void check_invariants() const;  // for tests

 private:
  struct LogSegment {
    std::vector<bool> taken;  // one for each place
    std::uint32_t count = 0;
  };

  // With the lock held.
  void add(std::uint32_t segment);
  void take(std::uint32_t segment, std::uint32_t place);
  [[nodiscard]] MediaOffset take_any(std::uint32_t segment);
  // True if the segment became empty; it is then forgotten here and the caller frees it.
  [[nodiscard]] bool give_back(MediaOffset place, std::uint32_t& segment);

  const CacheLayout& layout_;
  const DeviceSeal& seal_;
  SegmentTable& table_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, LogSegment> segments_;
  std::set<std::uint32_t> with_room_;
};

}  // namespace engine
