// The log chunks that an opened device has, volume by volume.
#pragma once

#include <deque>
#include <vector>

#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_volume_table.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/segment_table.h"

namespace engine {

// What belongs to a volume, in order. It may have gaps and contradictions, which findings name and
// the log reader meets again.
struct VolumeChunks {
  std::deque<LogChunk> chunks;  // ordinals ascending
  bool contradicts = false;     // chunk_disorder or contradicting_chunks: the log cannot be trusted
};

// A header that is bad while the chunk's other one is good.
struct MissingHeader {
  LogChunk chunk;
  std::size_t copy = 0;
};

struct ChunkScan {
  std::vector<VolumeChunks> volumes;  // one for each slot
  std::vector<MissingHeader> missing;
  std::vector<MediaOffset> kept;  // places that belong to somebody unknown: never given away
};

// Reads the header of every chunk place of every log segment. Chunks of volumes that are not
// attached, and below a volume's tails, are nobody's.
[[nodiscard]] ChunkScan scan_chunks(const PmemRegion& region, const CacheLayout& layout,
                                    const DeviceSeal& seal, const SegmentTable& segments,
                                    const CacheVolumeTable& volumes, CacheFindings& findings);

}  // namespace engine
