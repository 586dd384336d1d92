// LogChunk: a piece of a volume's log, which lies on the device twice. docs/media-format.md,
// "Log chunk".
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/cache/cache_layout.h"
#include "engine/cache/device_seal.h"
#include "engine/format/cache_format.h"
#include "engine/media/pmem_region.h"

namespace engine {

using ChunkPlaces = std::array<MediaOffset, 2>;

// Invariants: ordinal, first_sequence and epoch are at least 1; the places lie in two segments.
struct LogChunk {
  std::uint32_t volume_tag = 0;
  std::uint64_t ordinal = 0;         // counts the volume's chunks from 1
  std::uint64_t first_sequence = 0;  // of its first kset, or of the next chunk's if it has none
  std::uint64_t epoch = 0;           // of all its ksets
  ChunkPlaces places;
  std::array<std::uint32_t, 2> generations{};  // of their segments, the low halves
  bool contradicted =
      false;  // found so: other headers claim to be this chunk, or lie where it does
  friend bool operator==(const LogChunk&, const LogChunk&) = default;
};

// What belongs to a volume, in order. It may have gaps and contradictions, which findings name and
// the log reader meets again.
struct VolumeChunks {
  std::deque<LogChunk> chunks;  // ordinals ascending
  bool contradicts = false;     // some do not fit together: the log cannot be trusted as a whole
  // The highest first kset of the current epoch in a place whose headers are gone, if it matters
  // still; else 0. A log that ends before it has lost a chunk.
  std::uint64_t stray_sequence = 0;
};

// The header of one copy (0 or 1), sealed.
[[nodiscard]] format::ChunkHeader encode_chunk_header(const DeviceSeal& seal, const LogChunk& chunk,
                                                      std::size_t copy);

struct ChunkCopy {
  LogChunk chunk;
  std::size_t copy = 0;  // which of the two the header is of
};
// What a header at `place` says; nullopt: it is none of this place and device, or impossible.
// Whether its segments are log segments of those generations is for the segment table to say.
[[nodiscard]] std::optional<ChunkCopy> decode_chunk_header(const CacheLayout& layout,
                                                           const DeviceSeal& seal,
                                                           const format::ChunkHeader& header,
                                                           MediaOffset place);
// All that can be read and decoded of one segment, in the order of their places.
[[nodiscard]] std::vector<ChunkCopy> chunk_headers_in(const CacheLayout& layout,
                                                      const DeviceSeal& seal,
                                                      const PmemRegion& region,
                                                      std::uint32_t segment);

}  // namespace engine
