// What it means that a log chunk has no further kset: docs/media-format.md, "End of the log".
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <variant>

#include "engine/cache/cache_volume_table.h"
#include "engine/cache/chunk_reader.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/log_damage.h"

namespace engine {

// A volume's log as opening found it. Both outlive the view.
struct LogView {
  const CacheVolume& volume;
  const VolumeChunks& of;

  [[nodiscard]] const std::deque<LogChunk>& chunks() const { return of.chunks; }

  // What certainly does not lie in chunks[index]: see ChunkReader::start().
  [[nodiscard]] std::optional<std::uint64_t> limit_of(std::size_t index) const;
  // Whether chunks[index] may stand where it does; chunk_disorder or missing_chunk if not.
  // `expected`: the sequence that comes next.
  [[nodiscard]] std::optional<LogDamage> misplaced(std::size_t index, std::uint64_t expected) const;
};

struct FollowChunk {};  // the log goes on with the first kset of the next chunk
struct LogEnd {
  std::uint64_t sequence = 0;  // of the last kset
  std::uint64_t chunk = 0;     // ordinal of the chunk it ends in; 0: the log has no chunks
  std::uint64_t offset = 0;    // in that chunk, where the next kset would be
  std::array<CopyState, 2> states{CopyState::invalid, CopyState::invalid};  // of the copies there
  friend bool operator==(const LogEnd&, const LogEnd&) = default;
};
using StopVerdict = std::variant<FollowChunk, LogEnd, LogDamage>;

// `reader` has stopped in chunks[index]. Exactly one of these is so; the truth table is in
// tests/engine/cache/log_truth_test.cpp.
[[nodiscard]] StopVerdict judge_stop(const LogView& log, std::size_t index,
                                     const ChunkReader& reader);
// The log has no chunk where kset `last` + 1 would be.
[[nodiscard]] StopVerdict judge_no_chunk(const LogView& log, std::uint64_t last);

}  // namespace engine
