// Formatting: making a region of persistent memory a cache device.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/cache/cache_error.h"
#include "engine/cache/cache_layout.h"
#include "engine/foundation/result.h"
#include "engine/foundation/uuid.h"
#include "engine/media/pmem_region.h"

namespace engine {

struct FormatOptions {
  LayoutOptions layout;  // kset_alignment 4096 is taken by itself where the media need it
  Uuid uuid;             // of the new cache: random, never one that was used before
  std::uint64_t created_ms = 0;
  bool payload_crc = false;
  // The cache that may be destroyed although it is dirty, or cannot be read.
  std::optional<Uuid> replace;
};

// Whatever cache was there is gone from the first write on; the new one is there with the last. A
// crash in between leaves the old one, none, or the new one. Nobody else uses the region.
// Errors: bad_options, holds_data, same_uuid, io.
[[nodiscard]] Result<void, CacheError> format_cache(PmemRegion& region,
                                                    const FormatOptions& options);

}  // namespace engine
