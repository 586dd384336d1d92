// Checksums of data in the cache: of pieces of 4096 bytes, counted from the extent's beginning.
// docs/media-format.md, "Data".
#pragma once

#include <cstdint>
#include <span>

#include "engine/cache/extent.h"
#include "engine/foundation/piece_sums.h"
#include "engine/foundation/result.h"
#include "engine/media/pmem_region.h"

namespace engine {

inline constexpr std::uint64_t piece_sectors = 8;
inline constexpr std::uint64_t crc_piece_bytes = piece_sectors * sector_bytes;
static_assert(crc_piece_bytes == PieceSums::piece_bytes);
inline constexpr std::uint64_t most_pieces = largest_extent_sectors / piece_sectors;

[[nodiscard]] constexpr std::uint64_t pieces_of(SectorCount count) {
  return (count.value + piece_sectors - 1) / piece_sectors;
}
// Sectors in front of the data that hold the array of its checksums; none for a single piece.
[[nodiscard]] constexpr SectorCount array_sectors(SectorCount count) {
  if (pieces_of(count) == 1) return {0};
  return {(pieces_of(count) * sizeof(std::uint32_t) + 511) / 512};
}

// Writes the array of an extent's checksums to the end of `to`, zeros in front of it, and gives the
// array's own checksum.
[[nodiscard]] std::uint32_t encode_piece_array(std::span<const std::uint32_t> crcs,
                                               std::span<std::byte> to);

enum class PayloadFault : std::uint8_t {
  media_error,   // a piece, or the array, cannot be read
  bad_checksum,  // it is not what was written
};

// Copies a part of an extent out. `value` is the extent as the index says, seen from the part's
// beginning; `bytes` is the part's length. With `verify`, every piece that the part touches is
// checked as a whole, on the bytes that are given out; `sums`, of some data in which `bytes` begin
// at `at`, hears of them. The segment is pinned by the caller.
[[nodiscard]] Result<void, PayloadFault> read_payload(const PmemRegion& region,
                                                      const ExtentValue& value, bool verify,
                                                      std::span<std::byte> bytes,
                                                      const PieceSums& sums = {},
                                                      std::uint64_t at = 0);

// Reads a part of an extent where it lies, so that touching it afterwards meets no bad memory that
// can be known; checks it like read_payload, and `sums`, of the part, hears of its pieces. Any
// thread.
[[nodiscard]] Result<void, PayloadFault> verify_payload(const PmemRegion& region,
                                                        const ExtentValue& value, bool verify,
                                                        SectorCount count,
                                                        const PieceSums& sums = {});

}  // namespace engine
