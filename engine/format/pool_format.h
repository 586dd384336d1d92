// What a file pool keeps on disk beside its images: docs/pool-format.md in structs. All numbers
// little-endian.
#pragma once

#include <array>
#include <boost/endian/arithmetic.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/format/features.h"

namespace engine::format {

using boost::endian::little_uint16_t;
using boost::endian::little_uint32_t;
using boost::endian::little_uint64_t;

inline constexpr std::uint32_t pool_format_version = 1;
inline constexpr std::array<char, 8> pool_label_magic{'F', 'B', 'Y', 'P', 'O', 'O', 'L', '\n'};
inline constexpr std::array<char, 8> volume_table_magic{'F', 'B', 'Y', 'V', 'O', 'L', 'S', '\n'};

// The whole of forebay-pool.label; written once, when the pool is made.
struct PoolLabel {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> pool_uuid;
  little_uint64_t created_ms;  // since 1970-01-01 UTC
  little_uint32_t kind;        // 1: file pool
  std::array<std::byte, 4028> reserved;
};
static_assert(sizeof(PoolLabel) == 4096 && alignof(PoolLabel) == 1);
static_assert(offsetof(PoolLabel, crc) == 8 && offsetof(PoolLabel, version) == 12);
static_assert(offsetof(PoolLabel, features) == 16 && offsetof(PoolLabel, pool_uuid) == 40);
static_assert(offsetof(PoolLabel, created_ms) == 56 && offsetof(PoolLabel, kind) == 64);
static_assert(std::is_trivially_copyable_v<PoolLabel> && std::is_standard_layout_v<PoolLabel>);
inline constexpr std::uint32_t pool_kind_file = 1;

// Starts forebay-pool.volumes.0 and .1; `entries` entries follow, then `registrants` of those,
// which end the file.
struct VolumeTableHeader {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> pool_uuid;  // of the label beside it
  little_uint64_t sequence;  // one more with every change; the highest valid replica counts
  little_uint32_t entries;
  little_uint32_t entry_bytes;  // sizeof(VolumeEntry)
  little_uint32_t registrants;  // RegistrantEntry: of all volumes
  std::array<std::byte, 436> reserved;
};
static_assert(sizeof(VolumeTableHeader) == 512 && alignof(VolumeTableHeader) == 1);
static_assert(offsetof(VolumeTableHeader, pool_uuid) == 40);
static_assert(offsetof(VolumeTableHeader, sequence) == 56);
static_assert(offsetof(VolumeTableHeader, entries) == 64);
static_assert(offsetof(VolumeTableHeader, registrants) == 72);
static_assert(std::is_trivially_copyable_v<VolumeTableHeader> &&
              std::is_standard_layout_v<VolumeTableHeader>);

enum class VolumeEntryState : std::uint32_t {
  creating = 1,  // no host has seen it; its image may be missing
  ready = 2,     // its image must be there
  // An operator has ended it: its files may be gone already, and the next start removes what is
  // left of them. Who does not know the state refuses the pool, as it does any that is unknown.
  destroying = 3,
};
// Who does not know the value refuses the pool: a thin image has no space for what was never
// written there, and what is zeroed in it gives its space back.
enum class Provisioning : std::uint32_t { thick = 1, thin = 2 };

// A volume's cache may hold what its image lacks. In a table in which any volume has been bound;
// who does not know the bit would serve the images as they are.
inline constexpr std::uint64_t feature_cache_bindings = 1;  // incompatible

// Some blocks of a volume are lost, and reads of them are errors. In a table in which any volume
// has such; who does not know the bit would give out what lies there.
inline constexpr std::uint64_t feature_lost_ranges = 2;  // incompatible

// Some volume's reservations outlive its hosts' connections and ours. In a table in which any
// volume has such; who does not know the bit would serve hosts that others have shut out.
inline constexpr std::uint64_t feature_reservations = 4;  // incompatible

// Some volume is not to be written. Who does not know the bit would write it.
inline constexpr std::uint64_t feature_write_protection = 8;  // incompatible

// Some volume is being formatted: all of it counts as zeros, whatever lies there. Who does not know
// the bit would serve it half zeroed.
inline constexpr std::uint64_t feature_formatting = 16;  // incompatible

struct LostRangeEntry {
  little_uint64_t sector;  // of 512 bytes
  little_uint32_t sectors;
};
static_assert(sizeof(LostRangeEntry) == 12 && alignof(LostRangeEntry) == 1);
inline constexpr std::size_t most_lost_ranges = 24;

// VolumeEntry::flags
inline constexpr std::uint32_t flag_reservations_persist = 1;
inline constexpr std::uint32_t flag_write_protected = 2;
inline constexpr std::uint32_t flag_formatting = 4;

enum class CacheBindingState : std::uint32_t {
  none = 0,   // the image is all there is
  clean = 1,  // the cache holds nothing that the image lacks
  dirty = 2,  // it may
};

struct VolumeEntry {
  little_uint32_t crc;    // CRC-32C of the struct with this field zero
  little_uint32_t state;  // VolumeEntryState
  std::array<std::byte, 16> uuid;
  little_uint64_t size_bytes;  // what hosts see; the image is at least as long
  little_uint32_t block_bytes;
  little_uint32_t provisioning;  // Provisioning
  little_uint64_t created_ms;
  little_uint16_t name_length;
  little_uint16_t image_length;
  std::array<char, 128> name;   // the rest zero
  std::array<char, 140> image;  // file name in the pool's directory; the rest zero
  // What the configuration asked for when a host's volume was last grown beyond it; 0: never was.
  little_uint64_t configured_bytes;
  std::array<std::byte, 16> cache_uuid;  // the cache device; nil unless clean or dirty
  little_uint64_t cache_epoch;  // of the last attachment; never goes back, never used again
  little_uint32_t cache_state;  // CacheBindingState
  little_uint32_t lost_count;
  std::array<LostRangeEntry, most_lost_ranges> lost;  // ascending, apart; the rest zero
  little_uint32_t flags;                              // who does not know one refuses the pool
  little_uint32_t reservation_type;                   // 0: none; 1 to 6: docs/reservations.md
  little_uint32_t registrants;                        // so many RegistrantEntry are this volume's
  // 1: a host's format has set the blocks, and the configuration does not say any more what they
  // are; 0: it does. Who does not know the field serves the volume when the configuration follows.
  little_uint32_t blocks_by_host;
  std::array<std::byte, 360> reserved;
};
static_assert(sizeof(VolumeEntry) == 1024 && alignof(VolumeEntry) == 1);
static_assert(offsetof(VolumeEntry, uuid) == 8 && offsetof(VolumeEntry, size_bytes) == 24);
static_assert(offsetof(VolumeEntry, block_bytes) == 32 && offsetof(VolumeEntry, created_ms) == 40);
static_assert(offsetof(VolumeEntry, name_length) == 48 && offsetof(VolumeEntry, name) == 52);
static_assert(offsetof(VolumeEntry, image) == 180 &&
              offsetof(VolumeEntry, configured_bytes) == 320);
static_assert(offsetof(VolumeEntry, cache_uuid) == 328 &&
              offsetof(VolumeEntry, cache_epoch) == 344);
static_assert(offsetof(VolumeEntry, cache_state) == 352 &&
              offsetof(VolumeEntry, lost_count) == 356);
static_assert(offsetof(VolumeEntry, lost) == 360 && offsetof(VolumeEntry, flags) == 648);
static_assert(offsetof(VolumeEntry, reservation_type) == 652);
static_assert(offsetof(VolumeEntry, registrants) == 656 &&
              offsetof(VolumeEntry, blocks_by_host) == 660);
static_assert(offsetof(VolumeEntry, reserved) == 664);
static_assert(std::is_trivially_copyable_v<VolumeEntry> && std::is_standard_layout_v<VolumeEntry>);

// Who is registered with a volume; behind the entries, in the order of the volumes and of
// registering.
struct RegistrantEntry {
  little_uint32_t crc;     // CRC-32C of the struct with this field zero
  little_uint32_t volume;  // number of its entry
  little_uint64_t key;     // not 0
  std::uint8_t kind;       // of what the identity is; not 0
  std::uint8_t holder;     // 1: of the reservation; else 0
  little_uint16_t port;    // part of the identity; 0: none
  little_uint16_t identity_length;
  std::array<std::byte, 4> reserved;
  std::array<std::byte, 230> identity;  // the rest zero
};
static_assert(sizeof(RegistrantEntry) == 256 && alignof(RegistrantEntry) == 1);
static_assert(offsetof(RegistrantEntry, volume) == 4 && offsetof(RegistrantEntry, key) == 8);
static_assert(offsetof(RegistrantEntry, kind) == 16 && offsetof(RegistrantEntry, holder) == 17);
static_assert(offsetof(RegistrantEntry, port) == 18);
static_assert(offsetof(RegistrantEntry, identity_length) == 20);
static_assert(offsetof(RegistrantEntry, identity) == 26);
static_assert(std::is_trivially_copyable_v<RegistrantEntry> &&
              std::is_standard_layout_v<RegistrantEntry>);

// IMAGE.marker is two of these, 4096 bytes apart: the same, or one of them not whole.
inline constexpr std::array<char, 8> backing_marker_magic{'F', 'B', 'Y', 'M', 'A', 'R', 'K', '\n'};
inline constexpr std::uint32_t backing_marker_version = 1;
// The journal beside the image completes it; who does not know the bit would take it for half done.
inline constexpr std::uint64_t feature_journalled = 1;  // incompatible
// It says what only the cache had then. Who does not know the bit writes markers that do not.
inline constexpr std::uint64_t feature_backlog = 1;  // compatible
struct BackingMarkerSlot {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> volume_uuid;
  std::array<std::byte, 16> cache_uuid;  // of the cache device; nil: none has written here yet
  little_uint64_t sequence;              // one more with every change; the highest counts
  little_uint32_t state;                 // BackingMark::State
  little_uint32_t slot;                  // 0 or 1
  little_uint64_t from;                  // ksets of the volume's log
  little_uint64_t to;
  little_uint64_t from_time_ms;  // since 1970-01-01 UTC
  little_uint64_t to_time_ms;
  little_uint64_t journal_offset;  // journalled, else 0: where in IMAGE.journal the batch lies
  little_uint64_t journal_bytes;
  little_uint64_t journal_epoch;  // of the cache's attachment
  // With feature_backlog, else 0: bytes of data that the image lacked, those of them that the
  // journal has, and when that was so.
  little_uint64_t backlog_bytes;
  little_uint64_t backlog_journalled;
  little_uint64_t backlog_time_ms;
  std::array<std::byte, 3928> reserved;
};
static_assert(sizeof(BackingMarkerSlot) == 4096 && alignof(BackingMarkerSlot) == 1);
static_assert(offsetof(BackingMarkerSlot, volume_uuid) == 40);
static_assert(offsetof(BackingMarkerSlot, cache_uuid) == 56);
static_assert(offsetof(BackingMarkerSlot, sequence) == 72);
static_assert(offsetof(BackingMarkerSlot, state) == 80 && offsetof(BackingMarkerSlot, slot) == 84);
static_assert(offsetof(BackingMarkerSlot, from) == 88 && offsetof(BackingMarkerSlot, to) == 96);
static_assert(offsetof(BackingMarkerSlot, from_time_ms) == 104);
static_assert(offsetof(BackingMarkerSlot, to_time_ms) == 112);
static_assert(offsetof(BackingMarkerSlot, journal_offset) == 120);
static_assert(offsetof(BackingMarkerSlot, journal_bytes) == 128);
static_assert(offsetof(BackingMarkerSlot, journal_epoch) == 136);
static_assert(offsetof(BackingMarkerSlot, backlog_bytes) == 144);
static_assert(offsetof(BackingMarkerSlot, backlog_journalled) == 152);
static_assert(offsetof(BackingMarkerSlot, backlog_time_ms) == 160);
static_assert(offsetof(BackingMarkerSlot, reserved) == 168);
static_assert(std::is_trivially_copyable_v<BackingMarkerSlot> &&
              std::is_standard_layout_v<BackingMarkerSlot>);

}  // namespace engine::format
