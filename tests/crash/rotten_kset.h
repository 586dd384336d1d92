// RottenKset: ksets of a log found on the media, and spoiled there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/cache/volume_cache.h"
#include "tests/crash/crash_world.h"

namespace engine::test {

// Where in the current chunk the published ksets of the volume lie, in order; `content` is the
// device's.
[[nodiscard]] std::vector<std::uint64_t> published_ksets(CacheDevice& device, VolumeCache& volume,
                                                         std::span<const std::byte> content);
// A bit of its first key, in both copies.
void rot_kset(PmemRegion& pmem, const ChunkPlaces& places, std::uint64_t offset);
// Spoils what a crash of that world has left of its log: one copy of many ksets, or both of one
// that was published. Returns the volume that is damaged beyond what two copies can bear; nullopt
// if it must not matter. SimPmem or SimPmemPages.
template <class Pmem>
[[nodiscard]] std::optional<std::uint32_t> damage(CrashWorld& world, Pmem& after,
                                                  SeededRandom& random);

}  // namespace engine::test
