// The two superblocks of a cache device: finding, choosing and writing them.
#pragma once

#include <array>
#include <optional>

#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_layout.h"
#include "engine/cache/durable_writer.h"
#include "engine/format/cache_format.h"

namespace engine {

struct SuperblockReading {
  format::CacheSuperblock block{};  // the newest whole one
  CacheLayout layout;               // what it says
  std::array<bool, 2> equal{};      // replicas that are exactly that
};

// Errors: not_a_cache, damaged, unsupported (also of an older replica: it would be overwritten),
// too_small.
[[nodiscard]] Result<SuperblockReading, CacheError> read_superblocks(const PmemRegion& region,
                                                                     CacheFindings& findings);

// Writes both replicas of a region that is no cache yet: everything but the magic, settled
// together with what was written before; then each magic, whose eight bytes are written or not. So
// a crash leaves no half superblock behind.
[[nodiscard]] Result<void, PmemError> write_first_superblocks(DurableWriter& writer,
                                                              const CacheLayout& layout,
                                                              const format::CacheSuperblock& block);

// Replaces both replicas, the far one first, each settled.
[[nodiscard]] Result<void, PmemError> write_superblocks(DurableWriter& writer,
                                                        const CacheLayout& layout,
                                                        const format::CacheSuperblock& block);

// Where a superblock of any life of this region may lie: at the beginning, at the end, and where
// the first says that the second is.
struct SuperblockTrace {
  MediaOffset place;
  std::optional<format::CacheSuperblock> block;  // nullopt: unreadable
};
// Those that begin with our magic or cannot be read, whole or not.
[[nodiscard]] std::vector<SuperblockTrace> find_superblock_traces(const PmemRegion& region);
// Takes the magic from each, atomically one by one, and settles: the region is no cache any more.
[[nodiscard]] Result<void, PmemError> erase_superblocks(DurableWriter& writer,
                                                        const std::vector<SuperblockTrace>& traces);

}  // namespace engine
