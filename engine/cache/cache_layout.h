// CacheLayout: where everything lies on a cache device. docs/media-format.md, "Device map".
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/cache/cache_error.h"
#include "engine/format/cache_format.h"
#include "engine/foundation/result.h"
#include "engine/foundation/units.h"

namespace engine {

// What may be chosen at format; 0 means: what fits the size.
struct LayoutOptions {
  std::uint32_t segment_bytes = 0;  // a power of two, 16 KiB (tests) to 16 MiB
  std::uint32_t chunk_bytes =
      0;  // a power of two that divides a segment and holds the largest kset
  std::uint32_t kset_alignment = 64;  // 64, or 4096 on media of page granularity
  std::uint32_t volume_slots = 1024;
  std::uint32_t segment_slots = 0;  // room to grow: by default four times the segments there are
};

// Invariants: it is exactly what compute_layout() makes of the first seven fields, so nothing
// overlaps; segments end before the far replicas; every place is a multiple of 4096.
struct CacheLayout {
  ByteCount device_bytes;  // what the format uses of the region
  std::uint32_t segment_bytes = 0;
  std::uint32_t segment_count = 0;
  std::uint32_t segment_slots = 0;
  std::uint32_t volume_slots = 0;
  std::uint32_t chunk_bytes = 0;
  std::uint32_t kset_alignment = 0;
  std::array<MediaOffset, 2> superblock;
  std::array<MediaOffset, 2> volume_table;
  std::array<MediaOffset, 2> segment_table;
  MediaOffset segments;

  static constexpr std::uint32_t smallest_segment = 16U << 10;
  static constexpr std::uint32_t largest_segment = 16U << 20;
  static constexpr std::uint32_t fewest_segments = 4;  // two for the log, one for data, one to move
  static constexpr std::uint32_t most_segment_slots = 1U << 25;
  static constexpr std::uint32_t most_volume_slots = 1U << 16;
  static constexpr std::uint64_t most_device_bytes = std::uint64_t{1} << 47;

  using Places = std::array<MediaOffset, 2>;
  [[nodiscard]] Places segment_entry(std::uint32_t segment) const;
  // `type`: one of the four volume_* entries.
  [[nodiscard]] Places volume_entry(std::uint32_t slot, format::EntryType type) const;

  [[nodiscard]] MediaOffset segment_place(std::uint32_t segment) const;
  // The segment that `place` lies in; nullopt outside of all segments.
  [[nodiscard]] std::optional<std::uint32_t> segment_of(MediaOffset place) const;
  [[nodiscard]] std::uint32_t chunks_in_segment() const { return segment_bytes / chunk_bytes; }
  [[nodiscard]] MediaOffset chunk_place(std::uint32_t segment, std::uint32_t index) const {
    return segment_place(segment) + ByteCount{std::uint64_t{index} * chunk_bytes};
  }
  // Whether a chunk may begin at `place`.
  [[nodiscard]] bool is_chunk_place(MediaOffset place) const;
  // Where the first kset of a chunk begins, from the chunk's beginning.
  [[nodiscard]] std::uint32_t first_kset() const;
  friend bool operator==(const CacheLayout&, const CacheLayout&) = default;
};

// The layout of a new cache on `size` bytes. Errors: bad_options.
[[nodiscard]] Result<CacheLayout, CacheError> plan_layout(ByteCount size,
                                                          const LayoutOptions& options);
// The same format on more bytes: nothing but count, size and the far replicas changes.
// Errors: bad_options if it would not be larger, or beyond what its tables have room for.
[[nodiscard]] Result<CacheLayout, CacheError> grow_layout(const CacheLayout& now, ByteCount size);

// Whether `block` has magic and checksum: something that once was a superblock of ours.
[[nodiscard]] bool is_superblock(const format::CacheSuperblock& block);
// The layout that a whole superblock describes; every field is checked. Errors: damaged,
// unsupported.
[[nodiscard]] Result<CacheLayout, CacheError> check_superblock(
    const format::CacheSuperblock& block);
// Fills in and seals what `layout` says; the other fields are the caller's.
void describe_layout(format::CacheSuperblock& block, const CacheLayout& layout);

}  // namespace engine
