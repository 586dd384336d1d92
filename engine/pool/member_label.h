// MemberLabel: what makes a disk, or a file, a member of a device pool. docs/pool-format.md,
// "Device pool".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/uuid.h"
#include "engine/pool/extent_map.h"
#include "engine/pool/pool_error.h"

namespace engine {

// The beginning of each member, up to its data: the label, the table's two slots, places for
// markers, and the label again.
struct LabelArea {
  ByteCount bytes = 32_MiB;
  ByteCount slot_bytes = 6_MiB;
  std::uint32_t marker_places = 2048;  // so many volumes the pool may have

  [[nodiscard]] MediaOffset first_label() const { return {0}; }
  [[nodiscard]] MediaOffset slot(std::size_t number) const {
    return {format::label_block_bytes + number * slot_bytes.value};
  }
  // Two blocks of 4096 bytes.
  [[nodiscard]] MediaOffset marker(std::uint32_t place) const {
    return slot(2) + ByteCount{place * format::marker_place_bytes};
  }
  [[nodiscard]] MediaOffset second_label() const {
    return {bytes.value - format::label_block_bytes};
  }
  friend bool operator==(const LabelArea&, const LabelArea&) = default;
};

struct MemberLabel {
  Uuid pool;
  Uuid member;
  std::uint64_t created_ms = 0;  // since 1970-01-01 UTC
  std::uint32_t index = 0;
  std::uint32_t members = 1;  // of the pool, when this became one of them
  format::MemberLayout layout = format::MemberLayout::single;
  ByteCount chunk{};  // of a stripe, else zero
  ByteCount slice = 4_MiB;
  LabelArea area{};
  std::uint64_t slices = 0;  // that it has of data

  // How long the member is, at least.
  [[nodiscard]] ByteCount end() const { return {area.bytes.value + slices * slice.value}; }
  // The same pool cut in the same way: what all members' labels say alike.
  [[nodiscard]] bool is_beside(const MemberLabel& other) const;
  friend bool operator==(const MemberLabel&, const MemberLabel&) = default;
};

[[nodiscard]] bool valid(const MemberLabel& label);

[[nodiscard]] std::vector<std::byte> encode(const MemberLabel& label);
// Whether a block looks like a label, be it whole or not.
[[nodiscard]] bool begins_as_member_label(std::span<const std::byte> block);
// Errors: not_labelled (no such magic), damaged (length, CRC, contents), unsupported (version,
// features).
[[nodiscard]] Result<MemberLabel, PoolError> decode_member_label(std::span<const std::byte> block);

}  // namespace engine
