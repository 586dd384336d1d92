// Strong units: a block address is not a count, a media offset is not a length, and neither is an
// integer.
#pragma once

#include <compare>
#include <cstdint>

namespace engine {

// A number of one kind. Only the operators that mean something are declared below; there is no
// conversion to or from integers except by name (`.value`).
template <class Tag>
struct Quantity {
  std::uint64_t value = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

struct LbaTag;
struct BlockCountTag;
struct MediaOffsetTag;
struct ByteCountTag;
struct SectorTag;
struct SectorCountTag;
struct PlaceTag;

using Lba = Quantity<LbaTag>;                  // logical block address on a volume
using BlockCount = Quantity<BlockCountTag>;    // an honest count: 1 means one block
using MediaOffset = Quantity<MediaOffsetTag>;  // byte position on a backing device
using ByteCount = Quantity<ByteCountTag>;      // a length in bytes

// The cache counts in 512 bytes, whatever the block size of the volume is.
using Sector = Quantity<SectorTag>;            // address on a volume, in 512 bytes
using SectorCount = Quantity<SectorCountTag>;  // a length in 512 bytes
using Place = Quantity<PlaceTag>;              // position on a cache device, in 512 bytes
inline constexpr std::uint64_t sector_bytes = 512;

constexpr Lba operator+(Lba lba, BlockCount count) { return {lba.value + count.value}; }
constexpr BlockCount operator-(Lba end, Lba begin) { return {end.value - begin.value}; }
constexpr BlockCount operator+(BlockCount a, BlockCount b) { return {a.value + b.value}; }
constexpr BlockCount operator-(BlockCount a, BlockCount b) { return {a.value - b.value}; }
constexpr MediaOffset operator+(MediaOffset at, ByteCount length) {
  return {at.value + length.value};
}
constexpr ByteCount operator-(MediaOffset end, MediaOffset begin) {
  return {end.value - begin.value};
}
constexpr ByteCount operator+(ByteCount a, ByteCount b) { return {a.value + b.value}; }
constexpr ByteCount operator-(ByteCount a, ByteCount b) { return {a.value - b.value}; }
constexpr Sector operator+(Sector at, SectorCount count) { return {at.value + count.value}; }
constexpr SectorCount operator-(Sector end, Sector begin) { return {end.value - begin.value}; }
constexpr SectorCount operator+(SectorCount a, SectorCount b) { return {a.value + b.value}; }
constexpr SectorCount operator-(SectorCount a, SectorCount b) { return {a.value - b.value}; }
constexpr Place operator+(Place at, SectorCount count) { return {at.value + count.value}; }

// Logical block size of a volume: a power of two, 512 or 4096 (validated by config).
struct BlockSize {
  std::uint32_t bytes = 4096;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(BlockSize, BlockSize) = default;
};
constexpr ByteCount operator*(BlockCount count, BlockSize size) {
  return {count.value * size.bytes};
}
constexpr MediaOffset byte_position(Lba lba, BlockSize size) { return {lba.value * size.bytes}; }

constexpr ByteCount operator""_KiB(unsigned long long n) { return {n << 10}; }
constexpr ByteCount operator""_MiB(unsigned long long n) { return {n << 20}; }
constexpr ByteCount operator""_GiB(unsigned long long n) { return {n << 30}; }

}  // namespace engine
