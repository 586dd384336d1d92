// VolumeCache, reading: what the cache has, and what it has not.
#include <cstring>

#include "engine/cache/payload_crc.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

struct VolumeCache::PinnedPiece {
  Piece piece;
  SegmentPin pin;
};

// The caller's buffer.
struct VolumeCache::Output {
  Sector begin;
  std::span<std::byte> bytes;
  FunctionRef<void(const CacheGap&)> on_gap;
  const PieceSums& sums;
};

// All pieces of the range as they are at one moment, data with its segment pinned: what a lookup's
// visitor may do, and no more. What is pinned stays as it is, however long it takes to read.
void VolumeCache::pin_pieces(SectorRange range, ExtentIndex::Heat heat, PinnedPieces& pieces) {
  for (;; heat = ExtentIndex::Heat::keep) {
    pieces.clear();
    std::size_t found = 0;
    const std::uint64_t since = commit_.steps().look(range);
    index_.look_up(range, heat, [&](const Piece& piece) {
      ++found;
      if (pieces.size() == pieces.capacity()) return;
      PinnedPiece& to = pieces.emplace_back();
      to.piece = piece;
      if (piece.value && piece.value->kind == ExtentKind::data) to.pin = pin_of(*piece.value);
    });
    if (found == pieces.size() && commit_.steps().unchanged(since)) return;
    if (found == pieces.size()) continue;
    pieces.clear();
    pieces.reserve(found + found / 8);  // it may have been cut further by then
  }
}

SegmentPin VolumeCache::pin_of(const ExtentValue& data) {
  const auto segment = device_.layout().segment_of({data.place.value * format::place_bytes});
  CHECK(segment.has_value());
  return SegmentPin(device_.segments().counters(*segment));
}

void VolumeCache::give_out(const PinnedPiece& pinned, const Output& to) {
  const Piece& piece = pinned.piece;
  const std::uint64_t at = (piece.range.begin - to.begin).value * format::place_bytes;
  const auto bytes = to.bytes.subspan(at, piece.range.count.value * format::place_bytes);
  if (!piece.value) {
    to.on_gap({.range = piece.range});
  } else if (piece.value->kind == ExtentKind::zero) {
    std::memset(bytes.data(), 0, bytes.size());
  } else if (!read_payload(device_.region(), *piece.value,
                           payload_crc_ && GUARD("payload crc of reads"), bytes, to.sums, at)) {
    to.sums.forget(at, bytes.size());  // others' bytes take their place
    to.on_gap({.range = piece.range,
               .kind = piece.value->dirty ? CacheGap::Kind::bad_dirty : CacheGap::Kind::bad_clean,
               .value = *piece.value});
  }
}

void VolumeCache::read(SectorRange range, std::span<std::byte> bytes, ExtentIndex::Heat heat,
                       FunctionRef<void(const CacheGap&)> on_gap, const PieceSums& sums) {
  CHECK(bytes.size() == range.count.value * format::place_bytes);
  PinnedPieces pieces;
  pin_pieces(range, heat, pieces);
  const Output to{.begin = range.begin, .bytes = bytes, .on_gap = on_gap, .sums = sums};
  for (PinnedPiece& pinned : pieces) {
    give_out(pinned, to);
    pinned.pin.release();
  }
}

void VolumeCache::read_again(SectorRange range, std::span<std::byte> bytes,
                             FunctionRef<bool(const Piece&)> has,
                             FunctionRef<void(const CacheGap&)> on_gap, const PieceSums& sums) {
  CHECK(bytes.size() == range.count.value * format::place_bytes);
  sums.forget(0, bytes.size());  // of what was there before
  PinnedPieces pieces;
  pin_pieces(range, ExtentIndex::Heat::keep, pieces);
  const Output to{.begin = range.begin, .bytes = bytes, .on_gap = on_gap, .sums = sums};
  for (PinnedPiece& pinned : pieces) {
    if (!has(pinned.piece)) give_out(pinned, to);
    pinned.pin.release();
  }
}

std::size_t VolumeCache::pin_front(SectorRange range, std::span<Hit> hits) {
  for (;;) {
    std::size_t count = 0;
    bool goes_on = true;
    const std::uint64_t since = commit_.steps().look(range);
    index_.look_up(range, ExtentIndex::Heat::keep, [&](const Piece& piece) {
      goes_on = goes_on && count < hits.size() && piece.value.has_value() &&
                piece.value->kind == ExtentKind::data;
      if (!goes_on) return;
      hits[count++] = {
          .value = *piece.value, .count = piece.range.count, .pin = pin_of(*piece.value)};
    });
    if (commit_.steps().unchanged(since)) return count;
    for (Hit& hit : hits.first(count)) hit.pin.release();
  }
}

}  // namespace engine
