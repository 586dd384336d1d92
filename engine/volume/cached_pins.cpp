#include "engine/volume/cached_pins.h"

#include <array>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/crc32c.h"
#include "engine/foundation/guard.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"

namespace engine {

bool CachedPins::pin(CacheFront& front, SectorRange range, bool needs_checksum) {
  front_ = &front;
  count_ = static_cast<std::uint32_t>(front.volume().pin_front(range, hits_));
  SectorCount found{};
  for (const VolumeCache::Hit& hit : hits()) found = found + hit.count;
  if (found == range.count && front.pins().take(count_)) {
    if (check(needs_checksum)) return true;
    front.pins().give_back(count_);
  }
  unpin();
  return false;
}

// All of it is read here, under the guard, so that whoever sends it meets no bad memory that can be
// known.
bool CachedPins::check(bool needs_checksum) {
  CacheDevice& device = front_->volume().device();
  const PmemRegion& region = device.region();
  const bool verify = device.payload_crc() && GUARD("payload crc of reads in place");
  checksum_ = 0;
  for (std::uint32_t at = 0; at < count_; ++at) {
    const VolumeCache::Hit& hit = hits_[at];
    const MediaOffset place{hit.value.place.value * format::place_bytes};
    const ByteCount length{hit.count.value * format::place_bytes};
    const auto bytes = region.view(place, length);
    if (!bytes) return false;
    places_[at] = bytes.value();
    std::array<PieceSum, most_pieces> room;  // where there are checksums, extents are no longer
    PieceSums sums;
    if (verify) sums = {std::span(room).first(PieceSums::pieces_of(length.value)), length.value};
    // The checksum of all of it reads it just as well.
    if ((verify || !needs_checksum) &&
        !verify_payload(region, hit.value, verify, hit.count, sums)) {
      return false;
    }
    if (!needs_checksum) continue;
    if (const auto known = sums.joined()) {
      checksum_ = crc32c_join(checksum_, *known, length.value);
      continue;
    }
    const auto sum = region.checksum(place, length, checksum_);
    if (!sum) return false;
    checksum_ = sum.value();
  }
  pieces_ = std::span(places_).first(count_);
  return true;
}

bool CachedPins::copy(std::span<const std::byte> part, std::span<std::byte> to) {
  for (std::uint32_t at = 0; at < count_; ++at) {
    const auto whole = places_[at];
    if (part.data() < whole.data() || part.data() >= whole.data() + whole.size()) continue;
    const MediaOffset place{hits_[at].value.place.value * format::place_bytes};
    const ByteCount before{static_cast<std::uint64_t>(part.data() - whole.data())};
    return static_cast<bool>(
        front_->volume().device().region().read(place + before, to.first(part.size())));
  }
  return false;
}

void CachedPins::let_go() noexcept {
  front_->pins().give_back(count_);
  unpin();
  lane_.give_back(*this);
}

void CachedPins::unpin() {
  for (VolumeCache::Hit& hit : hits()) hit.pin.release();
  count_ = 0;
}

}  // namespace engine
