#include "protocol/iscsi/pdu_decoder.h"

#include <cstring>

#include "engine/foundation/crc32c.h"

namespace protocol::iscsi {
namespace {

using engine::Result;

template <class Header>
Header copy_header(std::span<const std::byte> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header;
}

// "Illegal contents of any PDU header field", "inconsistent field contents" (7.7).
PduError format_error(PduFault fault) { return {RejectReason::invalid_pdu_field, fault}; }
PduError protocol_error(PduFault fault) { return {RejectReason::protocol_error, fault}; }

bool is_immediate(const Prefix& prefix) { return (prefix.opcode & flag_immediate) != 0; }
bool has_flag(const Prefix& prefix, std::uint8_t flag) { return (prefix.flags & flag) != 0; }

// What the additional header segments of a command say. Each kind may be there once.
Result<void, PduError> read_ahs(std::span<const std::byte> ahs, ScsiCommand& command) {
  bool bidirectional_seen = false;
  while (!ahs.empty()) {
    // `ahs` is a multiple of four bytes, so that a header fits.
    const auto header = copy_header<AhsHeader>(ahs);
    const std::size_t length = header.length;
    const std::size_t whole = (sizeof(AhsHeader) + length + 3) / ahs_unit_bytes * ahs_unit_bytes;
    if (whole > ahs.size()) return format_error(PduFault::malformed_ahs);
    const auto content = ahs.subspan(sizeof(AhsHeader), length);
    switch (static_cast<AhsType>(header.type)) {
      case AhsType::extended_cdb:
        // A reserved byte, then the CDB from its 17th byte on.
        if (length < 2 || !command.cdb_extension.empty()) {
          return format_error(PduFault::malformed_ahs);
        }
        command.cdb_extension = content.subspan(1);
        break;
      case AhsType::bidirectional_read_length: {
        constexpr std::size_t content_bytes = 1 + sizeof(wire::be32);
        if (length != content_bytes || bidirectional_seen) {
          return format_error(PduFault::malformed_ahs);
        }
        bidirectional_seen = true;
        command.bidirectional_read_bytes = copy_header<wire::be32>(content.subspan(1));
        break;
      }
      default:
        return format_error(PduFault::malformed_ahs);
    }
    ahs = ahs.subspan(whole);
  }
  return engine::success();
}

// `bytes` hold BHS and AHS.
Result<PduHeader, PduError> scsi_command(std::span<const std::byte> bytes) {
  const auto header = copy_header<ScsiCommandHeader>(bytes);
  const Prefix& prefix = header.prefix;
  const auto attribute = static_cast<std::uint8_t>(prefix.flags & attribute_mask);
  ScsiCommand command{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .expected_bytes = header.expected_data_transfer_length,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .attribute = static_cast<TaskAttribute>(attribute),
      .immediate = is_immediate(prefix),
      .final = has_flag(prefix, flag_final),
      .read = has_flag(prefix, flag_read),
      .write = has_flag(prefix, flag_write),
      .cdb = bytes.subspan<offsetof(ScsiCommandHeader, cdb), cdb_bytes>(),
      .cdb_extension = {},
  };
  if (command.initiator_task_tag == no_tag) return format_error(PduFault::reserved_tag);
  if (attribute > static_cast<std::uint8_t>(TaskAttribute::aca)) {
    return format_error(PduFault::reserved_attribute);
  }
  const std::size_t ahs = std::size_t{prefix.total_ahs_length} * ahs_unit_bytes;
  TRY(read_ahs(bytes.subspan(bhs_bytes, ahs), command));
  // 11.3.1: an error, and a MUST NOT.
  if (!command.final && !command.write) return format_error(PduFault::inconsistent_flags);
  if (!command.read && !command.write && command.expected_bytes != 0) {
    return format_error(PduFault::inconsistent_flags);
  }
  if (!command.write && prefix.data_segment_length != 0) {
    return format_error(PduFault::unexpected_data);
  }
  return PduHeader{command};
}

Result<PduHeader, PduError> task_management_request(std::span<const std::byte> bytes) {
  const auto header = copy_header<TaskManagementRequestHeader>(bytes);
  if (header.prefix.data_segment_length != 0) return format_error(PduFault::unexpected_data);
  if (header.initiator_task_tag == no_tag) return format_error(PduFault::reserved_tag);
  constexpr std::uint8_t function_mask = 0x7f;
  return PduHeader{TaskManagementRequest{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .referenced_task_tag = header.referenced_task_tag,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .ref_cmd_sn = header.ref_cmd_sn,
      .exp_data_sn = header.exp_data_sn,
      .function = static_cast<std::uint8_t>(header.prefix.flags & function_mask),
      .immediate = is_immediate(header.prefix),
  }};
}

PduHeader login_request(std::span<const std::byte> bytes) {
  const auto header = copy_header<LoginRequestHeader>(bytes);
  const std::uint8_t flags = header.prefix.flags;
  constexpr std::uint8_t stage_mask = 0x03;
  return LoginRequest{
      .isid = header.isid,
      .tsih = header.tsih,
      .cid = header.cid,
      .initiator_task_tag = header.initiator_task_tag,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .current_stage = static_cast<LoginStage>((flags >> 2) & stage_mask),
      .next_stage = static_cast<LoginStage>(flags & stage_mask),
      .transit = has_flag(header.prefix, flag_transit),
      .continues = has_flag(header.prefix, flag_continue),
      .version_max = header.prefix.byte2,
      .version_min = header.prefix.byte3,
  };
}

Result<PduHeader, PduError> text_request(std::span<const std::byte> bytes) {
  const auto header = copy_header<TextRequestHeader>(bytes);
  if (header.initiator_task_tag == no_tag) return format_error(PduFault::reserved_tag);
  const bool final = has_flag(header.prefix, flag_final);
  const bool continues = has_flag(header.prefix, flag_continue);
  // 11.10.2: "a Text Request with the C bit set to 1 MUST have the F bit set to 0".
  if (final && continues) return format_error(PduFault::inconsistent_flags);
  return PduHeader{TextRequest{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .target_transfer_tag = header.target_transfer_tag,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .immediate = is_immediate(header.prefix),
      .final = final,
      .continues = continues,
  }};
}

Result<PduHeader, PduError> data_out(std::span<const std::byte> bytes) {
  const auto header = copy_header<DataOutHeader>(bytes);
  if (header.initiator_task_tag == no_tag) return format_error(PduFault::reserved_tag);
  return PduHeader{DataOut{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .target_transfer_tag = header.target_transfer_tag,
      .exp_stat_sn = header.exp_stat_sn,
      .data_sn = header.data_sn,
      .offset = header.buffer_offset,
      .final = has_flag(header.prefix, flag_final),
  }};
}

Result<PduHeader, PduError> logout_request(std::span<const std::byte> bytes) {
  const auto header = copy_header<LogoutRequestHeader>(bytes);
  if (header.prefix.data_segment_length != 0) return format_error(PduFault::unexpected_data);
  if (header.initiator_task_tag == no_tag) return format_error(PduFault::reserved_tag);
  constexpr std::uint8_t reason_mask = 0x7f;
  return PduHeader{LogoutRequest{
      .initiator_task_tag = header.initiator_task_tag,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .cid = header.cid,
      .reason = static_cast<std::uint8_t>(header.prefix.flags & reason_mask),
      .immediate = is_immediate(header.prefix),
  }};
}

Result<PduHeader, PduError> snack_request(std::span<const std::byte> bytes) {
  const auto header = copy_header<SnackRequestHeader>(bytes);
  if (header.prefix.data_segment_length != 0) return format_error(PduFault::unexpected_data);
  constexpr std::uint8_t type_mask = 0x0f;
  return PduHeader{SnackRequest{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .target_transfer_tag = header.target_transfer_tag,
      .exp_stat_sn = header.exp_stat_sn,
      .beg_run = header.beg_run,
      .run_length = header.run_length,
      .type = static_cast<std::uint8_t>(header.prefix.flags & type_mask),
  }};
}

Result<PduHeader, PduError> nop_out(std::span<const std::byte> bytes) {
  const auto header = copy_header<NopOutHeader>(bytes);
  const NopOut nop{
      .lun = header.lun,
      .initiator_task_tag = header.initiator_task_tag,
      .target_transfer_tag = header.target_transfer_tag,
      .cmd_sn = header.numbers.cmd_sn,
      .exp_stat_sn = header.numbers.exp_stat_sn,
      .immediate = is_immediate(header.prefix),
  };
  // 11.18.1: one that wants no answer takes no CmdSN, and so is immediate.
  if (nop.initiator_task_tag == no_tag && !nop.immediate) {
    return format_error(PduFault::inconsistent_flags);
  }
  return PduHeader{nop};
}

bool is_of_targets(Opcode opcode) {
  switch (opcode) {
    case Opcode::nop_in:
    case Opcode::scsi_response:
    case Opcode::task_management_response:
    case Opcode::login_response:
    case Opcode::text_response:
    case Opcode::data_in:
    case Opcode::logout_response:
    case Opcode::ready_to_transfer:
    case Opcode::async_message:
    case Opcode::reject:
      return true;
    default:
      return false;
  }
}

// `bytes` hold BHS and AHS, and their digest was right.
Result<PduHeader, PduError> decode_header(Opcode opcode, std::span<const std::byte> bytes) {
  const auto prefix = copy_header<Prefix>(bytes);
  if (opcode == Opcode::scsi_command) return scsi_command(bytes);
  if (is_of_targets(opcode)) return protocol_error(PduFault::wrong_direction);
  switch (opcode) {
    case Opcode::nop_out:
    case Opcode::task_management_request:
    case Opcode::login_request:
    case Opcode::text_request:
    case Opcode::data_out:
    case Opcode::logout_request:
    case Opcode::snack_request:
      break;
    default:
      return PduHeader{UnknownRequest{static_cast<std::uint8_t>(opcode)}};
  }
  if (prefix.total_ahs_length != 0) return format_error(PduFault::unexpected_ahs);
  switch (opcode) {
    case Opcode::nop_out:
      return nop_out(bytes);
    case Opcode::task_management_request:
      return task_management_request(bytes);
    case Opcode::text_request:
      return text_request(bytes);
    case Opcode::data_out:
      return data_out(bytes);
    case Opcode::logout_request:
      return logout_request(bytes);
    case Opcode::snack_request:
      return snack_request(bytes);
    default:
      return login_request(bytes);
  }
}

}  // namespace

void PduDecoder::establish(Digests digests, std::uint32_t data_segment_bytes) {
  digests_ = digests;
  data_segment_bytes_ = data_segment_bytes;
  established_ = true;
}

Result<std::optional<Pdu>, PduError> PduDecoder::next(std::span<const std::byte> bytes) const {
  if (bytes.size() < bhs_bytes) return std::nullopt;
  const auto prefix = copy_header<Prefix>(bytes);
  const auto opcode = static_cast<Opcode>(prefix.opcode & opcode_mask);
  if (!established_ && opcode != Opcode::login_request) {
    return protocol_error(PduFault::login_expected);
  }
  const std::size_t ahs = std::size_t{prefix.total_ahs_length} * ahs_unit_bytes;
  // Told before more is asked for: no login needs a buffer for one.
  if (!established_ && ahs != 0) return format_error(PduFault::unexpected_ahs);
  const std::size_t plain = bhs_bytes + ahs;
  const std::size_t whole = plain + digests_.header_digest_bytes();
  if (bytes.size() < whole) return std::nullopt;
  if (digests_.header) {
    const auto received = copy_header<wire::le32>(bytes.subspan(plain));
    if (received != engine::crc32c(bytes.first(plain))) {
      return protocol_error(PduFault::header_digest_mismatch);
    }
  }
  if (established_ && opcode == Opcode::login_request) {
    return protocol_error(PduFault::login_repeated);
  }
  const std::uint32_t data = prefix.data_segment_length;
  if (data > data_segment_bytes_) return protocol_error(PduFault::data_too_long);
  TRY(const PduHeader header, decode_header(opcode, bytes.first(plain)));
  return Pdu{.header = header,
             .header_bytes = static_cast<std::uint32_t>(whole),
             .data_bytes = data,
             .pad_bytes = pad_bytes_of(data),
             .data_digest_bytes = digests_.data_digest_bytes(data)};
}

}  // namespace protocol::iscsi
