// What ends a connection because of how a PDU is formed (RFC 7143, 7.7 and 7.8).
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/iscsi/pdu.h"

namespace protocol::iscsi {

enum class PduFault : std::uint8_t {
  header_digest_mismatch,  // The header's lengths cannot be believed: close without a word (7.8).
  data_too_long,           // More than we declared that we take.
  login_expected,          // Another request before the login has ended (6.3).
  login_repeated,          // A Login Request in the full feature phase.
  wrong_direction,         // A type that only targets send.
  unexpected_ahs,          // Additional header segments where no type has any.
  malformed_ahs,           // A segment longer than what is left, twice, or of no known type.
  unexpected_data,         // A data segment with a type that has none.
  reserved_tag,            // FFFFFFFFh as the tag of what must be answered.
  reserved_attribute,      // Task attribute 5..7.
  inconsistent_flags,      // F, R and W that contradict each other or the lengths (11.3.1).
};

// A short text for logs.
[[nodiscard]] std::string_view text_of(PduFault fault);

// Ends the connection (7.7: "MUST immediately terminate"). Where closes_silently() is false, a
// Reject with this reason may go out before.
struct PduError {
  RejectReason reason = RejectReason::protocol_error;
  PduFault fault = PduFault::header_digest_mismatch;

  [[nodiscard]] bool closes_silently() const { return fault == PduFault::header_digest_mismatch; }
  friend bool operator==(const PduError&, const PduError&) = default;
};

}  // namespace protocol::iscsi
