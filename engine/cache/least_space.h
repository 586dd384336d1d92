// What a volume must be able to have on its device so that each of its commands gets through.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/cache/cache_layout.h"
#include "engine/cache/payload_crc.h"
#include "engine/foundation/units.h"

namespace engine {

// A write of at most so much is taken whole, wherever it begins: its keys are in one kset, so that
// after a crash all of it is there or nothing. A longer one goes in such parts, in address order,
// where its volume has no room for the whole.
inline constexpr SectorCount whole_write{(std::uint64_t{1} << 20) / format::place_bytes};

// The data that a segment of so many sectors holds for certain, with its checksums, in one extent
// that is not the last of its command (SegmentHead).
[[nodiscard]] constexpr std::uint64_t most_in_one_extent(std::uint64_t segment_sectors,
                                                         bool payload_crc) {
  std::uint64_t part = std::min(segment_sectors, largest_extent_sectors);
  while (payload_crc && part + array_sectors({part}).value > segment_sectors) part -= piece_sectors;
  return part;
}
// Its keys: one for each extent, the first of which may be what another command has left of a
// segment.
[[nodiscard]] constexpr std::uint64_t most_keys_of_whole_write(std::uint64_t segment_sectors) {
  const std::uint64_t most = most_in_one_extent(segment_sectors, true);
  return 1 + (whole_write.value + most - 1) / most;
}
static_assert(most_keys_of_whole_write(CacheLayout::smallest_segment / format::place_bytes) <=
                  format::most_keys,
              "a kset has room for a whole write");
static_assert(whole_write.value <= largest_extent_sectors);  // VolumeCommit shows it as a whole

// Data segments that hold such a write, if nothing else is in them.
[[nodiscard]] std::uint32_t least_data_segments(const CacheLayout& layout, bool payload_crc);
// Log segments in which each of so many volumes has the chunks that it gets on with
// (VolumeLog::few_chunks, and a spare).
[[nodiscard]] std::uint32_t least_log_segments(const CacheLayout& layout, std::uint32_t volumes);

}  // namespace engine
