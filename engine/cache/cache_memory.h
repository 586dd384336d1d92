// CacheMemory: the DRAM that a cache device takes while it is open, and what of it is for what.
#pragma once

#include <cstdint>

#include "engine/cache/cache_layout.h"

namespace engine {

struct CacheMemory {
  // For certain from the opening on: 32 bytes for each 4 KiB of the device, and not less than what
  // a small one needs for the commands under way. The index may come to more where hosts write
  // less than 4 KiB at a time.
  ByteCount all;
  ByteCount index;                  // what is left of that for the index
  std::uint64_t remembered_misses;  // of each volume, in its AdmissionFilter
};

// `volumes`: how many share the device.
[[nodiscard]] CacheMemory cache_memory(const CacheLayout& layout, std::uint32_t volumes);

}  // namespace engine
