// Sense data: why a command ended with CHECK CONDITION (SPC-4, "Sense data"), as a plain value and
// in the two encodings that a host may choose with D_SENSE.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/foundation/result.h"

namespace protocol::scsi {

enum class SenseKey : std::uint8_t {
  no_sense = 0x0,
  recovered_error = 0x1,
  not_ready = 0x2,
  medium_error = 0x3,
  hardware_error = 0x4,
  illegal_request = 0x5,
  unit_attention = 0x6,
  data_protect = 0x7,
  blank_check = 0x8,
  vendor_specific = 0x9,
  copy_aborted = 0xa,
  aborted_command = 0xb,
  volume_overflow = 0xd,
  miscompare = 0xe,
  completed = 0xf,
};

// ASC and ASCQ (SPC-4, annex "Additional sense codes").
struct SenseCode {
  std::uint8_t asc = 0;
  std::uint8_t ascq = 0;
  friend constexpr bool operator==(SenseCode, SenseCode) = default;
};

// Which field of the CDB or of the parameter list is wrong (SPC-4, "Field pointer sense key
// specific data").
struct FieldPointer {
  bool in_cdb = true;
  std::uint16_t byte = 0;
  std::optional<std::uint8_t> bit{};  // 0..7, where the field is less than a byte
  friend constexpr bool operator==(const FieldPointer&, const FieldPointer&) = default;
};

struct Sense {
  SenseKey key = SenseKey::no_sense;
  SenseCode code{};
  // INFORMATION: a block address for medium errors; for a miscompare the offset of the first byte
  // that differs in the data that the host sent.
  std::optional<std::uint64_t> information{};
  // At most one of the next two.
  std::optional<FieldPointer> field{};      // with illegal_request only
  std::optional<std::uint16_t> progress{};  // of 65536; with no_sense and not_ready only

  friend constexpr bool operator==(const Sense&, const Sense&) = default;

  [[nodiscard]] constexpr Sense with_information(std::uint64_t value) const {
    Sense copy = *this;
    copy.information = value;
    return copy;
  }
  // The same key and code, whatever the details say.
  [[nodiscard]] constexpr bool is(const Sense& other) const {
    return key == other.key && code == other.code;
  }
};

template <class T>
using Parsed = engine::Result<T, Sense>;

// What is answered here. Unit attentions are among them: a UNIT ATTENTION is an ordinary Sense.
namespace sense {
inline constexpr Sense none{};
inline constexpr Sense not_ready_becoming_ready{SenseKey::not_ready, {0x04, 0x01}};
inline constexpr Sense not_ready_stopped{SenseKey::not_ready, {0x04, 0x02}};  // START UNIT needed
inline constexpr Sense not_ready_manual{SenseKey::not_ready, {0x04, 0x03}};
inline constexpr Sense not_ready_format{SenseKey::not_ready, {0x04, 0x04}};
inline constexpr Sense not_ready_access_transition{SenseKey::not_ready, {0x04, 0x0a}};
inline constexpr Sense not_ready_target_port_unavailable{SenseKey::not_ready, {0x04, 0x0c}};
inline constexpr Sense not_ready_not_accessible{SenseKey::not_ready, {0x04, 0x00}};
inline constexpr Sense write_error{SenseKey::medium_error, {0x03, 0x00}};
inline constexpr Sense unrecovered_read_error{SenseKey::medium_error, {0x11, 0x00}};
inline constexpr Sense unreachable_copy_target{SenseKey::copy_aborted, {0x08, 0x04}};
inline constexpr Sense copy_target_not_reachable{SenseKey::copy_aborted, {0x0d, 0x02}};
inline constexpr Sense copy_third_party_failure{SenseKey::copy_aborted, {0x0d, 0x01}};
inline constexpr Sense inexact_copy_segment{SenseKey::copy_aborted, {0x26, 0x0a}};
inline constexpr Sense parameter_list_length_error{SenseKey::illegal_request, {0x1a, 0x00}};
inline constexpr Sense miscompare{SenseKey::miscompare, {0x1d, 0x00}};
inline constexpr Sense invalid_opcode{SenseKey::illegal_request, {0x20, 0x00}};
inline constexpr Sense lba_out_of_range{SenseKey::illegal_request, {0x21, 0x00}};
inline constexpr Sense invalid_field_in_cdb{SenseKey::illegal_request, {0x24, 0x00}};
inline constexpr Sense unit_not_supported{SenseKey::illegal_request, {0x25, 0x00}};
inline constexpr Sense invalid_field_in_list{SenseKey::illegal_request, {0x26, 0x00}};
inline constexpr Sense invalid_release{SenseKey::illegal_request, {0x26, 0x04}};
inline constexpr Sense too_many_copy_targets{SenseKey::illegal_request, {0x26, 0x06}};
inline constexpr Sense unsupported_copy_target_type{SenseKey::illegal_request, {0x26, 0x07}};
inline constexpr Sense too_many_copy_segments{SenseKey::illegal_request, {0x26, 0x08}};
inline constexpr Sense unsupported_copy_segment_type{SenseKey::illegal_request, {0x26, 0x09}};
inline constexpr Sense copy_inline_data_too_long{SenseKey::illegal_request, {0x26, 0x0b}};
inline constexpr Sense write_protected{SenseKey::data_protect, {0x27, 0x00}};
inline constexpr Sense software_write_protected{SenseKey::data_protect, {0x27, 0x02}};
inline constexpr Sense space_allocation_failed{SenseKey::data_protect, {0x27, 0x07}};
inline constexpr Sense command_sequence_error{SenseKey::illegal_request, {0x2c, 0x00}};
inline constexpr Sense saving_not_supported{SenseKey::illegal_request, {0x39, 0x00}};
inline constexpr Sense internal_target_failure{SenseKey::hardware_error, {0x44, 0x00}};
inline constexpr Sense overlapped_commands{SenseKey::aborted_command, {0x4e, 0x00}};
inline constexpr Sense data_phase_error{SenseKey::aborted_command, {0x4b, 0x00}};
inline constexpr Sense insufficient_resources{SenseKey::illegal_request, {0x55, 0x03}};
inline constexpr Sense insufficient_registration_resources{SenseKey::illegal_request, {0x55, 0x04}};
inline constexpr Sense medium_removal_prevented{SenseKey::illegal_request, {0x53, 0x02}};
inline constexpr Sense set_target_port_groups_failed{SenseKey::hardware_error, {0x67, 0x0a}};

inline constexpr Sense power_on{SenseKey::unit_attention, {0x29, 0x01}};
inline constexpr Sense power_on_or_reset{SenseKey::unit_attention, {0x29, 0x00}};
inline constexpr Sense bus_reset{SenseKey::unit_attention, {0x29, 0x02}};
inline constexpr Sense device_reset_by_function{SenseKey::unit_attention, {0x29, 0x03}};
inline constexpr Sense nexus_loss{SenseKey::unit_attention, {0x29, 0x07}};
inline constexpr Sense mode_parameters_changed{SenseKey::unit_attention, {0x2a, 0x01}};
inline constexpr Sense reservations_preempted{SenseKey::unit_attention, {0x2a, 0x03}};
inline constexpr Sense reservations_released{SenseKey::unit_attention, {0x2a, 0x04}};
inline constexpr Sense registrations_preempted{SenseKey::unit_attention, {0x2a, 0x05}};
inline constexpr Sense asymmetric_access_changed{SenseKey::unit_attention, {0x2a, 0x06}};
inline constexpr Sense capacity_changed{SenseKey::unit_attention, {0x2a, 0x09}};
inline constexpr Sense commands_cleared_by_other{SenseKey::unit_attention, {0x2f, 0x00}};
inline constexpr Sense thin_soft_threshold{SenseKey::unit_attention, {0x38, 0x07}};
inline constexpr Sense inquiry_data_changed{SenseKey::unit_attention, {0x3f, 0x03}};
inline constexpr Sense luns_changed{SenseKey::unit_attention, {0x3f, 0x0e}};

// With the place of the field.
constexpr Sense invalid_cdb(std::uint16_t byte, std::optional<std::uint8_t> bit = {}) {
  Sense made = invalid_field_in_cdb;
  made.field = FieldPointer{.in_cdb = true, .byte = byte, .bit = bit};
  return made;
}
constexpr Sense invalid_list(std::size_t byte, std::optional<std::uint8_t> bit = {}) {
  Sense made = invalid_field_in_list;
  made.field = FieldPointer{.in_cdb = false, .byte = static_cast<std::uint16_t>(byte), .bit = bit};
  return made;
}
}  // namespace sense

enum class SenseFormat : std::uint8_t { fixed, descriptor };

inline constexpr std::size_t max_sense_bytes = 28;

struct SenseBytes {
  std::array<std::byte, max_sense_bytes> storage{};
  std::uint8_t size = 0;
  [[nodiscard]] std::span<const std::byte> span() const { return std::span(storage).first(size); }
};

// Current errors: response code 70h or 72h. Fixed: 18 bytes, VALID only for an INFORMATION of 32
// bits or less (SPC-4, "Fixed format sense data"); descriptor: 8 bytes and a descriptor for each
// detail (types 00h and 02h).
[[nodiscard]] SenseBytes encode_sense(const Sense& sense, SenseFormat format);

// For log lines: "illegal request", "invalid field in CDB"; "unnamed additional sense" for codes
// that are not in this file.
[[nodiscard]] std::string_view name_of(SenseKey key);
[[nodiscard]] std::string_view name_of(SenseCode code);

}  // namespace protocol::scsi
