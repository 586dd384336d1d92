// VolumeCache, reading: what the cache has, and what it has not.
#include <array>
#include <cstring>

#include "engine/cache/payload_crc.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::size_t pieces_at_once = 8;

}  // namespace

struct VolumeCache::PinnedPiece {
  Piece piece;
  SegmentPin pin;
};

// The first pieces of the range, data with its segment pinned: what a lookup's visitor may do, and
// no more.
std::size_t VolumeCache::pin_pieces(SectorRange range, ExtentIndex::Heat heat,
                                    std::span<PinnedPiece> pieces) {
  std::size_t count = 0;
  index_.look_up(range, heat, [&](const Piece& piece) {
    if (count == pieces.size()) return;
    PinnedPiece& to = pieces[count++];
    to.piece = piece;
    if (piece.value && piece.value->kind == ExtentKind::data) to.pin = pin_of(*piece.value);
  });
  return count;
}

SegmentPin VolumeCache::pin_of(const ExtentValue& data) {
  const auto segment = device_.layout().segment_of({data.place.value * format::place_bytes});
  CHECK(segment.has_value());
  return SegmentPin(device_.segments().counters(*segment));
}

void VolumeCache::read(SectorRange range, std::span<std::byte> bytes, ExtentIndex::Heat heat,
                       FunctionRef<void(const CacheGap&)> on_gap, const PieceSums& sums) {
  CHECK(bytes.size() == range.count.value * format::place_bytes);
  std::array<PinnedPiece, pieces_at_once> pieces;
  std::uint64_t done = 0;
  while (!range.empty()) {
    const std::size_t count = pin_pieces(range, heat, pieces);
    for (PinnedPiece& pinned : std::span(pieces).first(count)) {
      const Piece& piece = pinned.piece;
      const std::uint64_t at = done;
      const auto to = bytes.subspan(at, piece.range.count.value * format::place_bytes);
      done += to.size();
      range = {piece.range.end(), range.count - piece.range.count};
      if (!piece.value) {
        on_gap({.range = piece.range});
      } else if (piece.value->kind == ExtentKind::zero) {
        std::memset(to.data(), 0, to.size());
      } else if (!read_payload(device_.region(), *piece.value,
                               payload_crc_ && GUARD("payload crc of reads"), to, sums, at)) {
        sums.forget(at, to.size());  // others' bytes take their place
        on_gap({.range = piece.range,
                .kind = piece.value->dirty ? CacheGap::Kind::bad_dirty : CacheGap::Kind::bad_clean,
                .value = *piece.value});
      }
      pinned.pin.release();
    }
  }
}

std::size_t VolumeCache::pin_front(SectorRange range, std::span<Hit> hits) {
  std::size_t count = 0;
  bool goes_on = true;
  index_.look_up(range, ExtentIndex::Heat::keep, [&](const Piece& piece) {
    goes_on = goes_on && count < hits.size() && piece.value.has_value() &&
              piece.value->kind == ExtentKind::data;
    if (!goes_on) return;
    hits[count++] = {
        .value = *piece.value, .count = piece.range.count, .pin = pin_of(*piece.value)};
  });
  return count;
}

}  // namespace engine
