// What a volume must be able to have on its device so that each of its commands gets through.
#pragma once

#include <cstdint>

#include "engine/cache/cache_layout.h"
#include "engine/foundation/units.h"

namespace engine {

// A write of at most so much is taken whole: its keys are in one kset. A longer one goes in such
// parts, in address order, where its volume has no room for the whole.
inline constexpr SectorCount whole_write{(128U << 10) / format::place_bytes};

// Data segments that hold such a write, if nothing else is in them.
[[nodiscard]] std::uint32_t least_data_segments(const CacheLayout& layout, bool payload_crc);
// Log segments in which each of so many volumes has the chunks that it gets on with
// (VolumeLog::few_chunks, and a spare).
[[nodiscard]] std::uint32_t least_log_segments(const CacheLayout& layout, std::uint32_t volumes);

}  // namespace engine
