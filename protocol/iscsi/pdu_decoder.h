// Reads what a host sends: the header of the next PDU, checked, and where its data lies. No socket,
// no buffer of its own, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "engine/foundation/result.h"
#include "protocol/iscsi/digests.h"
#include "protocol/iscsi/pdu.h"
#include "protocol/iscsi/pdu_error.h"

namespace protocol::iscsi {

// The LUN of each request is the field's eight bytes as a big-endian number.

// 11.3. Pdu::data_bytes of immediate data follow. Whether there may be any, and not more than
// expected_bytes, is the connection's to check.
struct ScsiCommand {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t expected_bytes = 0;  // Expected Data Transfer Length.
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  TaskAttribute attribute = TaskAttribute::untagged;
  bool immediate = false;
  bool final = false;  // No unsolicited Data-Out follows.
  bool read = false;
  bool write = false;
  std::span<const std::byte, cdb_bytes> cdb;  // Views the bytes given to next(), as the next.
  std::span<const std::byte> cdb_extension;   // CDB bytes from the 17th on; most often none.
  // Of a bidirectional command; 0 without that AHS.
  std::uint32_t bidirectional_read_bytes = 0;
};

// 11.5.
struct TaskManagementRequest {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t referenced_task_tag = 0;
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  std::uint32_t ref_cmd_sn = 0;
  std::uint32_t exp_data_sn = 0;
  std::uint8_t function = 0;  // As received: may be a value that TaskFunction does not name.
  bool immediate = false;
};

// 11.12. Pdu::data_bytes of text follow. Login's fields are judged by Login: it has statuses for
// what is wrong.
struct LoginRequest {
  Isid isid{};
  std::uint16_t tsih = 0;
  std::uint16_t cid = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  LoginStage current_stage = LoginStage::security;
  LoginStage next_stage = LoginStage::security;  // Of use with `transit` only.
  bool transit = false;
  bool continues = false;
  std::uint8_t version_max = 0;
  std::uint8_t version_min = 0;
};

// 11.10. Pdu::data_bytes of text follow.
struct TextRequest {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = no_tag;
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  bool immediate = false;
  bool final = false;
  bool continues = false;
};

// 11.7. Pdu::data_bytes of data follow. Whether tags, DataSN and range belong to a task that
// expects them is the connection's to check.
struct DataOut {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = no_tag;  // no_tag: unsolicited.
  std::uint32_t exp_stat_sn = 0;
  std::uint32_t data_sn = 0;
  std::uint32_t offset = 0;  // Bytes from the start of the command's data.
  bool final = false;
};

// 11.14.
struct LogoutRequest {
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  std::uint16_t cid = 0;
  std::uint8_t reason = 0;  // As received: may be a value that LogoutReason does not name.
  bool immediate = false;
};

// 11.16. Well formed, but at ErrorRecoveryLevel 0 there is nothing to be had: the connection
// answers with Reject (snack_reject).
struct SnackRequest {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = 0;
  std::uint32_t exp_stat_sn = 0;
  std::uint32_t beg_run = 0;
  std::uint32_t run_length = 0;
  std::uint8_t type = 0;
};

// 11.18. Pdu::data_bytes of ping data follow.
struct NopOut {
  std::uint64_t lun = 0;
  std::uint32_t initiator_task_tag = no_tag;   // no_tag: wants no answer.
  std::uint32_t target_transfer_tag = no_tag;  // Otherwise it answers our NOP-In.
  std::uint32_t cmd_sn = 0;
  std::uint32_t exp_stat_sn = 0;
  bool immediate = false;
};

// An opcode that no section of the RFC gives to initiators or targets. Its parts lie as those of
// every PDU: skip them, and answer with Reject (command_not_supported).
struct UnknownRequest {
  std::uint8_t opcode = 0;
};

using PduHeader = std::variant<NopOut, ScsiCommand, TaskManagementRequest, LoginRequest,
                               TextRequest, DataOut, LogoutRequest, SnackRequest, UnknownRequest>;

// The front of a stream: `header_bytes` to consume now, then `data_bytes` of data, `pad_bytes`,
// `data_digest_bytes`, then the next PDU.
struct Pdu {
  PduHeader header;
  std::uint32_t header_bytes = 0;  // BHS, AHS and header digest.
  std::uint32_t data_bytes = 0;
  std::uint32_t pad_bytes = 0;          // 0..3; the data digest covers them.
  std::uint32_t data_digest_bytes = 0;  // 4 (feed a DataDigest with data and padding) or 0.
};

// A buffer of this size never stalls next().
inline constexpr std::size_t largest_pdu_header_bytes =
    bhs_bytes + largest_ahs_bytes + digest_bytes;

// Data of one PDU that every node takes until it declares something else, and in any case during
// the login (13.12).
inline constexpr std::uint32_t default_data_segment_bytes = 8192;

// The target's end of one connection. At first it takes Login Requests only, after establish()
// everything else. Each call decodes the front of the stream from nothing but its bytes, so the
// caller owns all buffering.
class PduDecoder {
 public:
  // The full feature phase begins: PDUs with these digests, and at most `data_segment_bytes` of
  // data (what we declared as MaxRecvDataSegmentLength).
  void establish(Digests digests, std::uint32_t data_segment_bytes);

  [[nodiscard]] bool established() const { return established_; }
  [[nodiscard]] Digests digests() const { return digests_; }

  // Decodes the header of the PDU at the front of `bytes`; nullopt if more bytes are needed (at
  // most largest_pdu_header_bytes in all). Its views are into `bytes`, and the 48 bytes that a
  // Reject returns are their front. The same stream gives the same answer however it is cut. Errors
  // are final for the connection. The header digest is checked before anything else is believed.
  // Reserved bits and fields are ignored, as section 11 demands, and so is F where it is always 1.
  [[nodiscard]] engine::Result<std::optional<Pdu>, PduError> next(
      std::span<const std::byte> bytes) const;

 private:
  Digests digests_;
  std::uint32_t data_segment_bytes_ = default_data_segment_bytes;
  bool established_ = false;
};

}  // namespace protocol::iscsi
