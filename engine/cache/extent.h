// What the index says about a range of a volume: where its newest data lies in the cache.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/foundation/units.h"

namespace engine {

struct SectorRange {
  Sector begin;
  SectorCount count;
  [[nodiscard]] constexpr Sector end() const { return begin + count; }
  [[nodiscard]] constexpr bool empty() const { return count.value == 0; }
  friend constexpr bool operator==(const SectorRange&, const SectorRange&) = default;
};

// All blocks of 4096 bytes that it touches: what a backing may have to find space for.
[[nodiscard]] constexpr SectorCount in_whole_blocks(SectorRange range) {
  constexpr std::uint64_t block = 8;
  return {(range.end().value + block - 1) / block * block - range.begin.value / block * block};
}

inline constexpr std::uint64_t stripe_sectors = 8192;          // 4 MiB
inline constexpr std::uint64_t largest_extent_sectors = 2048;  // 1 MiB of data; zeros may be longer
inline constexpr Place largest_place{(std::uint64_t{1} << 39) - 1};  // 256 TiB of cache
inline constexpr std::uint8_t hottest = 3;

enum class ExtentKind : std::uint8_t {
  data,
  zero,  // reads as zeros; holds no cache space
};

// What an extent is, seen from its first sector.
struct ExtentValue {
  // Data: where it lies on the cache device. Zero: a stamp that tells this zero key from every
  // other one whose index entry may still exist (the place of its key in the log, for example);
  // the same for every part of the extent.
  Place place{};
  std::uint32_t crc = 0;     // of the piece (up to 4 KiB) or of the CRC array: opaque here
  std::uint16_t origin = 0;  // data: sectors from the beginning of the extent as it was logged
  // Data: the whole extent's length as it was logged; what a checksum is of. Opaque here.
  std::uint16_t logged_sectors = 0;
  ExtentKind kind = ExtentKind::data;
  bool dirty = false;     // the backing does not have it yet
  std::uint8_t heat = 0;  // 0..hottest

  // The same extent seen from `count` sectors further on.
  [[nodiscard]] constexpr ExtentValue advanced(SectorCount count) const {
    ExtentValue part = *this;
    if (kind == ExtentKind::data) {
      part.place = place + count;
      part.origin = static_cast<std::uint16_t>(origin + count.value);
    }
    return part;
  }
  friend constexpr bool operator==(const ExtentValue&, const ExtentValue&) = default;
};

// A part of an extent that the index holds, or held.
struct Fragment {
  SectorRange range;
  ExtentValue value;
  friend constexpr bool operator==(const Fragment&, const Fragment&) = default;
};

// A part of a looked up range: a hit, or a hole that only the backing can fill.
struct Piece {
  SectorRange range;
  std::optional<ExtentValue> value;
  friend constexpr bool operator==(const Piece&, const Piece&) = default;
};

// Whom a conditional operation is about: those parts of its range that still belong to one
// extent.
struct Owner {
  ExtentKind kind = ExtentKind::data;
  Place place{};            // data: where the first sector of the range lies; zero: the stamp
  bool clean_only = false;  // dirty fragments do not count: what re-log, move and eviction ask for
};

}  // namespace engine
