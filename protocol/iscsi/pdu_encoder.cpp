#include "protocol/iscsi/pdu_encoder.h"

#include <cstring>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"

namespace protocol::iscsi {
namespace {

Prefix prefix_of(Opcode opcode, unsigned flags, std::size_t data_bytes = 0) {
  CHECK(data_bytes <= largest_data_segment_bytes);
  Prefix prefix{};
  prefix.opcode = static_cast<std::uint8_t>(opcode);
  prefix.flags = static_cast<std::uint8_t>(flags);
  prefix.data_segment_length = static_cast<std::uint32_t>(data_bytes);
  return prefix;
}

ResponseNumbers numbers_of(const Sequence& sequence) {
  return {.stat_sn = sequence.stat_sn,
          .exp_cmd_sn = sequence.exp_cmd_sn,
          .max_cmd_sn = sequence.max_cmd_sn};
}

unsigned residual_flag(const Residual& residual) {
  switch (residual.kind) {
    case ResidualKind::none:
      return 0;
    case ResidualKind::underflow:
      return flag_underflow;
    case ResidualKind::overflow:
      return flag_overflow;
  }
  return 0;
}

template <class Header>
std::size_t put_header(std::span<std::byte> space, Digests digests, const Header& header) {
  static_assert(sizeof(Header) == bhs_bytes);
  CHECK(space.size() >= header_bytes(digests));
  std::memcpy(space.data(), &header, sizeof(header));
  if (digests.header) {
    const wire::le32 digest = engine::crc32c(space.first(sizeof(header)));
    std::memcpy(space.data() + sizeof(header), &digest, sizeof(digest));
  }
  return header_bytes(digests);
}

// A data segment made of two pieces: what the format puts in front, and the content.
std::size_t put_data(std::span<std::byte> space, Digests digests, std::span<const std::byte> front,
                     std::span<const std::byte> content) {
  const auto data_bytes = static_cast<std::uint32_t>(front.size() + content.size());
  CHECK(space.size() >= data_bytes);
  if (!front.empty()) std::memcpy(space.data(), front.data(), front.size());
  if (!content.empty()) std::memcpy(space.data() + front.size(), content.data(), content.size());
  DataDigest digest;
  if (digests.data) digest.update(space.first(data_bytes));
  return data_bytes + encode_data_trailer(space.subspan(data_bytes), digests, data_bytes, digest);
}

template <class Header>
std::size_t put_pdu(std::span<std::byte> space, Digests digests, const Header& header,
                    std::span<const std::byte> data) {
  const std::size_t written = put_header(space, digests, header);
  return written + put_data(space.subspan(written), digests, {}, data);
}

// Sense data goes behind its length; without it there is no data segment at all.
template <class Header>
std::size_t put_pdu_with_sense(std::span<std::byte> space, Digests digests, const Header& header,
                               std::span<const std::byte> sense) {
  if (sense.empty()) return put_header(space, digests, header);
  const wire::be16 length = static_cast<std::uint16_t>(sense.size());
  const std::size_t written = put_header(space, digests, header);
  return written +
         put_data(space.subspan(written), digests, std::as_bytes(std::span(&length, 1)), sense);
}

std::size_t sense_segment_bytes(std::span<const std::byte> sense) {
  CHECK(sense.size() <= 0xffff);
  return sense.empty() ? 0 : sense_length_bytes + sense.size();
}

}  // namespace

std::size_t encode_data_in_header(std::span<std::byte> space, Digests digests,
                                  const Sequence& sequence, const DataIn& data) {
  CHECK(data.final || !data.has_status);
  unsigned flags = data.final ? flag_final : 0U;
  if (data.has_status) flags |= flag_status | residual_flag(data.residual);
  DataInHeader header{};
  header.prefix = prefix_of(Opcode::data_in, flags, data.data_bytes);
  header.lun = data.lun;
  header.initiator_task_tag = data.initiator_task_tag;
  header.target_transfer_tag = data.target_transfer_tag;
  header.numbers = numbers_of(sequence);
  header.data_sn = data.data_sn;
  header.buffer_offset = data.offset;
  if (data.has_status) {
    header.prefix.byte3 = data.status;
    header.residual_count = data.residual.bytes;
  } else {
    header.numbers.stat_sn = 0;  // Reserved (11.7.5).
  }
  return put_header(space, digests, header);
}

std::size_t encode_nop_in_header(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const NopIn& nop) {
  NopInHeader header{};
  header.prefix = prefix_of(Opcode::nop_in, flag_final, nop.data_bytes);
  header.lun = nop.lun;
  header.initiator_task_tag = nop.initiator_task_tag;
  header.target_transfer_tag = nop.target_transfer_tag;
  header.numbers = numbers_of(sequence);
  return put_header(space, digests, header);
}

std::size_t encode_data_trailer(std::span<std::byte> space, Digests digests,
                                std::uint32_t data_bytes, DataDigest digest) {
  const std::uint32_t pad = pad_bytes_of(data_bytes);
  const std::size_t bytes = data_trailer_bytes(digests, data_bytes);
  CHECK(space.size() >= bytes);
  if (pad != 0) std::memset(space.data(), 0, pad);
  if (bytes != pad) {
    digest.pad(pad);
    digest.write(space.subspan(pad).first<digest_bytes>());
  }
  return bytes;
}

std::size_t encode_scsi_response(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const ScsiResponse& response,
                                 std::span<const std::byte> sense) {
  ScsiResponseHeader header{};
  header.prefix = prefix_of(Opcode::scsi_response, flag_final | residual_flag(response.residual),
                            sense_segment_bytes(sense));
  header.prefix.byte2 = static_cast<std::uint8_t>(response.response);
  header.prefix.byte3 = response.status;
  header.initiator_task_tag = response.initiator_task_tag;
  header.numbers = numbers_of(sequence);
  header.exp_data_sn = response.exp_data_sn;
  header.residual_count = response.residual.bytes;
  return put_pdu_with_sense(space, digests, header, sense);
}

std::size_t encode_task_management_response(std::span<std::byte> space, Digests digests,
                                            const Sequence& sequence,
                                            const TaskManagementResponse& response) {
  TaskManagementResponseHeader header{};
  header.prefix = prefix_of(Opcode::task_management_response, flag_final);
  header.prefix.byte2 = static_cast<std::uint8_t>(response.response);
  header.initiator_task_tag = response.initiator_task_tag;
  header.numbers = numbers_of(sequence);
  return put_header(space, digests, header);
}

std::size_t encode_r2t(std::span<std::byte> space, Digests digests, const Sequence& sequence,
                       const ReadyToTransfer& request) {
  CHECK(request.length != 0);
  ReadyToTransferHeader header{};
  header.prefix = prefix_of(Opcode::ready_to_transfer, flag_final);
  header.lun = request.lun;
  header.initiator_task_tag = request.initiator_task_tag;
  header.target_transfer_tag = request.target_transfer_tag;
  header.numbers = numbers_of(sequence);
  header.r2t_sn = request.r2t_sn;
  header.buffer_offset = request.offset;
  header.desired_data_transfer_length = request.length;
  return put_header(space, digests, header);
}

std::size_t encode_login_response(std::span<std::byte> space, const Sequence& sequence,
                                  const LoginResponse& response, std::span<const std::byte> text) {
  CHECK(!response.transit || !response.continues);
  const unsigned stages = (static_cast<unsigned>(response.current_stage) << 2) |
                          (response.transit ? static_cast<unsigned>(response.next_stage) : 0U);
  const unsigned flags =
      (response.transit ? flag_transit : 0U) | (response.continues ? flag_continue : 0U) | stages;
  LoginResponseHeader header{};
  // Version-max and Version-active are both 0, the only version there is (11.12.4).
  header.prefix = prefix_of(Opcode::login_response, flags, text.size());
  header.isid = response.isid;
  header.tsih = response.tsih;
  header.initiator_task_tag = response.initiator_task_tag;
  header.numbers = numbers_of(sequence);
  header.status = static_cast<std::uint16_t>(response.status);
  return put_pdu(space, {}, header, text);
}

std::size_t encode_text_response(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const TextResponse& response,
                                 std::span<const std::byte> text) {
  CHECK(!response.final || !response.continues);
  CHECK(response.final == (response.target_transfer_tag == no_tag));
  TextResponseHeader header{};
  header.prefix = prefix_of(
      Opcode::text_response,
      (response.final ? flag_final : 0U) | (response.continues ? flag_continue : 0U), text.size());
  header.lun = response.lun;
  header.initiator_task_tag = response.initiator_task_tag;
  header.target_transfer_tag = response.target_transfer_tag;
  header.numbers = numbers_of(sequence);
  return put_pdu(space, digests, header, text);
}

std::size_t encode_logout_response(std::span<std::byte> space, Digests digests,
                                   const Sequence& sequence, const LogoutResponse& response) {
  LogoutResponseHeader header{};
  header.prefix = prefix_of(Opcode::logout_response, flag_final);
  header.prefix.byte2 = static_cast<std::uint8_t>(response.response);
  header.initiator_task_tag = response.initiator_task_tag;
  header.numbers = numbers_of(sequence);
  header.time2wait = response.time2wait_s;
  header.time2retain = response.time2retain_s;
  return put_header(space, digests, header);
}

std::size_t encode_async_message(std::span<std::byte> space, Digests digests,
                                 const Sequence& sequence, const AsyncMessage& message,
                                 std::span<const std::byte> sense) {
  AsyncMessageHeader header{};
  header.prefix = prefix_of(Opcode::async_message, flag_final, sense_segment_bytes(sense));
  header.lun = message.lun;
  header.all_ones = no_tag;
  header.numbers = numbers_of(sequence);
  header.event = static_cast<std::uint8_t>(message.event);
  header.vendor_code = message.vendor_code;
  header.parameter1 = message.parameter1;
  header.parameter2 = message.parameter2;
  header.parameter3 = message.parameter3;
  return put_pdu_with_sense(space, digests, header, sense);
}

std::size_t encode_reject(std::span<std::byte> space, Digests digests, const Sequence& sequence,
                          RejectReason reason, std::span<const std::byte, bhs_bytes> rejected) {
  RejectHeader header{};
  header.prefix = prefix_of(Opcode::reject, flag_final, rejected.size());
  header.prefix.byte2 = static_cast<std::uint8_t>(reason);
  header.all_ones = no_tag;
  header.numbers = numbers_of(sequence);
  return put_pdu(space, digests, header, rejected);
}

}  // namespace protocol::iscsi
