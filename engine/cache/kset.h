// Ksets: sets of keys that count as a whole or not at all. Pure encoding and decoding.
// docs/media-format.md, "Kset".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/cache/device_seal.h"
#include "engine/format/cache_format.h"
#include "engine/foundation/result.h"
#include "engine/foundation/units.h"

namespace engine {

struct CacheLayout;

// What a log says of one kset besides its keys.
struct KsetStamp {
  std::uint32_t volume_tag = 0;
  std::uint64_t epoch = 0;  // of the chunk it lies in; its low half is stored
  std::uint64_t sequence = 0;
  std::uint64_t time_ms = 0;
  friend bool operator==(const KsetStamp&, const KsetStamp&) = default;
};

// What a kset of `keys` keys takes in the log: header, keys and zeros up to the alignment.
[[nodiscard]] constexpr std::uint64_t kset_bytes(std::uint64_t keys, std::uint32_t alignment) {
  const std::uint64_t bytes = sizeof(format::KsetHeader) + keys * sizeof(format::Key);
  return (bytes + alignment - 1) / alignment * alignment;
}
// The largest of them: room that is enough for any kset.
inline constexpr std::size_t largest_kset_bytes = 8192;
static_assert(kset_bytes(format::most_keys, 4096) == largest_kset_bytes);

// Writes the kset to the front of `space` and returns that part of it, padded with zeros.
// Keys: 1 to most_keys; `space` holds kset_bytes() of them.
[[nodiscard]] std::span<const std::byte> encode_kset(const DeviceSeal& seal, const KsetStamp& stamp,
                                                     std::span<const format::Key> keys,
                                                     std::uint32_t alignment,
                                                     std::span<std::byte> space);

enum class KsetFault : std::uint8_t {
  truncated,  // fewer bytes than a header, or than its count of keys asks for
  no_magic,   // not the beginning of a kset
  bad_count,  // no keys, or more than most_keys
  bad_crc,    // torn, rotted, or of another device
};

// Views the bytes it was decoded from.
struct KsetView {
  KsetStamp stamp;  // its epoch is the low half only
  std::span<const format::Key> keys;
};

// The kset at the front of `bytes`, which may go on behind it. Fields of its keys are not judged.
[[nodiscard]] Result<KsetView, KsetFault> decode_kset(const DeviceSeal& seal,
                                                      std::span<const std::byte> bytes);

// How many bytes (unpadded) the kset at the front of `header` says it has: to read the rest of it.
// Not to be believed before its CRC. Errors: truncated, no_magic, bad_count.
[[nodiscard]] Result<ByteCount, KsetFault> claimed_kset_bytes(std::span<const std::byte> header);

// What a volume and its device allow a key to say.
struct KeyLimits {
  const CacheLayout& layout;
  ByteCount volume_size;
  bool payload_crc = false;
};

enum class KeyFault : std::uint8_t {
  none,
  unknown_kind,    // neither of KeyKind
  reserved,        // flags that the kind does not have, or reserved bytes that are not zero
  bad_length,      // no sectors, or more than a segment holds
  beyond_volume,   // ends behind the volume's last sector
  bad_place,       // outside the segments, or across the edge of one
  needless_field,  // a place, generation or checksum where there is no data
};

[[nodiscard]] KeyFault check_key(const format::Key& key, const KeyLimits& limits);
[[nodiscard]] bool has_place(format::KeyKind kind);

}  // namespace engine
