#include "engine/cache/least_space.h"

#include "engine/cache/volume_log.h"

namespace engine {
namespace {

std::uint64_t rounded_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to; }

}  // namespace

std::uint32_t least_data_segments(const CacheLayout& layout, bool payload_crc) {
  const std::uint64_t most =
      most_in_one_extent(layout.segment_bytes / format::place_bytes, payload_crc);
  return static_cast<std::uint32_t>(rounded_up(whole_write.value, most));
}

// A chunk is a pair, in two segments.
std::uint32_t least_log_segments(const CacheLayout& layout, std::uint32_t volumes) {
  const std::uint64_t chunks = std::uint64_t{volumes} * (VolumeLog::few_chunks + 1);
  return static_cast<std::uint32_t>(2 * rounded_up(chunks, layout.chunks_in_segment()));
}

}  // namespace engine
