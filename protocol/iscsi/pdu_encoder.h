// Writes what a target sends: whole PDUs, or the header of those whose data is sent from where it
// lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/iscsi/digests.h"
#include "protocol/iscsi/pdu.h"

namespace protocol::iscsi {

// Of every response. Where a PDU does not carry status, StatSN is the next one (11.8.3, 11.19.3) or
// not valid (11.7.5).
struct Sequence {
  std::uint32_t stat_sn = 0;
  std::uint32_t exp_cmd_sn = 0;
  std::uint32_t max_cmd_sn = 0;
};

// The difference between what the host expected to be moved and what the command wanted to
// (11.4.5).
enum class ResidualKind : std::uint8_t { none, underflow, overflow };
struct Residual {
  ResidualKind kind = ResidualKind::none;
  std::uint32_t bytes = 0;
};
[[nodiscard]] constexpr Residual residual_of(std::uint32_t expected_bytes,
                                             std::uint32_t command_bytes) {
  if (command_bytes < expected_bytes) {
    return {ResidualKind::underflow, expected_bytes - command_bytes};
  }
  if (command_bytes > expected_bytes) {
    return {ResidualKind::overflow, command_bytes - expected_bytes};
  }
  return {};
}

struct ScsiResponse {
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t exp_data_sn = 0;  // Data-In PDUs (and, of writes, R2Ts) that were sent.
  ScsiResponseCode response = ScsiResponseCode::completed;
  std::uint8_t status = 0;  // SCSI status.
  Residual residual{};
};

struct TaskManagementResponse {
  std::uint32_t initiator_task_tag = 0;
  TaskResponse response = TaskResponse::complete;
};

// Without `status` it carries data only.
struct DataIn {
  std::uint64_t lun = 0;  // Only with a target transfer tag.
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = no_tag;
  std::uint32_t data_sn = 0;
  std::uint32_t offset = 0;  // Bytes from the start of the command's data.
  std::uint32_t data_bytes = 0;
  bool final = false;  // Last of its sequence, that is of a burst.
  // Phase collapse: the command ends with this PDU, with a status other than CHECK CONDITION. Needs
  // `final`.
  bool has_status = false;
  std::uint8_t status = 0;
  Residual residual{};
};

struct ReadyToTransfer {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = 0;
  std::uint32_t r2t_sn = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;  // Desired Data Transfer Length: 1..MaxBurstLength.
};

struct NopIn {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = no_tag;   // Of the NOP-Out that it answers.
  std::uint32_t target_transfer_tag = no_tag;  // Of a ping of ours.
  std::uint32_t data_bytes = 0;                // No more than the host takes in one PDU.
};

struct LoginResponse {
  Isid isid{};
  std::uint16_t tsih = 0;
  std::uint32_t initiator_task_tag = 0;
  LoginStage current_stage = LoginStage::security;
  LoginStage next_stage = LoginStage::security;
  bool transit = false;
  bool continues = false;
  LoginStatus status = LoginStatus::success;
};

struct TextResponse {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = no_tag;  // no_tag with `final`, and only then.
  bool final = false;
  bool continues = false;
};

struct LogoutResponse {
  std::uint32_t initiator_task_tag = 0;
  LogoutResponseCode response = LogoutResponseCode::closed;
  std::uint16_t time2wait_s = 0;
  std::uint16_t time2retain_s = 0;
};

struct AsyncMessage {
  std::uint64_t lun = 0;
  AsyncEvent event = AsyncEvent::scsi;
  std::uint8_t vendor_code = 0;
  std::uint16_t parameter1 = 0;
  std::uint16_t parameter2 = 0;
  std::uint16_t parameter3 = 0;
};

// Header with its digest.
[[nodiscard]] constexpr std::size_t header_bytes(Digests digests) {
  return bhs_bytes + digests.header_digest_bytes();
}
// What follows data that is sent from where it lies: padding and digest.
[[nodiscard]] constexpr std::size_t data_trailer_bytes(Digests digests, std::uint32_t data_bytes) {
  return pad_bytes_of(data_bytes) + digests.data_digest_bytes(data_bytes);
}
// Header, data, padding and digests.
[[nodiscard]] constexpr std::size_t pdu_bytes(Digests digests, std::uint32_t data_bytes) {
  return header_bytes(digests) + data_bytes + data_trailer_bytes(digests, data_bytes);
}
// Sense data goes behind its length in two bytes (11.4.7.2).
inline constexpr std::size_t sense_length_bytes = 2;
// Of a Reject.
inline constexpr std::size_t reject_data_bytes = bhs_bytes;

// All of them write to the front of `space`, which must hold the bytes announced above (a CHECK),
// and return the number of bytes written. No allocation.

// Headers; data_trailer_bytes() and the data follow.
std::size_t encode_data_in_header(std::span<std::byte> space, Digests digests,
                                  const Sequence& sequence, const DataIn& data);
std::size_t encode_nop_in_header(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const NopIn& nop);
// Behind `data_bytes` of data. `digest` is that of the data alone; not looked at without data
// digests.
std::size_t encode_data_trailer(std::span<std::byte> space, Digests digests,
                                std::uint32_t data_bytes, DataDigest digest);

// Whole PDUs. `sense` may be empty; otherwise pdu_bytes() of it and sense_length_bytes is written.
std::size_t encode_scsi_response(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const ScsiResponse& response,
                                 std::span<const std::byte> sense);
std::size_t encode_task_management_response(std::span<std::byte> space, Digests digests,
                                            const Sequence& sequence,
                                            const TaskManagementResponse& response);
std::size_t encode_r2t(std::span<std::byte> space, Digests digests, const Sequence& sequence,
                       const ReadyToTransfer& request);
// Never with digests: they begin behind the last of these.
std::size_t encode_login_response(std::span<std::byte> space, const Sequence& sequence,
                                  const LoginResponse& response, std::span<const std::byte> text);
std::size_t encode_text_response(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const TextResponse& response,
                                 std::span<const std::byte> text);
std::size_t encode_logout_response(std::span<std::byte> space, Digests digests,
                                   const Sequence& sequence, const LogoutResponse& response);
// `sense` with AsyncEvent::scsi, otherwise empty.
std::size_t encode_async_message(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const AsyncMessage& message,
                                 std::span<const std::byte> sense);
// `rejected`: the header of the PDU that is refused.
std::size_t encode_reject(std::span<std::byte> space, Digests digests, const Sequence& sequence,
                          RejectReason reason, std::span<const std::byte, bhs_bytes> rejected);

}  // namespace protocol::iscsi
