// The one data pointer an NVMe/TCP command may carry: data in its own capsule, or data the
// transport moves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/refusal.h"

namespace protocol::nvme {

// SGL Data Block (0h), Offset subtype (1h): `length` bytes at `offset` in the data of the command
// capsule.
struct InCapsuleData {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  friend constexpr bool operator==(InCapsuleData, InCapsuleData) = default;
};
// Transport SGL Data Block (5h), transport specific subtype (Ah): R2T/H2CData or C2HData move it.
struct TransportData {
  std::uint32_t length = 0;
  friend constexpr bool operator==(TransportData, TransportData) = default;
};
using DataPointer = std::variant<InCapsuleData, TransportData>;

inline constexpr std::uint8_t sgl_in_capsule = 0x01;
inline constexpr std::uint8_t sgl_transport = 0x5a;

[[nodiscard]] inline engine::ByteCount length_of(const DataPointer& data) {
  if (const auto* inside = std::get_if<InCapsuleData>(&data)) return {inside->length};
  return {std::get<TransportData>(data).length};
}

// The descriptor without PSDT (Fabrics commands have none: byte 1 is reserved there).
// Errors: sgl_descriptor_type_invalid for every other type or subtype, invalid_field for in-capsule
// data of a command that sends data to the host.
[[nodiscard]] inline Parsed<DataPointer> parse_sgl(const SglDescriptor& sgl,
                                                   TransferDirection direction) {
  if (sgl.identifier == sgl_transport) return DataPointer{TransportData{sgl.length}};
  if (sgl.identifier != sgl_in_capsule) {
    return Refusal{status::sgl_descriptor_type_invalid, at_byte(39)};
  }
  if (direction != TransferDirection::host_to_controller) {
    return Refusal{status::invalid_field, at_byte(39)};
  }
  return DataPointer{InCapsuleData{sgl.address, sgl.length}};
}

// PSDT and descriptor of an Admin or I/O command that moves data. PRPs (00b), metadata by SGL (10b,
// not supported: SGLS bit 19) and 11b are invalid_field.
[[nodiscard]] inline Parsed<DataPointer> parse_data_pointer(const SubmissionEntry& entry,
                                                            TransferDirection direction) {
  if (entry.psdt() != psdt_sgl) return Refusal{status::invalid_field, at_byte(1, 6)};
  return parse_sgl(entry.data_pointer, direction);
}

// The command's bytes within its capsule's data; views `capsule_data`.
// Error: sgl_offset_invalid when they are not all there.
[[nodiscard]] inline Parsed<std::span<const std::byte>> in_capsule_bytes(
    InCapsuleData data, std::span<const std::byte> capsule_data) {
  if (data.offset > capsule_data.size() || data.length > capsule_data.size() - data.offset) {
    return Refusal{status::sgl_offset_invalid, at_byte(24)};
  }
  return capsule_data.subspan(static_cast<std::size_t>(data.offset), data.length);
}

// For commands whose length is fixed by other fields (blocks, ranges): the SGL must describe at
// least `needed` bytes, else data_sgl_length_invalid. Longer is legal (SGLS bit 18): Linux
// describes 4096 bytes for a Dataset Management of one range.
[[nodiscard]] inline Parsed<void> check_data_length(const DataPointer& data,
                                                    engine::ByteCount needed) {
  if (length_of(data) < needed) return Refusal{status::data_sgl_length_invalid, at_byte(32)};
  return engine::success();
}

}  // namespace protocol::nvme
