#include "engine/cache/cache_layout.h"

#include <algorithm>
#include <bit>
#include <string>

#include "engine/cache/kset.h"
#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t most_default_segments = 262144;  // 256 GiB of 1 MiB

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t to) {
  return value / to * to;
}

CacheError bad(std::string text) { return {CacheError::Kind::bad_options, {}, std::move(text)}; }

std::uint32_t default_segment_bytes(std::uint64_t size) {
  std::uint32_t bytes = 1U << 20;
  while (bytes < CacheLayout::largest_segment && size / bytes > most_default_segments) bytes *= 2;
  return bytes;
}

std::uint32_t smallest_chunk(std::uint32_t alignment) {
  const std::uint64_t needed = alignment + kset_bytes(format::most_keys, alignment);
  return static_cast<std::uint32_t>(std::bit_ceil(needed));
}

// Small, so that many volumes share a log segment; in page mode a chunk costs a sync, so larger.
std::uint32_t default_chunk_bytes(std::uint32_t segment_bytes, std::uint32_t alignment) {
  const std::uint32_t share = alignment == page ? segment_bytes / 4 : segment_bytes / 16;
  return std::clamp(share, std::min(smallest_chunk(alignment), segment_bytes), 256U << 10);
}

// What must hold of the six values that a layout is computed from, whoever named them.
Result<void, CacheError> check_values(const CacheLayout& layout) {
  if (layout.device_bytes.value > CacheLayout::most_device_bytes ||
      layout.device_bytes.value % page != 0) {
    return bad("a device of " + std::to_string(layout.device_bytes.value) + " bytes");
  }
  if (!std::has_single_bit(layout.segment_bytes) ||
      layout.segment_bytes < CacheLayout::smallest_segment ||
      layout.segment_bytes > CacheLayout::largest_segment) {
    return bad("segments of " + std::to_string(layout.segment_bytes) + " bytes");
  }
  if (layout.kset_alignment != format::entry_bytes && layout.kset_alignment != page) {
    return bad("ksets aligned to " + std::to_string(layout.kset_alignment) + " bytes");
  }
  if (!std::has_single_bit(layout.chunk_bytes) || layout.chunk_bytes > layout.segment_bytes ||
      layout.chunk_bytes < smallest_chunk(layout.kset_alignment)) {
    return bad("log chunks of " + std::to_string(layout.chunk_bytes) + " bytes");
  }
  if (layout.volume_slots == 0 || layout.volume_slots > CacheLayout::most_volume_slots) {
    return bad("room for " + std::to_string(layout.volume_slots) + " volumes");
  }
  if (layout.segment_slots == 0 || layout.segment_slots > CacheLayout::most_segment_slots) {
    return bad("room for " + std::to_string(layout.segment_slots) + " segments");
  }
  return success();
}

// Fills in count and places from the six values; they have been checked.
Result<CacheLayout, CacheError> compute_layout(CacheLayout layout) {
  TRY(check_values(layout));
  const std::uint64_t volumes = round_up(layout.volume_slots * sizeof(format::VolumeSlot), page);
  const std::uint64_t entries = round_up(layout.segment_slots * format::entry_bytes, page);
  const std::uint64_t tables = format::superblock_bytes + volumes + entries;
  const std::uint64_t end = layout.device_bytes.value;
  // Segments begin where a huge page may.
  const std::uint64_t begin =
      round_up(tables, std::min<std::uint64_t>(layout.segment_bytes, 2U << 20));
  if (end < begin + tables ||
      (end - begin - tables) / layout.segment_bytes < CacheLayout::fewest_segments) {
    return bad("only " + std::to_string(end) + " bytes: too few for " +
               std::to_string(CacheLayout::fewest_segments) + " segments and two sets of tables");
  }
  layout.segment_count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>((end - begin - tables) / layout.segment_bytes, layout.segment_slots));
  if (layout.segment_count < CacheLayout::fewest_segments) return bad("too few segments");
  layout.segments = {begin};
  layout.superblock = {MediaOffset{0}, MediaOffset{end - format::superblock_bytes}};
  layout.volume_table = {MediaOffset{format::superblock_bytes},
                         MediaOffset{end - format::superblock_bytes - volumes}};
  layout.segment_table = {MediaOffset{format::superblock_bytes + volumes},
                          MediaOffset{end - tables}};
  return layout;
}

}  // namespace

CacheLayout::Places CacheLayout::segment_entry(std::uint32_t segment) const {
  CHECK(segment < segment_slots);
  const ByteCount offset{segment * format::entry_bytes};
  return {segment_table[0] + offset, segment_table[1] + offset};
}

CacheLayout::Places CacheLayout::volume_entry(std::uint32_t slot, format::EntryType type) const {
  CHECK(slot < volume_slots);
  const auto entry = static_cast<std::uint64_t>(type) -
                     static_cast<std::uint64_t>(format::EntryType::volume_identity);
  CHECK(entry < sizeof(format::VolumeSlot) / format::entry_bytes);
  const ByteCount offset{slot * sizeof(format::VolumeSlot) + entry * format::entry_bytes};
  return {volume_table[0] + offset, volume_table[1] + offset};
}

MediaOffset CacheLayout::segment_place(std::uint32_t segment) const {
  CHECK(segment < segment_count);
  return segments + ByteCount{std::uint64_t{segment} * segment_bytes};
}

std::optional<std::uint32_t> CacheLayout::segment_of(MediaOffset place) const {
  if (place < segments) return std::nullopt;
  // A power of two: asked for each key of a log.
  const std::uint64_t segment = (place - segments).value >> std::countr_zero(segment_bytes);
  if (segment >= segment_count) return std::nullopt;
  return static_cast<std::uint32_t>(segment);
}

bool CacheLayout::is_chunk_place(MediaOffset place) const {
  return segment_of(place).has_value() && (place - segments).value % chunk_bytes == 0;
}

std::uint32_t CacheLayout::first_kset() const { return kset_alignment; }

Result<CacheLayout, CacheError> plan_layout(ByteCount size, const LayoutOptions& options) {
  CacheLayout layout;
  layout.device_bytes = {std::min(round_down(size.value, page), CacheLayout::most_device_bytes)};
  const std::uint64_t bytes = layout.device_bytes.value;
  layout.segment_bytes =
      options.segment_bytes != 0 ? options.segment_bytes : default_segment_bytes(bytes);
  layout.kset_alignment = options.kset_alignment;
  layout.chunk_bytes = options.chunk_bytes != 0
                           ? options.chunk_bytes
                           : default_chunk_bytes(layout.segment_bytes, options.kset_alignment);
  layout.volume_slots = options.volume_slots;
  const std::uint64_t slots = std::min<std::uint64_t>(
      round_up(4 * (bytes / layout.segment_bytes + 1), page / format::entry_bytes),
      CacheLayout::most_segment_slots);
  layout.segment_slots =
      options.segment_slots != 0 ? options.segment_slots : static_cast<std::uint32_t>(slots);
  return compute_layout(layout);
}

Result<CacheLayout, CacheError> grow_layout(const CacheLayout& now, ByteCount size) {
  CacheLayout larger = now;
  larger.device_bytes = {std::min(round_down(size.value, page), CacheLayout::most_device_bytes)};
  TRY(auto layout, compute_layout(larger));
  if (layout.segment_count <= now.segment_count) {
    return bad(now.segment_count == now.segment_slots
                   ? "its tables have no room for more than " + std::to_string(now.segment_slots) +
                         " segments"
                   : "not even one segment larger than it is");
  }
  return layout;
}

bool is_superblock(const format::CacheSuperblock& block) {
  format::CacheSuperblock copy = block;
  copy.crc = 0;
  return block.magic == format::cache_magic &&
         (!GUARD("superblock crc") || block.crc == crc32c(bytes_of(copy)));
}

Result<CacheLayout, CacheError> check_superblock(const format::CacheSuperblock& block) {
  const auto damaged = [](const std::string& what) {
    return CacheError{CacheError::Kind::damaged, {}, "the superblock is impossible: " + what};
  };
  if (!is_superblock(block)) return damaged("its checksum does not match");
  if (block.version != format::cache_format_version) {
    return CacheError{CacheError::Kind::unsupported,
                      {},
                      "the cache has format version " + std::to_string(block.version) +
                          ", which this version does not know; use a newer Forebay"};
  }
  if (block.features.read_only != 0 ||
      (block.features.incompatible & ~format::feature_payload_crc) != 0) {
    return CacheError{
        CacheError::Kind::unsupported,
        {},
        "the cache asks for features that this version does not know; use a newer Forebay"};
  }
  if (Uuid{block.device_uuid}.is_nil()) return damaged("its UUID is nil");
  if (block.sequence == 0) return damaged("its sequence is 0");
  // Only a feature that we need not know may have filled the reserved bytes.
  if (block.features.compatible == 0 &&
      std::any_of(block.reserved.begin(), block.reserved.end(),
                  [](std::byte byte) { return byte != std::byte{}; })) {
    return damaged("its reserved bytes are not zero");
  }
  CacheLayout named;
  named.device_bytes = {block.device_bytes};
  named.segment_bytes = block.segment_bytes;
  named.segment_count = block.segment_count;
  named.segment_slots = block.segment_slots;
  named.volume_slots = block.volume_slots;
  named.chunk_bytes = block.chunk_bytes;
  named.kset_alignment = block.kset_alignment;
  auto computed = compute_layout(named);
  if (!computed) return damaged(computed.error().text);
  named.superblock = computed.value().superblock;
  for (std::size_t replica = 0; replica < 2; ++replica) {
    named.volume_table[replica] = {block.volume_table[replica]};
    named.segment_table[replica] = {block.segment_table[replica]};
  }
  named.segments = {block.segments};
  if (named != computed.value()) return damaged("its places do not follow from its sizes");
  return named;
}

void describe_layout(format::CacheSuperblock& block, const CacheLayout& layout) {
  block.magic = format::cache_magic;
  block.version = format::cache_format_version;
  block.device_bytes = layout.device_bytes.value;
  block.segment_bytes = layout.segment_bytes;
  block.segment_count = layout.segment_count;
  block.segment_slots = layout.segment_slots;
  block.volume_slots = layout.volume_slots;
  block.chunk_bytes = layout.chunk_bytes;
  block.kset_alignment = layout.kset_alignment;
  for (std::size_t replica = 0; replica < 2; ++replica) {
    block.volume_table[replica] = layout.volume_table[replica].value;
    block.segment_table[replica] = layout.segment_table[replica].value;
  }
  block.segments = layout.segments.value;
  block.crc = 0;
  block.crc = crc32c(bytes_of(block));
}

}  // namespace engine
