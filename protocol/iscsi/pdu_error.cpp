#include "protocol/iscsi/pdu_error.h"

namespace protocol::iscsi {

std::string_view text_of(PduFault fault) {
  switch (fault) {
    case PduFault::header_digest_mismatch:
      return "header digest does not match";
    case PduFault::data_too_long:
      return "data segment longer than declared";
    case PduFault::login_expected:
      return "request before the login has ended";
    case PduFault::login_repeated:
      return "login request in the full feature phase";
    case PduFault::wrong_direction:
      return "PDU that only targets send";
    case PduFault::unexpected_ahs:
      return "additional header segment where there is none";
    case PduFault::malformed_ahs:
      return "malformed additional header segment";
    case PduFault::unexpected_data:
      return "data segment where there is none";
    case PduFault::reserved_tag:
      return "reserved task tag";
    case PduFault::reserved_attribute:
      return "reserved task attribute";
    case PduFault::inconsistent_flags:
      return "flags that contradict each other";
  }
  return "unknown fault";
}

}  // namespace protocol::iscsi
