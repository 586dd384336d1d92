// What can be wrong with a PDU: the fatal error status and information that C2HTermReq carries
// (NVMe/TCP 1.1, sections "Error Handling Model" and "C2HTermReq"), and the reason in words for the
// log.
#pragma once

#include <cstdint>

namespace protocol::nvme_tcp {

// FES. Every one of them ends the connection.
enum class FatalErrorStatus : std::uint16_t {
  none = 0x00,                          // Not on the wire: close without a C2HTermReq.
  invalid_pdu_header_field = 0x01,      // FEI: byte offset of the first bad field in the header.
  pdu_sequence_error = 0x02,            // FEI: 0.
  header_digest_error = 0x03,           // FEI: the header digest as received.
  data_transfer_out_of_range = 0x04,    // FEI: 0.
  data_transfer_limit_exceeded = 0x05,  // FEI: 0. Also the R2T limit.
  unsupported_parameter = 0x06,         // FEI: byte offset of the first bad field in the header.
};

enum class PduFault : std::uint8_t {
  unknown_type,           // 01h: no such PDU type.
  kickstart_unsupported,  // 01h: KDReq, but this end is no centralized discovery controller.
  bad_flags,        // 01h: reserved bits, or a digest flag that disagrees with what was negotiated.
  bad_hlen,         // 01h: not the header length of this type.
  bad_pdo,          // 01h: data inside the header, outside the PDU, or not aligned to CPDA.
  bad_plen,         // 01h: does not fit header, digests and data.
  no_data,          // 01h: H2CData with DATAL 0.
  ic_req_missing,   // 02h: another PDU came before ICReq.
  ic_req_repeated,  // 02h: a second ICReq.
  wrong_direction,  // 02h: a type that only controllers send.
  header_digest_mismatch,  // 03h
  in_capsule_limit,        // 05h: more in-capsule data than this queue accepts.
  h2c_data_limit,          // 05h: DATAL above MAXH2CDATA.
  unsupported_pfv,         // 06h
  unsupported_hpda,        // 06h
  unsupported_dgst,        // 06h
  malformed_term_req,      // none: a bad H2CTermReq is not answered.
  // Found by the connection, which knows the outstanding R2Ts; the functions below.
  unknown_transfer_tag,  // 01h
  command_mismatch,      // 01h
  bad_last_pdu,          // 01h
  queue_overrun,         // 02h: more commands than the queue has entries.
  out_of_range_data,     // 04h
  out_of_order_data,     // 02h
};

// A short text for logs; static storage.
[[nodiscard]] const char* describe(PduFault fault);

struct PduError {
  FatalErrorStatus fes = FatalErrorStatus::none;
  std::uint32_t fei = 0;  // See FatalErrorStatus.
  PduFault fault = PduFault::unknown_type;

  // True if the connection is closed at once, without a C2HTermReq.
  [[nodiscard]] bool closes_silently() const { return fes == FatalErrorStatus::none; }

  friend bool operator==(const PduError&, const PduError&) = default;
};

// What the connection answers to a KDReq, by its type.
[[nodiscard]] constexpr PduError kickstart_error() {
  return {FatalErrorStatus::invalid_pdu_header_field, 0, PduFault::kickstart_unsupported};
}
// What the connection answers to an H2CData that its R2T does not cover. The offsets are those of
// the H2CData header.
[[nodiscard]] constexpr PduError unknown_transfer_tag_error() {
  return {FatalErrorStatus::invalid_pdu_header_field, 10, PduFault::unknown_transfer_tag};
}
[[nodiscard]] constexpr PduError command_mismatch_error() {
  return {FatalErrorStatus::invalid_pdu_header_field, 8, PduFault::command_mismatch};
}
// LAST_PDU set before the R2T's last byte, or missing on it.
[[nodiscard]] constexpr PduError last_pdu_error() {
  return {FatalErrorStatus::invalid_pdu_header_field, 1, PduFault::bad_last_pdu};
}
// DATAO and DATAL reach outside the R2T's range.
[[nodiscard]] constexpr PduError out_of_range_error() {
  return {FatalErrorStatus::data_transfer_out_of_range, 0, PduFault::out_of_range_data};
}
// Inside the R2T's range, but not the bytes that come next (H2CData of one R2T are in order).
[[nodiscard]] constexpr PduError out_of_order_error() {
  return {FatalErrorStatus::pdu_sequence_error, 0, PduFault::out_of_order_data};
}

}  // namespace protocol::nvme_tcp
