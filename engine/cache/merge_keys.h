// What a batch of keys leaves on a backing: of every sector the newest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache/extent.h"

namespace engine {

// A key of the log that changes what the backing must hold.
struct DirtyKey {
  enum class Kind : std::uint8_t {
    data,
    zero,
    invalidate,  // what the backing has counts: older keys of the batch do not
  };
  SectorRange range;
  std::uint64_t sequence = 0;  // of its kset
  Place place{};               // data: on the cache device; zero: its stamp in the index
  std::uint32_t crc = 0;       // data
  Kind kind = Kind::data;
  bool gives_back = false;  // zero: the backing's space, too

  // As the index says it, seen from `skipped` sectors after its beginning.
  [[nodiscard]] ExtentValue value(SectorCount skipped = {}) const {
    const bool is_data = kind == Kind::data;
    return ExtentValue{
        .place = place,
        .crc = crc,
        .logged_sectors = static_cast<std::uint16_t>(is_data ? range.count.value : 0),
        .kind = is_data ? ExtentKind::data : ExtentKind::zero,
        .dirty = true}
        .advanced(skipped);
  }
};

// A part of one key that no newer key of the batch covers.
struct DirtyPiece {
  SectorRange range;
  std::uint32_t key = 0;  // its index
  friend bool operator==(const DirtyPiece&, const DirtyPiece&) = default;
};

// `keys` in the order of the log, at most 2^32. Pieces in address order, as long as they can be;
// none of invalidations.
[[nodiscard]] std::vector<DirtyPiece> merge_keys(std::span<const DirtyKey> keys);

}  // namespace engine
