// CacheBinding: what a volume's record in its pool says of its cache, so that an image is never
// served without what only its cache has. docs/pool-format.md, "Cache binding".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/format/pool_format.h"
#include "engine/foundation/result.h"
#include "engine/foundation/uuid.h"

namespace engine {

struct CacheBinding {
  Uuid device{};  // nil unless clean or dirty
  // One more with every attachment, every time a cache is resumed, and whenever one is forgotten:
  // an old copy of the image or of the cache is told by it. 0: never had one.
  std::uint64_t epoch = 0;
  format::CacheBindingState state = format::CacheBindingState::none;
  friend bool operator==(const CacheBinding&, const CacheBinding&) = default;
};
[[nodiscard]] bool is_possible(const CacheBinding& binding);

// What a cache device has of a volume.
struct CacheContents {
  std::uint64_t epoch = 0;  // of the attachment
  bool dirty = false;       // keys behind its dirty tail, or nobody can tell
  bool opened = true;       // under this epoch; false: nothing was written or written back since
};
struct CacheDeviceFinding {
  bool readable = false;  // the device that the configuration names is there and can be opened
  std::optional<CacheContents> contents;  // nullopt: nothing of this volume
};

enum class CacheVerdict : std::uint8_t {
  direct,  // the image is all there is; a binding other than none is forgotten first
  resume,  // the cache has what belongs to the image
  attach,  // anew and empty: what the device has of the volume is older than the image
  // Not served until the cache is back, or is abandoned by name:
  cache_missing,  // it is not there, or is older than the image, which lacks what it had
  conflict,       // it has what this image never knew of: one of the two is a copy
};
// What a start does with a volume. `configured`: the cache device that the configuration names for
// it, of which `found` speaks.
[[nodiscard]] CacheVerdict judge(const CacheBinding& binding, const std::optional<Uuid>& configured,
                                 const CacheDeviceFinding& found);

// The binding that attaching writes, in the cache first, then in the pool; clean. `contents`: what
// the device has of the volume, so that no epoch is used twice.
[[nodiscard]] CacheBinding attached(const CacheBinding& before, const Uuid& device,
                                    const std::optional<CacheContents>& contents);
// The same for a cache that is resumed: also first there, then in the pool.
[[nodiscard]] CacheBinding resumed(const CacheBinding& before, const CacheContents& contents);
// Whatever the cache has is no longer part of the volume: before the image is written without it,
// or when it is abandoned.
[[nodiscard]] CacheBinding forgotten(const CacheBinding& before);
// The cache that an operator gives up, by name; and what it has of the volume, where it is there.
struct GivenUpCache {
  Uuid device{};
  std::optional<CacheContents> contents = {};
};
// The same at an operator's word: of the cache that has what the image lacks, or of one that is in
// conflict with it. The error is a sentence for him.
[[nodiscard]] Result<CacheBinding, std::string> abandoned(const std::string& volume,
                                                          const CacheBinding& before,
                                                          const GivenUpCache& cache);

}  // namespace engine
