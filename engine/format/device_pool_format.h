// What a device pool keeps on each of its members, in front of the data: docs/pool-format.md,
// "Device pool", in structs. All numbers little-endian.
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

// How the members make one address space.
enum class MemberLayout : std::uint32_t {
  single = 1,  // one member
  linear = 2,  // one behind the other
  stripe = 3,  // chunk by chunk in turn
};

inline constexpr std::size_t most_members = 64;
inline constexpr std::uint64_t least_chunk_bytes = std::uint64_t{4} << 10;  // powers of two
inline constexpr std::uint64_t most_chunk_bytes = std::uint64_t{16} << 20;
inline constexpr std::uint64_t least_slice_bytes = std::uint64_t{64} << 10;
inline constexpr std::uint64_t most_slice_bytes = std::uint64_t{1} << 30;
// No member is longer: 64 of them stay within 2^62.
inline constexpr std::uint64_t most_member_bytes = std::uint64_t{1} << 56;

// Everything in the label area is a multiple of this.
inline constexpr std::uint64_t label_block_bytes = 4096;
inline constexpr std::uint64_t most_label_area_bytes = std::uint64_t{1} << 30;
inline constexpr std::uint32_t most_marker_places = 65536;
inline constexpr std::uint64_t marker_place_bytes = 8192;  // two of BackingMarkerSlot

inline constexpr std::uint32_t device_pool_version = 1;
inline constexpr std::array<char, 8> member_label_magic{'F', 'B', 'Y', 'M', 'E', 'M', 'B', '\n'};
inline constexpr std::array<char, 8> device_table_magic{'F', 'B', 'Y', 'D', 'E', 'V', 'T', '\n'};

// The first and the last block of a member's label area: written once, when it becomes one.
struct MemberLabel {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> pool_uuid;
  std::array<std::byte, 16> member_uuid;
  little_uint64_t created_ms;  // since 1970-01-01 UTC
  little_uint32_t index;       // of this member
  little_uint32_t members;     // of the pool, when this became one of them
  little_uint32_t layout;      // MemberLayout
  little_uint32_t marker_places;
  little_uint64_t chunk_bytes;  // of a stripe, else 0
  little_uint64_t slice_bytes;
  little_uint64_t label_area_bytes;  // data begins there
  little_uint64_t slot_bytes;        // of each of the two table slots
  little_uint64_t slices;            // that this member has of data
  std::array<std::byte, 3960> reserved;
};
static_assert(sizeof(MemberLabel) == 4096 && alignof(MemberLabel) == 1);
static_assert(offsetof(MemberLabel, crc) == 8 && offsetof(MemberLabel, version) == 12);
static_assert(offsetof(MemberLabel, features) == 16 && offsetof(MemberLabel, pool_uuid) == 40);
static_assert(offsetof(MemberLabel, member_uuid) == 56 && offsetof(MemberLabel, created_ms) == 72);
static_assert(offsetof(MemberLabel, index) == 80 && offsetof(MemberLabel, members) == 84);
static_assert(offsetof(MemberLabel, layout) == 88 && offsetof(MemberLabel, marker_places) == 92);
static_assert(offsetof(MemberLabel, chunk_bytes) == 96 &&
              offsetof(MemberLabel, slice_bytes) == 104);
static_assert(offsetof(MemberLabel, label_area_bytes) == 112 &&
              offsetof(MemberLabel, slot_bytes) == 120);
static_assert(offsetof(MemberLabel, slices) == 128 && offsetof(MemberLabel, reserved) == 136);
static_assert(std::is_trivially_copyable_v<MemberLabel> && std::is_standard_layout_v<MemberLabel>);

// Starts each replica of the table. The body follows: `members` of DeviceMemberEntry, `volumes` of
// DeviceVolumeEntry, `runs` of DeviceRunEntry, and a volume table (pool_format.h) of as many
// entries as `volumes` says, in the same order; zeros up to a whole block.
// The volume table has registrants behind its entries. Who does not know the bit would not find its
// end.
inline constexpr std::uint64_t feature_device_registrants = 1;  // incompatible
// The table was written without one of its members (DeviceMemberEntry::absent_from). Who does not
// know the bit would take that one's older table for a sign of the wrong disk.
inline constexpr std::uint64_t feature_device_absent = 2;  // incompatible

struct DeviceTableHeader {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> pool_uuid;  // of the label before it
  little_uint64_t sequence;             // one more with every change; the highest valid one counts
  little_uint64_t previous;  // the highest that was whole on every member before this was begun
  little_uint32_t members;
  little_uint32_t volumes;
  little_uint32_t runs;
  little_uint32_t body_crc;     // CRC-32C of the body without the zeros at its end
  little_uint64_t body_bytes;   // without them
  little_uint32_t registrants;  // in the volume table: of all volumes
  // 0: this one says something else of volumes or disks than the one before. Else the number of the
  // last that did; since then it has only changed which members are there.
  little_uint64_t changed;
  std::array<std::byte, 3988> reserved;
};
static_assert(sizeof(DeviceTableHeader) == 4096 && alignof(DeviceTableHeader) == 1);
static_assert(offsetof(DeviceTableHeader, pool_uuid) == 40);
static_assert(offsetof(DeviceTableHeader, sequence) == 56 &&
              offsetof(DeviceTableHeader, previous) == 64);
static_assert(offsetof(DeviceTableHeader, members) == 72 &&
              offsetof(DeviceTableHeader, volumes) == 76);
static_assert(offsetof(DeviceTableHeader, runs) == 80 &&
              offsetof(DeviceTableHeader, body_crc) == 84);
static_assert(offsetof(DeviceTableHeader, body_bytes) == 88 &&
              offsetof(DeviceTableHeader, registrants) == 96);
static_assert(offsetof(DeviceTableHeader, changed) == 100);
static_assert(std::is_trivially_copyable_v<DeviceTableHeader> &&
              std::is_standard_layout_v<DeviceTableHeader>);

// One for each member, by its index. Path and serial are for messages alone.
struct DeviceMemberEntry {
  std::array<std::byte, 16> uuid;
  little_uint64_t slices;
  little_uint64_t added_ms;  // since 1970-01-01 UTC
  little_uint16_t path_length;
  little_uint16_t serial_length;
  std::array<std::byte, 4> reserved_before_path;
  std::array<char, 256> path;    // that it had last; printable, the rest zero
  std::array<char, 128> serial;  // the same
  // 0: every table is written to it. Else it was not there when this one was: tables from this
  // number on may be missing on it; and the number of the table from which the others went on.
  little_uint64_t absent_from;
  little_uint64_t absent_at;
  std::array<std::byte, 72> reserved;
};
static_assert(sizeof(DeviceMemberEntry) == 512 && alignof(DeviceMemberEntry) == 1);
static_assert(offsetof(DeviceMemberEntry, slices) == 16 &&
              offsetof(DeviceMemberEntry, added_ms) == 24);
static_assert(offsetof(DeviceMemberEntry, path_length) == 32 &&
              offsetof(DeviceMemberEntry, path) == 40);
static_assert(offsetof(DeviceMemberEntry, serial) == 296 &&
              offsetof(DeviceMemberEntry, absent_from) == 424 &&
              offsetof(DeviceMemberEntry, absent_at) == 432);
static_assert(std::is_trivially_copyable_v<DeviceMemberEntry> &&
              std::is_standard_layout_v<DeviceMemberEntry>);

// What the volume table does not say of a volume.
struct DeviceVolumeEntry {
  little_uint32_t marker_member;  // index of the member whose label area has its marker
  little_uint32_t marker_place;   // number of the place there
  little_uint64_t zeroed_units;   // so many of its units, from the first, have been zeroed
};
static_assert(sizeof(DeviceVolumeEntry) == 16 && alignof(DeviceVolumeEntry) == 1);
static_assert(offsetof(DeviceVolumeEntry, zeroed_units) == 8);
static_assert(std::is_trivially_copyable_v<DeviceVolumeEntry> &&
              std::is_standard_layout_v<DeviceVolumeEntry>);

enum class DeviceRunKind : std::uint32_t { data = 1 };

// In the order of the volumes, and of the units in each.
struct DeviceRunEntry {
  little_uint32_t volume;  // number of its entry
  little_uint32_t kind;    // DeviceRunKind
  little_uint64_t volume_unit;
  little_uint64_t pool_unit;
  little_uint64_t units;
};
static_assert(sizeof(DeviceRunEntry) == 32 && alignof(DeviceRunEntry) == 1);
static_assert(offsetof(DeviceRunEntry, volume_unit) == 8 &&
              offsetof(DeviceRunEntry, pool_unit) == 16);
static_assert(offsetof(DeviceRunEntry, units) == 24);
static_assert(std::is_trivially_copyable_v<DeviceRunEntry> &&
              std::is_standard_layout_v<DeviceRunEntry>);

}  // namespace engine::format
