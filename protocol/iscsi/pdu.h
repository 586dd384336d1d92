// The PDUs of iSCSI (RFC 7143, section 11) as they lie on the wire: the 48 bytes of every type's
// basic header segment, its flags and its codes. Values only; pdu_decoder.h and pdu_encoder.h give
// them meaning.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::iscsi {

inline constexpr std::size_t bhs_bytes = 48;
inline constexpr std::size_t digest_bytes = 4;
inline constexpr std::size_t cdb_bytes = 16;  // of the header; longer ones go on in an AHS
inline constexpr std::size_t ahs_unit_bytes = 4;
inline constexpr std::size_t largest_ahs_bytes = 255 * ahs_unit_bytes;
// DataSegmentLength has 24 bits.
inline constexpr std::uint32_t largest_data_segment_bytes = 0xff'ffff;

// A task tag that names no task (11.2.1.8, 11.7.4).
inline constexpr std::uint32_t no_tag = 0xffff'ffff;

// 11.2.1.2. Those from 20h on are the target's.
enum class Opcode : std::uint8_t {
  nop_out = 0x00,
  scsi_command = 0x01,
  task_management_request = 0x02,
  login_request = 0x03,
  text_request = 0x04,
  data_out = 0x05,
  logout_request = 0x06,
  snack_request = 0x10,
  nop_in = 0x20,
  scsi_response = 0x21,
  task_management_response = 0x22,
  login_response = 0x23,
  text_response = 0x24,
  data_in = 0x25,
  logout_response = 0x26,
  ready_to_transfer = 0x31,
  async_message = 0x32,
  reject = 0x3f,
};

// Byte 0.
inline constexpr std::uint8_t flag_immediate = 0x40;
inline constexpr std::uint8_t opcode_mask = 0x3f;
// Byte 1. F of all types; T of Login.
inline constexpr std::uint8_t flag_final = 0x80;
inline constexpr std::uint8_t flag_transit = 0x80;
// C of Login and Text: the text goes on in the next PDU.
inline constexpr std::uint8_t flag_continue = 0x40;
// SCSI Command.
inline constexpr std::uint8_t flag_read = 0x40;
inline constexpr std::uint8_t flag_write = 0x20;
inline constexpr std::uint8_t attribute_mask = 0x07;
// SCSI Response and SCSI Data-In.
inline constexpr std::uint8_t flag_bidirectional_overflow = 0x10;
inline constexpr std::uint8_t flag_bidirectional_underflow = 0x08;
inline constexpr std::uint8_t flag_overflow = 0x04;
inline constexpr std::uint8_t flag_underflow = 0x02;
// SCSI Data-In: StatSN, status and residual count are valid.
inline constexpr std::uint8_t flag_status = 0x01;

// 11.3.1.
enum class TaskAttribute : std::uint8_t {
  untagged = 0,
  simple = 1,
  ordered = 2,
  head_of_queue = 3,
  aca = 4,
};

// 11.5.1, and RFC 7144 for those from 9 on.
enum class TaskFunction : std::uint8_t {
  abort_task = 1,
  abort_task_set = 2,
  clear_aca = 3,
  clear_task_set = 4,
  logical_unit_reset = 5,
  target_warm_reset = 6,
  target_cold_reset = 7,
  task_reassign = 8,
  query_task = 9,
  query_task_set = 10,
  i_t_nexus_reset = 11,
  query_asynchronous_event = 12,
};

// 11.6.1, and RFC 7144 for "succeeded".
enum class TaskResponse : std::uint8_t {
  complete = 0,
  task_does_not_exist = 1,
  lun_does_not_exist = 2,
  task_still_allegiant = 3,
  reassign_not_supported = 4,
  not_supported = 5,
  authorization_failed = 6,
  succeeded = 7,
  rejected = 255,
};

// 11.4.3.
enum class ScsiResponseCode : std::uint8_t {
  completed = 0x00,
  target_failure = 0x01,
};

// 11.9.1.
enum class AsyncEvent : std::uint8_t {
  scsi = 0,              // Data: sense data. LUN is valid.
  logout_request = 1,    // Parameter3: seconds that the host has for it.
  connection_drop = 2,   // Parameter1: CID; 2 and 3: Time2Wait and Time2Retain.
  session_drop = 3,      // Parameter2 and 3: Time2Wait and Time2Retain.
  negotiation = 4,       // Parameter3: seconds.
  tasks_terminated = 5,  // Of this LUN (FastAbort, 4.2.3.4).
  vendor = 255,
};

// 11.14.1.
enum class LogoutReason : std::uint8_t {
  close_session = 0,
  close_connection = 1,
  remove_for_recovery = 2,
};

// 11.15.1.
enum class LogoutResponseCode : std::uint8_t {
  closed = 0,
  no_such_cid = 1,
  recovery_not_supported = 2,
  cleanup_failed = 3,
};

// 11.17.1.
enum class RejectReason : std::uint8_t {
  data_digest_error = 0x02,
  snack_reject = 0x03,
  protocol_error = 0x04,
  command_not_supported = 0x05,
  immediate_command_reject = 0x06,
  task_in_progress = 0x07,
  invalid_data_ack = 0x08,
  invalid_pdu_field = 0x09,
  long_operation_reject = 0x0a,
  negotiation_reset = 0x0b,
  waiting_for_logout = 0x0c,
};

// CSG and NSG of Login (11.12.3).
enum class LoginStage : std::uint8_t {
  security = 0,
  operational = 1,
  reserved = 2,
  full_feature = 3,
};

// Status-Class and Status-Detail (11.13.5), in this order of bytes.
enum class LoginStatus : std::uint16_t {
  success = 0x0000,
  moved_temporarily = 0x0101,  // With TargetAddress.
  moved_permanently = 0x0102,
  initiator_error = 0x0200,
  authentication_failure = 0x0201,
  authorization_failure = 0x0202,
  not_found = 0x0203,
  target_removed = 0x0204,
  unsupported_version = 0x0205,
  too_many_connections = 0x0206,
  missing_parameter = 0x0207,
  cannot_include_in_session = 0x0208,
  session_type_not_supported = 0x0209,
  session_does_not_exist = 0x020a,
  invalid_during_login = 0x020b,
  target_error = 0x0300,
  service_unavailable = 0x0301,
  out_of_resources = 0x0302,
};

// The host's part of a session's name (11.12.5); the session's ISID rules compare all of it.
using Isid = std::array<std::uint8_t, 6>;

// The first eight bytes of every PDU (11.2.1). What bytes 2 and 3 are is the type's.
struct Prefix {
  std::uint8_t opcode;  // With flag_immediate.
  std::uint8_t flags;
  std::uint8_t byte2;
  std::uint8_t byte3;
  std::uint8_t total_ahs_length;   // Units of four bytes.
  wire::be24 data_segment_length;  // Bytes, without padding.
};
static_assert(wire::is_wire_struct<Prefix, 8>);
static_assert(offsetof(Prefix, total_ahs_length) == 4);
static_assert(offsetof(Prefix, data_segment_length) == 5);

// Of requests (11.2.2).
struct RequestNumbers {
  wire::be32 cmd_sn;
  wire::be32 exp_stat_sn;
};
static_assert(wire::is_wire_struct<RequestNumbers, 8>);

// Of responses.
struct ResponseNumbers {
  wire::be32 stat_sn;
  wire::be32 exp_cmd_sn;
  wire::be32 max_cmd_sn;
};
static_assert(wire::is_wire_struct<ResponseNumbers, 12>);

// Every header that has no struct of its own here, and the fields that all have in one place.
struct BasicHeader {
  Prefix prefix;
  wire::be64 lun;  // Or the type's.
  wire::be32 initiator_task_tag;
  wire::Reserved<28> specific20;
};
static_assert(wire::is_wire_struct<BasicHeader, bhs_bytes>);
static_assert(offsetof(BasicHeader, lun) == 8);
static_assert(offsetof(BasicHeader, initiator_task_tag) == 16);

// 11.3.
struct ScsiCommandHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 expected_data_transfer_length;
  RequestNumbers numbers;
  std::array<std::byte, cdb_bytes> cdb;
};
static_assert(wire::is_wire_struct<ScsiCommandHeader, bhs_bytes>);
static_assert(offsetof(ScsiCommandHeader, expected_data_transfer_length) == 20);
static_assert(offsetof(ScsiCommandHeader, numbers) == 24);
static_assert(offsetof(ScsiCommandHeader, cdb) == 32);

// In front of each additional header segment (11.2.2.1 and 11.2.2.2).
struct AhsHeader {
  wire::be16 length;  // Bytes behind this header, without padding.
  std::uint8_t type;
};
static_assert(wire::is_wire_struct<AhsHeader, 3>);

// 11.2.2.3 and 11.2.2.4.
enum class AhsType : std::uint8_t {
  extended_cdb = 1,
  bidirectional_read_length = 2,
};

// 11.4. Byte 2: response; byte 3: SCSI status.
struct ScsiResponseHeader {
  Prefix prefix;
  wire::Reserved<8> reserved8;
  wire::be32 initiator_task_tag;
  wire::be32 snack_tag;
  ResponseNumbers numbers;
  wire::be32 exp_data_sn;
  wire::be32 bidirectional_read_residual_count;
  wire::be32 residual_count;
};
static_assert(wire::is_wire_struct<ScsiResponseHeader, bhs_bytes>);
static_assert(offsetof(ScsiResponseHeader, numbers) == 24);
static_assert(offsetof(ScsiResponseHeader, exp_data_sn) == 36);
static_assert(offsetof(ScsiResponseHeader, residual_count) == 44);

// 11.5. Byte 1: function.
struct TaskManagementRequestHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 referenced_task_tag;
  RequestNumbers numbers;
  wire::be32 ref_cmd_sn;
  wire::be32 exp_data_sn;
  wire::Reserved<8> reserved40;
};
static_assert(wire::is_wire_struct<TaskManagementRequestHeader, bhs_bytes>);
static_assert(offsetof(TaskManagementRequestHeader, referenced_task_tag) == 20);
static_assert(offsetof(TaskManagementRequestHeader, ref_cmd_sn) == 32);

// 11.6. Byte 2: response.
struct TaskManagementResponseHeader {
  Prefix prefix;
  wire::Reserved<8> reserved8;
  wire::be32 initiator_task_tag;
  wire::Reserved<4> reserved20;
  ResponseNumbers numbers;
  wire::Reserved<12> reserved36;
};
static_assert(wire::is_wire_struct<TaskManagementResponseHeader, bhs_bytes>);
static_assert(offsetof(TaskManagementResponseHeader, numbers) == 24);

// 11.7.
struct DataOutHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  wire::Reserved<4> reserved24;
  wire::be32 exp_stat_sn;
  wire::Reserved<4> reserved32;
  wire::be32 data_sn;
  wire::be32 buffer_offset;
  wire::Reserved<4> reserved44;
};
static_assert(wire::is_wire_struct<DataOutHeader, bhs_bytes>);
static_assert(offsetof(DataOutHeader, target_transfer_tag) == 20);
static_assert(offsetof(DataOutHeader, exp_stat_sn) == 28);
static_assert(offsetof(DataOutHeader, data_sn) == 36);
static_assert(offsetof(DataOutHeader, buffer_offset) == 40);

// 11.7. Byte 3: SCSI status, with flag_status.
struct DataInHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  ResponseNumbers numbers;
  wire::be32 data_sn;
  wire::be32 buffer_offset;
  wire::be32 residual_count;
};
static_assert(wire::is_wire_struct<DataInHeader, bhs_bytes>);
static_assert(offsetof(DataInHeader, target_transfer_tag) == 20);
static_assert(offsetof(DataInHeader, data_sn) == 36);
static_assert(offsetof(DataInHeader, buffer_offset) == 40);
static_assert(offsetof(DataInHeader, residual_count) == 44);

// 11.8.
struct ReadyToTransferHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  ResponseNumbers numbers;
  wire::be32 r2t_sn;
  wire::be32 buffer_offset;
  wire::be32 desired_data_transfer_length;
};
static_assert(wire::is_wire_struct<ReadyToTransferHeader, bhs_bytes>);
static_assert(offsetof(ReadyToTransferHeader, r2t_sn) == 36);
static_assert(offsetof(ReadyToTransferHeader, desired_data_transfer_length) == 44);

// 11.9.
struct AsyncMessageHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 all_ones;
  wire::Reserved<4> reserved20;
  ResponseNumbers numbers;
  std::uint8_t event;
  std::uint8_t vendor_code;
  wire::be16 parameter1;
  wire::be16 parameter2;
  wire::be16 parameter3;
  wire::Reserved<4> reserved44;
};
static_assert(wire::is_wire_struct<AsyncMessageHeader, bhs_bytes>);
static_assert(offsetof(AsyncMessageHeader, event) == 36);
static_assert(offsetof(AsyncMessageHeader, parameter1) == 38);
static_assert(offsetof(AsyncMessageHeader, parameter3) == 42);

// 11.10 and, of the same form, NOP-Out (11.18).
struct TextRequestHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  RequestNumbers numbers;
  wire::Reserved<16> reserved32;
};
static_assert(wire::is_wire_struct<TextRequestHeader, bhs_bytes>);
static_assert(offsetof(TextRequestHeader, target_transfer_tag) == 20);
static_assert(offsetof(TextRequestHeader, numbers) == 24);
using NopOutHeader = TextRequestHeader;

// 11.11 and, of the same form, NOP-In (11.19).
struct TextResponseHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  ResponseNumbers numbers;
  wire::Reserved<12> reserved36;
};
static_assert(wire::is_wire_struct<TextResponseHeader, bhs_bytes>);
static_assert(offsetof(TextResponseHeader, numbers) == 24);
using NopInHeader = TextResponseHeader;

// 11.12. Byte 1: T, C, CSG, NSG; byte 2: highest version; byte 3: lowest.
struct LoginRequestHeader {
  Prefix prefix;
  Isid isid;
  wire::be16 tsih;
  wire::be32 initiator_task_tag;
  wire::be16 cid;
  wire::Reserved<2> reserved22;
  RequestNumbers numbers;
  wire::Reserved<16> reserved32;
};
static_assert(wire::is_wire_struct<LoginRequestHeader, bhs_bytes>);
static_assert(offsetof(LoginRequestHeader, tsih) == 14);
static_assert(offsetof(LoginRequestHeader, cid) == 20);
static_assert(offsetof(LoginRequestHeader, numbers) == 24);

// 11.13. Byte 1 as in the request; byte 2: highest version; byte 3: the one in use.
struct LoginResponseHeader {
  Prefix prefix;
  Isid isid;
  wire::be16 tsih;
  wire::be32 initiator_task_tag;
  wire::Reserved<4> reserved20;
  ResponseNumbers numbers;
  wire::be16 status;  // LoginStatus
  wire::Reserved<10> reserved38;
};
static_assert(wire::is_wire_struct<LoginResponseHeader, bhs_bytes>);
static_assert(offsetof(LoginResponseHeader, numbers) == 24);
static_assert(offsetof(LoginResponseHeader, status) == 36);

// 11.14. Byte 1: reason.
struct LogoutRequestHeader {
  Prefix prefix;
  wire::Reserved<8> reserved8;
  wire::be32 initiator_task_tag;
  wire::be16 cid;
  wire::Reserved<2> reserved22;
  RequestNumbers numbers;
  wire::Reserved<16> reserved32;
};
static_assert(wire::is_wire_struct<LogoutRequestHeader, bhs_bytes>);
static_assert(offsetof(LogoutRequestHeader, cid) == 20);

// 11.15. Byte 2: response.
struct LogoutResponseHeader {
  Prefix prefix;
  wire::Reserved<8> reserved8;
  wire::be32 initiator_task_tag;
  wire::Reserved<4> reserved20;
  ResponseNumbers numbers;
  wire::Reserved<4> reserved36;
  wire::be16 time2wait;    // Seconds.
  wire::be16 time2retain;  // Seconds.
  wire::Reserved<4> reserved44;
};
static_assert(wire::is_wire_struct<LogoutResponseHeader, bhs_bytes>);
static_assert(offsetof(LogoutResponseHeader, time2wait) == 40);

// 11.16. Byte 1: type.
struct SnackRequestHeader {
  Prefix prefix;
  wire::be64 lun;
  wire::be32 initiator_task_tag;
  wire::be32 target_transfer_tag;
  wire::Reserved<4> reserved24;
  wire::be32 exp_stat_sn;
  wire::Reserved<8> reserved32;
  wire::be32 beg_run;
  wire::be32 run_length;
};
static_assert(wire::is_wire_struct<SnackRequestHeader, bhs_bytes>);
static_assert(offsetof(SnackRequestHeader, exp_stat_sn) == 28);
static_assert(offsetof(SnackRequestHeader, beg_run) == 40);

// 11.17. Byte 2: reason. Data: the header of what is rejected.
struct RejectHeader {
  Prefix prefix;
  wire::Reserved<8> reserved8;
  wire::be32 all_ones;
  wire::Reserved<4> reserved20;
  ResponseNumbers numbers;
  wire::be32 data_sn;
  wire::Reserved<8> reserved40;
};
static_assert(wire::is_wire_struct<RejectHeader, bhs_bytes>);
static_assert(offsetof(RejectHeader, numbers) == 24);
static_assert(offsetof(RejectHeader, data_sn) == 36);

}  // namespace protocol::iscsi
