// What the tests of device pools share: small pools over simulated disks, and what hosts have
// written to their volumes.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/device_pool.h"
#include "tests/engine/pool/sim_members.h"

namespace engine {

inline constexpr ByteCount sim_slice = 64_KiB;
inline constexpr LabelArea small_area{.bytes = 128_KiB, .slot_bytes = 20_KiB, .marker_places = 8};
inline const InitPermission any_content{.content = true, .pools = {}};

inline DevicePoolForm small_form(format::MemberLayout layout) {
  return {.layout = layout, .chunk = 16_KiB, .slice = sim_slice, .area = small_area};
}

// `slices` of data on each of so many disks.
inline void add_disks(SimDisks& disks, std::size_t count, std::uint64_t slices) {
  for (std::size_t at = 0; at < count; ++at) {
    disks.add({small_area.bytes.value + slices * sim_slice.value});
  }
}

// The bytes of a volume from `begin` to `end`, piece by piece as they lie on the disks: what hosts
// would read or have written durably.
template <class Visitor>
void visit_pieces(SimDisks& disks, const DevicePool& pool, const VolumeRecord& volume,
                  std::uint64_t begin, std::uint64_t end, Visitor&& visit) {
  if (begin >= end) return;
  const ExtentMap map = pool.extent_map(volume);
  map.for_each_piece({begin}, {end - begin}, [&](MediaOffset, const ExtentPiece& piece) {
    for (const auto& disk : disks.disks) {
      if (disk->path != pool.member(piece.member).path) continue;
      visit(std::span(disk->bytes).subspan(piece.offset.value, piece.length.value));
    }
  });
}

inline void fill_volume(SimDisks& disks, const DevicePool& pool, const VolumeRecord& volume,
                        std::byte value) {
  visit_pieces(disks, pool, volume, 0, volume.size.value,
               [&](std::span<std::byte> bytes) { std::ranges::fill(bytes, value); });
}

inline bool holds_only(SimDisks& disks, const DevicePool& pool, const VolumeRecord& volume,
                       std::uint64_t begin, std::uint64_t end, std::byte value) {
  bool all = true;
  visit_pieces(disks, pool, volume, begin, end, [&](std::span<std::byte> bytes) {
    all = all && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0 &&
          bytes.front() == value;
  });
  return all;
}

inline const VolumeRecord* volume_called(const Pool& pool, const std::string& name) {
  for (const VolumeRecord& record : pool.volumes()) {
    if (record.name == name) return &record;
  }
  return nullptr;
}

}  // namespace engine
