// RottenKset: ksets of a log found on the media, and spoiled there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache/volume_cache.h"
#include "tests/sim/sim_pmem.h"

namespace engine::test {

// Where in the current chunk the published ksets of the volume lie, in order; `content` is the
// device's.
[[nodiscard]] std::vector<std::uint64_t> published_ksets(CacheDevice& device, VolumeCache& volume,
                                                         std::span<const std::byte> content);
// A bit of its first key, in both copies.
void rot_kset(SimPmem& pmem, const ChunkPlaces& places, std::uint64_t offset);

}  // namespace engine::test
