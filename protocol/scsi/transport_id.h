// TransportIDs of iSCSI (SPC-4, "TransportID for initiator ports using SCSI over iSCSI"): the name
// of an initiator, or of one of its ports, in parameter data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

// The initiator port (with its ISID) or the whole initiator device (without). A name that was
// parsed views the parameter list; it is not normalised.
struct TransportId {
  std::string_view name{};
  std::optional<std::array<std::byte, 6>> isid{};
};

inline constexpr std::size_t max_iscsi_name_bytes = 223;  // RFC 7143, 4.2.7.1

struct ParsedTransportId {
  TransportId id{};
  std::size_t bytes = 0;  // of the list, with padding
};

// The one that starts at byte `at` of `list`.
// Errors: parameter_list_length_error: it does not end in the list; invalid_list, with the place:
// another protocol's, a length that is impossible, no name or an ISID that is none.
[[nodiscard]] Parsed<ParsedTransportId> parse_transport_id(std::span<const std::byte> list,
                                                           std::size_t at);

// NUL-terminated, padded to a multiple of four and to at least 24 bytes.
void put_transport_id(Answer& answer, const TransportId& id);

}  // namespace protocol::scsi
