#include "engine/cache/kset.h"

#include <algorithm>

#include "engine/cache/cache_layout.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

std::uint32_t crc_of_kset(const DeviceSeal& seal, format::KsetHeader header,
                          std::span<const std::byte> keys) {
  header.crc = 0;
  return crc32c_extend(crc32c_extend(seal.seed(), bytes_of(header)), keys);
}

// The check that is made before writing and after reading alike.
bool is_count(std::uint64_t keys) { return keys >= 1 && keys <= format::most_keys; }

}  // namespace

std::span<const std::byte> encode_kset(const DeviceSeal& seal, const KsetStamp& stamp,
                                       std::span<const format::Key> keys, std::uint32_t alignment,
                                       std::span<std::byte> space) {
  CHECK(is_count(keys.size()));
  CHECK(stamp.sequence != 0);
  format::KsetHeader header{};
  header.magic = format::kset_magic;
  header.keys = static_cast<std::uint16_t>(keys.size());
  header.volume_tag = stamp.volume_tag;
  header.epoch = static_cast<std::uint32_t>(stamp.epoch);
  header.sequence = stamp.sequence;
  header.time_ms = stamp.time_ms;
  header.crc = crc_of_kset(seal, header, std::as_bytes(keys));
  ByteWriter writer(space.first(kset_bytes(keys.size(), alignment)));
  CHECK(writer.write(header));
  CHECK(writer.write_bytes(std::as_bytes(keys)));
  CHECK(writer.write_zeros(kset_bytes(keys.size(), alignment) - writer.used()));
  return writer.written();
}

Result<ByteCount, KsetFault> claimed_kset_bytes(std::span<const std::byte> bytes) {
  const auto header = ByteReader(bytes).read<format::KsetHeader>();
  if (!header) return KsetFault::truncated;
  if (header->magic != format::kset_magic) return KsetFault::no_magic;
  if (!is_count(header->keys)) return KsetFault::bad_count;
  return ByteCount{sizeof(format::KsetHeader) + header->keys * sizeof(format::Key)};
}

Result<KsetView, KsetFault> decode_kset(const DeviceSeal& seal, std::span<const std::byte> bytes) {
  TRY(auto length, claimed_kset_bytes(bytes));
  ByteReader reader(bytes);
  const auto header = reader.read<format::KsetHeader>();
  const auto keys = reader.take(length.value - sizeof(format::KsetHeader));
  if (!header || !keys) return KsetFault::truncated;
  if (GUARD("kset crc") && header->crc != crc_of_kset(seal, *header, *keys)) {
    return KsetFault::bad_crc;
  }
  // A Key is made of bytes only (alignment 1), so the view is one of the bytes themselves.
  const auto* first = reinterpret_cast<const format::Key*>(keys->data());
  return KsetView{.stamp = {.volume_tag = header->volume_tag,
                            .epoch = header->epoch,
                            .sequence = header->sequence,
                            .time_ms = header->time_ms},
                  .keys = {first, header->keys}};
}

bool has_place(format::KeyKind kind) {
  return kind == format::KeyKind::data || kind == format::KeyKind::clean;
}

KeyFault check_key(const format::Key& key, const KeyLimits& limits) {
  constexpr std::uint64_t sector = format::place_bytes;
  const auto kind = static_cast<format::KeyKind>(key.kind);
  if (kind < format::KeyKind::data || kind > format::KeyKind::invalidate) {
    return KeyFault::unknown_kind;
  }
  const bool is_zero = key.kind == static_cast<std::uint8_t>(format::KeyKind::zero);
  const int known_flags = is_zero ? format::key_gives_back : 0;
  if ((key.flags & ~known_flags) != 0 || key.reserved != 0) return KeyFault::reserved;
  if (key.sectors == 0) return KeyFault::bad_length;
  if (has_place(kind) && key.sectors > limits.layout.segment_bytes / sector) {
    return KeyFault::bad_length;
  }
  const std::uint64_t volume_sectors = limits.volume_size.value / sector;
  if (key.sector > volume_sectors || key.sectors > volume_sectors - key.sector) {
    return KeyFault::beyond_volume;
  }
  if (!has_place(kind)) {
    return key.place == 0 && key.generation == 0 && key.crc == 0 ? KeyFault::none
                                                                 : KeyFault::needless_field;
  }
  if (!limits.payload_crc && key.crc != 0) return KeyFault::needless_field;
  const MediaOffset first{key.place * sector};  // 57 bits at most
  const auto segment = limits.layout.segment_of(first);
  if (!segment) return KeyFault::bad_place;
  const ByteCount inside = first - limits.layout.segment_place(*segment);
  if (inside.value + key.sectors * sector > limits.layout.segment_bytes) {
    return KeyFault::bad_place;
  }
  // More than one piece: the array of their checksums lies before the data, in the same segment.
  const std::uint64_t pieces = (key.sectors * sector + 4095) / 4096;
  if (limits.payload_crc && pieces > 1 && inside.value < pieces * sizeof(std::uint32_t)) {
    return KeyFault::bad_place;
  }
  return KeyFault::none;
}

}  // namespace engine
