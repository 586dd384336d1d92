// What the cache holds of one volume, in address order, read and verified: for tools.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/cache/payload_crc.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/function_ref.h"

namespace engine {

// The limit of an IndexMemory that is enough for any one volume of such a device, as far as there
// may be one at all. Address space, not memory.
[[nodiscard]] ByteCount enough_index_memory(const CacheLayout& layout);

struct CachedPiece {
  SectorRange range;
  ExtentValue value;                  // seen from the range's beginning
  std::optional<PayloadFault> fault;  // then there are no bytes
  std::span<const std::byte> bytes;   // of data that was read; good until the visitor returns
};

enum class CachedPart : std::uint8_t { all, dirty };
enum class CachedReading : std::uint8_t {
  places,  // what the index says; nothing is read
  data,    // read, and verified where the device carries checksums
};

// Pieces do not overlap and are at most 4 MiB, data at most 1 MiB; bad ones are told as finely as
// checksums are, at most 4096 bytes. Nobody changes the volume meanwhile.
void visit_cached_data(VolumeCache& volume, CachedPart part, CachedReading reading,
                       FunctionRef<void(const CachedPiece&)> visit);

}  // namespace engine
