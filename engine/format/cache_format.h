// What lies on a cache device: docs/media-format.md in structs. All numbers little-endian; nothing
// is written that is not described there.
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
using boost::endian::little_uint48_t;
using boost::endian::little_uint64_t;

inline constexpr std::uint32_t cache_format_version = 1;
inline constexpr std::array<char, 8> cache_magic{'F', 'B', 'Y', 'C', 'A', 'C', 'H', 'E'};

// Places on the device are counted in sectors of 512 bytes: what a data place and a key mean by
// one.
inline constexpr std::uint64_t place_bytes = 512;
inline constexpr std::uint64_t superblock_bytes = 4096;
inline constexpr std::uint64_t entry_bytes = 64;

// At the very beginning of the device, and again in its last 4096 bytes.
struct CacheSuperblock {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> device_uuid;
  little_uint64_t sequence;      // one more with every change; the highest valid replica counts
  little_uint64_t created_ms;    // since 1970-01-01 UTC
  little_uint64_t device_bytes;  // what the format uses, from 0 to the end of the second superblock
  little_uint32_t segment_bytes;
  little_uint32_t segment_count;
  little_uint32_t segment_slots;  // entries that both segment tables have room for
  little_uint32_t volume_slots;
  little_uint32_t chunk_bytes;     // of a log chunk; divides segment_bytes
  little_uint32_t kset_alignment;  // 64, or 4096 on media of page granularity
  // Byte offsets of the replicas of both tables, and of segment 0.
  std::array<little_uint64_t, 2> volume_table;
  std::array<little_uint64_t, 2> segment_table;
  little_uint64_t segments;
  std::array<std::byte, 3952> reserved;
};
static_assert(sizeof(CacheSuperblock) == superblock_bytes && alignof(CacheSuperblock) == 1);
static_assert(offsetof(CacheSuperblock, crc) == 8 && offsetof(CacheSuperblock, version) == 12);
static_assert(offsetof(CacheSuperblock, features) == 16);
static_assert(offsetof(CacheSuperblock, device_uuid) == 40);
static_assert(offsetof(CacheSuperblock, sequence) == 56);
static_assert(offsetof(CacheSuperblock, created_ms) == 64);
static_assert(offsetof(CacheSuperblock, device_bytes) == 72);
static_assert(offsetof(CacheSuperblock, segment_bytes) == 80);
static_assert(offsetof(CacheSuperblock, kset_alignment) == 100);
static_assert(offsetof(CacheSuperblock, volume_table) == 104);
static_assert(offsetof(CacheSuperblock, segment_table) == 120);
static_assert(offsetof(CacheSuperblock, segments) == 136);
static_assert(std::is_trivially_copyable_v<CacheSuperblock> &&
              std::is_standard_layout_v<CacheSuperblock>);

// Bits of CacheSuperblock::features.incompatible.
inline constexpr std::uint64_t feature_payload_crc = 1;  // keys carry the CRC-32C of their data

// What a 64-byte entry is; part of its CRC, so that no entry is taken for another kind.
enum class EntryType : std::uint16_t {
  segment = 1,
  volume_identity = 2,
  volume_epoch = 3,
  volume_tails = 4,
  volume_binding = 5,
  chunk = 6,
};

// Begins every replicated 64-byte entry. The CRC-32C is of the device's UUID, then the entry's
// position (8 bytes, little-endian), then the entry with this field zero: an entry of another
// device, or one that was written to the wrong place, is not valid here. The position is the
// segment's index, the volume's slot, or the byte offset of the chunk. The replica with the higher
// sequence counts.
struct EntryHeader {
  little_uint32_t crc;
  little_uint16_t type;      // EntryType
  little_uint16_t flags;     // 0
  little_uint64_t sequence;  // one more with every change of the entry
};
static_assert(sizeof(EntryHeader) == 16 && alignof(EntryHeader) == 1);
static_assert(offsetof(EntryHeader, type) == 4 && offsetof(EntryHeader, flags) == 6);
static_assert(offsetof(EntryHeader, sequence) == 8);

enum class SegmentUse : std::uint32_t {
  free = 0,
  data = 1,  // of one volume
  log = 2,   // chunks of any volumes
};

// One for each segment, in both segment tables.
struct SegmentEntry {
  EntryHeader header;
  little_uint32_t use;         // SegmentUse
  little_uint32_t volume_tag;  // data: whose; else 0
  little_uint64_t generation;  // one more each time the segment becomes free
  std::array<std::byte, 32> reserved;
};
static_assert(sizeof(SegmentEntry) == entry_bytes && alignof(SegmentEntry) == 1);
static_assert(offsetof(SegmentEntry, use) == 16 && offsetof(SegmentEntry, volume_tag) == 20);
static_assert(offsetof(SegmentEntry, generation) == 24);

// A volume's slot in both volume tables: four entries, each replicated by itself.
enum class VolumeSlotState : std::uint32_t {
  free = 0,  // its tag stays, so that no tag is ever used twice
  attached = 1,
  leaving = 2,  // detached clean: its segments are being freed
};

struct VolumeIdentityEntry {
  EntryHeader header;
  std::array<std::byte, 16> volume_uuid;
  std::array<std::byte, 16> backing_uuid;
  little_uint64_t size_bytes;
  little_uint32_t state;       // VolumeSlotState
  little_uint32_t volume_tag;  // names the volume in segments, chunks and ksets; never used twice
};
static_assert(sizeof(VolumeIdentityEntry) == entry_bytes && alignof(VolumeIdentityEntry) == 1);
static_assert(offsetof(VolumeIdentityEntry, volume_uuid) == 16);
static_assert(offsetof(VolumeIdentityEntry, backing_uuid) == 32);
static_assert(offsetof(VolumeIdentityEntry, size_bytes) == 48);
static_assert(offsetof(VolumeIdentityEntry, state) == 56);
static_assert(offsetof(VolumeIdentityEntry, volume_tag) == 60);

// Written at every opening for writing, before the first chunk of the new epoch.
struct VolumeEpochEntry {
  EntryHeader header;
  little_uint64_t epoch;  // ksets from first_sequence on carry exactly this one
  little_uint64_t first_sequence;
  little_uint64_t first_chunk;    // ordinal of the first chunk of this epoch
  little_uint64_t known_durable;  // a lower bound of the log's end, from time to time
  little_uint64_t clean_end;  // the exact last sequence after a clean stop; else 0 (and if empty)
  little_uint64_t attach_epoch;  // of the binding when the log was opened
};
static_assert(sizeof(VolumeEpochEntry) == entry_bytes && alignof(VolumeEpochEntry) == 1);
static_assert(offsetof(VolumeEpochEntry, epoch) == 16);
static_assert(offsetof(VolumeEpochEntry, first_sequence) == 24);
static_assert(offsetof(VolumeEpochEntry, first_chunk) == 32);
static_assert(offsetof(VolumeEpochEntry, known_durable) == 40);
static_assert(offsetof(VolumeEpochEntry, clean_end) == 48);
static_assert(offsetof(VolumeEpochEntry, attach_epoch) == 56);

// Where the log begins to matter. Sequences name the last kset that does not: K (key_tail) has been
// forgotten, D (dirty_tail) is on the backing. K <= D <= target unless target is 0.
struct VolumeTailsEntry {
  EntryHeader header;
  little_uint64_t key_tail;
  little_uint64_t key_tail_chunk;  // ordinal of the chunk that holds kset key_tail + 1, or will
  little_uint64_t dirty_tail;
  little_uint64_t dirty_tail_chunk;    // the same for dirty_tail + 1
  little_uint64_t writeback_target;    // of the last batch that has begun; 0: none
  little_uint64_t consistent_time_ms;  // time of kset dirty_tail
};
static_assert(sizeof(VolumeTailsEntry) == entry_bytes && alignof(VolumeTailsEntry) == 1);
static_assert(offsetof(VolumeTailsEntry, key_tail) == 16);
static_assert(offsetof(VolumeTailsEntry, key_tail_chunk) == 24);
static_assert(offsetof(VolumeTailsEntry, dirty_tail) == 32);
static_assert(offsetof(VolumeTailsEntry, dirty_tail_chunk) == 40);
static_assert(offsetof(VolumeTailsEntry, writeback_target) == 48);
static_assert(offsetof(VolumeTailsEntry, consistent_time_ms) == 56);

enum class CacheMode : std::uint32_t {
  write_back = 1,
  write_through = 2,
  write_around = 3,
  pass_through = 4,
  read_only = 5,
};

// What the pool's record of this volume must say too.
struct VolumeBindingEntry {
  EntryHeader header;
  little_uint64_t attach_epoch;  // one more whenever the volume joins a device, this or another
  little_uint32_t mode;          // CacheMode
  little_uint32_t block_bytes;   // of the volume: 512 or 4096
  std::array<char, 32>
      name;  // for people who read the device without a configuration; cut, zero filled
};
static_assert(sizeof(VolumeBindingEntry) == entry_bytes && alignof(VolumeBindingEntry) == 1);
static_assert(offsetof(VolumeBindingEntry, attach_epoch) == 16);
static_assert(offsetof(VolumeBindingEntry, mode) == 24);
static_assert(offsetof(VolumeBindingEntry, block_bytes) == 28);
static_assert(offsetof(VolumeBindingEntry, name) == 32);

struct VolumeSlot {
  VolumeIdentityEntry identity;
  VolumeEpochEntry epoch;
  VolumeTailsEntry tails;
  VolumeBindingEntry binding;
};
static_assert(sizeof(VolumeSlot) == 256 && alignof(VolumeSlot) == 1);
static_assert(offsetof(VolumeSlot, epoch) == 64 && offsetof(VolumeSlot, tails) == 128);
static_assert(offsetof(VolumeSlot, binding) == 192);

// Begins a log chunk, in both of its copies. A chunk is a volume's iff a header is valid, its
// segment is a log segment of this generation, the tag is an attached volume's, and the ordinal is
// not below the tails' chunk. One valid header is enough to find both copies.
struct ChunkHeader {
  EntryHeader header;  // sequence: of the first kset that goes into the chunk
  little_uint32_t volume_tag;
  little_uint32_t segment_generation;  // the low half
  little_uint64_t ordinal;             // counts the volume's chunks from 1
  little_uint64_t epoch;               // of all its ksets
  little_uint64_t other_copy;          // byte offset of the chunk's other copy, in another segment
  little_uint32_t other_generation;    // of that segment, the low half
  little_uint16_t copy;                // 0 or 1: which of the two this is
  std::array<std::byte, 10> reserved;
};
static_assert(sizeof(ChunkHeader) == entry_bytes && alignof(ChunkHeader) == 1);
static_assert(offsetof(ChunkHeader, volume_tag) == 16);
static_assert(offsetof(ChunkHeader, segment_generation) == 20);
static_assert(offsetof(ChunkHeader, ordinal) == 24 && offsetof(ChunkHeader, epoch) == 32);
static_assert(offsetof(ChunkHeader, other_copy) == 40);
static_assert(offsetof(ChunkHeader, other_generation) == 48);
static_assert(offsetof(ChunkHeader, copy) == 52 && offsetof(ChunkHeader, reserved) == 54);

inline constexpr std::uint16_t kset_magic = 0x4b46;  // "FK"
inline constexpr std::size_t most_keys = 128;

// A set of keys that counts as a whole or not at all; followed by `keys` keys.
struct KsetHeader {
  // CRC-32C of the device's UUID, then header (with this field zero) and keys.
  little_uint32_t crc;
  little_uint16_t magic;
  little_uint16_t keys;  // 1..most_keys
  little_uint32_t volume_tag;
  little_uint32_t epoch;     // of its chunk, the low half
  little_uint64_t sequence;  // exactly one more than the kset before
  little_uint64_t time_ms;   // never before the kset before
};
static_assert(sizeof(KsetHeader) == 32 && alignof(KsetHeader) == 1);
static_assert(offsetof(KsetHeader, magic) == 4 && offsetof(KsetHeader, keys) == 6);
static_assert(offsetof(KsetHeader, volume_tag) == 8 && offsetof(KsetHeader, epoch) == 12);
static_assert(offsetof(KsetHeader, sequence) == 16 && offsetof(KsetHeader, time_ms) == 24);

enum class KeyKind : std::uint8_t {
  data = 1,   // dirty: a host's write
  zero = 2,   // dirty: reads return zeros; no place
  clean = 3,  // data that the backing has too: a read fill, or a live clean extent logged again
  invalidate = 4,  // the backing counts from here on; no place
};

// A flag of zero keys: the backing may give the space back. Else it stays allocated.
inline constexpr std::uint8_t key_gives_back = 1;

struct Key {
  little_uint64_t sector;   // first of the volume, in 512 bytes
  little_uint32_t sectors;  // 1 or more; data and clean: at most one segment
  little_uint32_t
      crc;  // payload CRC: up to 4096 bytes, of the data; beyond, of the array before it
  little_uint48_t
      place;           // data, clean: of the data, in 512 bytes from the device's beginning; else 0
  std::uint8_t kind;   // KeyKind
  std::uint8_t flags;  // key_gives_back, or 0
  little_uint32_t generation;  // of the segment, the low half; 0 without a place
  little_uint32_t reserved;
};
static_assert(sizeof(Key) == 32 && alignof(Key) == 1);
static_assert(offsetof(Key, sectors) == 8 && offsetof(Key, crc) == 12);
static_assert(offsetof(Key, place) == 16 && offsetof(Key, kind) == 22);
static_assert(offsetof(Key, flags) == 23 && offsetof(Key, generation) == 24);
static_assert(offsetof(Key, reserved) == 28);
static_assert(std::is_trivially_copyable_v<Key> && std::is_standard_layout_v<Key>);

}  // namespace engine::format
