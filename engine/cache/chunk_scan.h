// The log chunks that an opened device has, volume by volume.
#pragma once

#include <vector>

#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_volume_table.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/segment_table.h"

namespace engine {

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
// attached, and below a volume's tails, are nobody's. A place that is nobody's is searched for a
// kset that matters: both headers of its chunk are lost.
[[nodiscard]] ChunkScan scan_chunks(const PmemRegion& region, const CacheLayout& layout,
                                    const DeviceSeal& seal, const SegmentTable& segments,
                                    const CacheVolumeTable& volumes, CacheFindings& findings);

}  // namespace engine
