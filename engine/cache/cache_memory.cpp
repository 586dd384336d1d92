#include "engine/cache/cache_memory.h"

#include <algorithm>

#include "engine/cache/admission_filter.h"
#include "engine/cache/segment_table.h"
#include "engine/cache/volume_cache.h"

namespace engine {
namespace {

constexpr std::uint64_t block = 4096;
constexpr std::uint64_t bytes_of_block = 32;
// Room to publish is promised to commands before they are taken, some 30 KiB each at worst.
constexpr ByteCount least_index = 16_MiB;
constexpr std::uint64_t fewest_misses = 1024;

}  // namespace

CacheMemory cache_memory(const CacheLayout& layout, std::uint32_t volumes) {
  const std::uint64_t sharing = std::max<std::uint32_t>(volumes, 1);
  const std::uint64_t blocks = std::uint64_t{layout.segment_count} * layout.segment_bytes / block;
  CacheMemory memory;
  // A quarter of the blocks that the device holds.
  memory.remembered_misses = std::max(fewest_misses, blocks / 4 / sharing);
  const std::uint64_t of_a_volume =
      AdmissionFilter::memory_of(memory.remembered_misses).value + sizeof(VolumeCache);
  const std::uint64_t beside_index =
      SegmentTable::memory_of(layout.segment_count).value + sharing * of_a_volume;
  memory.all = {std::max(blocks * bytes_of_block, beside_index + least_index.value)};
  memory.index = {memory.all.value - beside_index};
  return memory;
}

}  // namespace engine
