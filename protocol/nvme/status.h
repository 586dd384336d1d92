// What a completion says: status code type, code, Do Not Retry. The constants carry the DNR bit
// that fits their meaning: set when the same command would fail again, clear when a host should
// retry or fail over.
#pragma once

#include <cstdint>
#include <string_view>

namespace protocol::nvme {

// SCT (Base 2.1, "Status Code Type").
enum class StatusCodeType : std::uint8_t {
  generic = 0,
  command_specific = 1,
  media = 2,
  path = 3,
  vendor = 7,
};

struct Status {
  StatusCodeType type = StatusCodeType::generic;
  std::uint8_t code = 0;
  bool do_not_retry = false;
  bool more = false;  // the Error Information log page has an entry about this command
  // CRD, 0..3: a retry should wait for so long: 0 not at all, 1..3 CRDT1..3 of Identify Controller.
  // Only for hosts that have enabled it (ACRE).
  std::uint8_t retry_delay = 0;

  friend constexpr bool operator==(Status, Status) = default;

  [[nodiscard]] constexpr bool is_success() const {
    return type == StatusCodeType::generic && code == 0;
  }
  // The same SCT and SC, whatever DNR and More say.
  [[nodiscard]] constexpr bool is(Status other) const {
    return type == other.type && code == other.code;
  }
  [[nodiscard]] constexpr Status with_more() const {
    return {type, code, do_not_retry, true, retry_delay};
  }
  [[nodiscard]] constexpr Status with_do_not_retry(bool dnr) const {
    return {type, code, dnr, more, retry_delay};
  }
  [[nodiscard]] constexpr Status with_retry_delay(std::uint8_t delay) const {
    return {type, code, do_not_retry, more, delay};
  }

  // Bytes 14..15 of a completion: P (bit 0, always 0 in Fabrics), SC 8:1, SCT 11:9, CRD 13:12,
  // M 14, DNR 15.
  [[nodiscard]] constexpr std::uint16_t field() const {
    return static_cast<std::uint16_t>((unsigned{code} << 1) | (static_cast<unsigned>(type) << 9) |
                                      ((retry_delay & 3u) << 12) | (more ? 0x4000u : 0u) |
                                      (do_not_retry ? 0x8000u : 0u));
  }
  [[nodiscard]] static constexpr Status from_field(std::uint16_t field) {
    return {static_cast<StatusCodeType>((field >> 9) & 7u), static_cast<std::uint8_t>(field >> 1),
            (field & 0x8000u) != 0, (field & 0x4000u) != 0,
            static_cast<std::uint8_t>((field >> 12) & 3u)};
  }
};

// "Invalid Field in Command" for logs; "status 1h/83h" style text is the caller's. Empty if we
// never send it.
[[nodiscard]] std::string_view name_of(Status status);

namespace status {
namespace detail {
constexpr Status final_status(StatusCodeType type, std::uint8_t code) { return {type, code, true}; }
constexpr Status retryable(StatusCodeType type, std::uint8_t code) { return {type, code}; }
}  // namespace detail

// Generic (SCT 0h).
inline constexpr Status success{};
inline constexpr Status invalid_opcode = detail::final_status(StatusCodeType::generic, 0x01);
inline constexpr Status invalid_field = detail::final_status(StatusCodeType::generic, 0x02);
inline constexpr Status command_id_conflict = detail::final_status(StatusCodeType::generic, 0x03);
inline constexpr Status data_transfer_error = detail::retryable(StatusCodeType::generic, 0x04);
inline constexpr Status internal_error = detail::retryable(StatusCodeType::generic, 0x06);
inline constexpr Status abort_requested = detail::retryable(StatusCodeType::generic, 0x07);
inline constexpr Status aborted_queue_deleted = detail::retryable(StatusCodeType::generic, 0x08);
inline constexpr Status aborted_failed_fused = detail::final_status(StatusCodeType::generic, 0x09);
inline constexpr Status aborted_missing_fused = detail::final_status(StatusCodeType::generic, 0x0a);
inline constexpr Status invalid_namespace = detail::final_status(StatusCodeType::generic, 0x0b);
inline constexpr Status command_sequence_error =
    detail::final_status(StatusCodeType::generic, 0x0c);
inline constexpr Status invalid_sgl_segment_descriptor =
    detail::final_status(StatusCodeType::generic, 0x0d);
inline constexpr Status invalid_number_of_sgl_descriptors =
    detail::final_status(StatusCodeType::generic, 0x0e);
inline constexpr Status data_sgl_length_invalid =
    detail::final_status(StatusCodeType::generic, 0x0f);
inline constexpr Status metadata_sgl_length_invalid =
    detail::final_status(StatusCodeType::generic, 0x10);
inline constexpr Status sgl_descriptor_type_invalid =
    detail::final_status(StatusCodeType::generic, 0x11);
inline constexpr Status operation_denied = detail::final_status(StatusCodeType::generic, 0x15);
inline constexpr Status sgl_offset_invalid = detail::final_status(StatusCodeType::generic, 0x16);
inline constexpr Status host_identifier_inconsistent =
    detail::final_status(StatusCodeType::generic, 0x18);
inline constexpr Status keep_alive_expired = detail::retryable(StatusCodeType::generic, 0x19);
inline constexpr Status keep_alive_invalid = detail::final_status(StatusCodeType::generic, 0x1a);
inline constexpr Status aborted_preempted = detail::final_status(StatusCodeType::generic, 0x1b);
inline constexpr Status sgl_granularity_invalid =
    detail::final_status(StatusCodeType::generic, 0x1e);
inline constexpr Status namespace_write_protected =
    detail::final_status(StatusCodeType::generic, 0x20);
inline constexpr Status command_interrupted = detail::retryable(StatusCodeType::generic, 0x21);
inline constexpr Status transient_transport_error =
    detail::retryable(StatusCodeType::generic, 0x22);
inline constexpr Status admin_media_not_ready = detail::retryable(StatusCodeType::generic, 0x24);
// Generic, NVM command set (80h and above).
inline constexpr Status lba_out_of_range = detail::final_status(StatusCodeType::generic, 0x80);
inline constexpr Status capacity_exceeded = detail::final_status(StatusCodeType::generic, 0x81);
inline constexpr Status namespace_not_ready = detail::retryable(StatusCodeType::generic, 0x82);
inline constexpr Status reservation_conflict = detail::final_status(StatusCodeType::generic, 0x83);
inline constexpr Status format_in_progress = detail::retryable(StatusCodeType::generic, 0x84);

// Command specific (SCT 1h).
inline constexpr Status invalid_queue_identifier =
    detail::final_status(StatusCodeType::command_specific, 0x01);
inline constexpr Status invalid_queue_size =
    detail::final_status(StatusCodeType::command_specific, 0x02);
inline constexpr Status abort_limit_exceeded =
    detail::retryable(StatusCodeType::command_specific, 0x03);
inline constexpr Status async_event_limit_exceeded =
    detail::final_status(StatusCodeType::command_specific, 0x05);
inline constexpr Status invalid_log_page =
    detail::final_status(StatusCodeType::command_specific, 0x09);
inline constexpr Status invalid_format =
    detail::final_status(StatusCodeType::command_specific, 0x0a);
inline constexpr Status feature_not_saveable =
    detail::final_status(StatusCodeType::command_specific, 0x0d);
inline constexpr Status feature_not_changeable =
    detail::final_status(StatusCodeType::command_specific, 0x0e);
inline constexpr Status feature_not_namespace_specific =
    detail::final_status(StatusCodeType::command_specific, 0x0f);
inline constexpr Status invalid_controller_identifier =
    detail::final_status(StatusCodeType::command_specific, 0x1f);
inline constexpr Status command_set_not_supported =
    detail::final_status(StatusCodeType::command_specific, 0x29);
inline constexpr Status command_set_not_enabled =
    detail::final_status(StatusCodeType::command_specific, 0x2a);
inline constexpr Status command_set_combination_rejected =
    detail::final_status(StatusCodeType::command_specific, 0x2b);
inline constexpr Status invalid_command_set =
    detail::final_status(StatusCodeType::command_specific, 0x2c);
// Command specific, NVM command set.
inline constexpr Status conflicting_attributes =
    detail::final_status(StatusCodeType::command_specific, 0x80);
inline constexpr Status invalid_protection_information =
    detail::final_status(StatusCodeType::command_specific, 0x81);
inline constexpr Status write_to_read_only_range =
    detail::final_status(StatusCodeType::command_specific, 0x82);
inline constexpr Status command_size_limit_exceeded =
    detail::final_status(StatusCodeType::command_specific, 0x83);
inline constexpr Status incompatible_namespace =
    detail::final_status(StatusCodeType::command_specific, 0x85);
inline constexpr Status fast_copy_not_possible =
    detail::final_status(StatusCodeType::command_specific, 0x86);
inline constexpr Status overlapping_io_range =
    detail::final_status(StatusCodeType::command_specific, 0x87);
// Command specific, Fabrics. The codes overlap those of the NVM command set: the opcode tells them
// apart.
inline constexpr Status connect_incompatible_format =
    detail::final_status(StatusCodeType::command_specific, 0x80);
inline constexpr Status connect_controller_busy =
    detail::retryable(StatusCodeType::command_specific, 0x81);
inline constexpr Status connect_invalid_parameters =
    detail::final_status(StatusCodeType::command_specific, 0x82);
inline constexpr Status connect_restart_discovery =
    detail::final_status(StatusCodeType::command_specific, 0x83);
inline constexpr Status connect_invalid_host =
    detail::final_status(StatusCodeType::command_specific, 0x84);
inline constexpr Status invalid_queue_type =
    detail::final_status(StatusCodeType::command_specific, 0x85);
inline constexpr Status discover_restart =
    detail::retryable(StatusCodeType::command_specific, 0x90);
inline constexpr Status authentication_required =
    detail::final_status(StatusCodeType::command_specific, 0x91);

// Media and data integrity (SCT 2h).
inline constexpr Status write_fault = detail::retryable(StatusCodeType::media, 0x80);
inline constexpr Status unrecovered_read_error = detail::final_status(StatusCodeType::media, 0x81);
inline constexpr Status compare_failure = detail::final_status(StatusCodeType::media, 0x85);
inline constexpr Status access_denied = detail::final_status(StatusCodeType::media, 0x86);
inline constexpr Status deallocated_or_unwritten =
    detail::final_status(StatusCodeType::media, 0x87);

// Path related (SCT 3h). DNR stays clear: with it a Linux host fails the I/O instead of choosing
// another path.
inline constexpr Status internal_path_error = detail::retryable(StatusCodeType::path, 0x00);
inline constexpr Status ana_persistent_loss = detail::retryable(StatusCodeType::path, 0x01);
inline constexpr Status ana_inaccessible = detail::retryable(StatusCodeType::path, 0x02);
inline constexpr Status ana_transition = detail::retryable(StatusCodeType::path, 0x03);
inline constexpr Status controller_pathing_error = detail::retryable(StatusCodeType::path, 0x60);
inline constexpr Status aborted_by_host = detail::retryable(StatusCodeType::path, 0x71);
}  // namespace status

}  // namespace protocol::nvme
