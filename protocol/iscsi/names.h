// Names of iSCSI nodes (RFC 7143, 4.2.7): their forms, and the one spelling under which they are
// compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/foundation/result.h"

namespace protocol::iscsi {

inline constexpr std::size_t largest_name_bytes = 223;

enum class NameError : std::uint8_t {
  empty,
  too_long,         // more than 223 bytes
  wrong_type,       // begins with none of "iqn.", "eui." and "naa."
  wrong_character,  // in an iqn. name: anything but letters, digits, "-", ".", ":" and "_"
  wrong_date,       // no "yyyy-mm." with a month behind "iqn."
  wrong_domain,     // no reversed domain name behind the date, or nothing behind its colon
  wrong_digits,     // not 16 hexadecimal digits behind "eui.", not 16 or 32 behind "naa."
};
// One sentence part for messages: "is longer than 223 bytes".
[[nodiscard]] std::string_view text_of(NameError error);

// `name` as it is compared and kept: in lower case. "iqn.yyyy-mm.reverse.domain:anything" (the part
// from the colon on is optional), "eui." and 16 hexadecimal digits, "naa." and 16 or 32 of them.
// Beyond ASCII nothing is taken: such names need tables (RFC 3722) for their one spelling, and no
// initiator of the field has one. "_" is against RFC 3722, but hosts that name themselves after a
// Windows machine have it.
[[nodiscard]] engine::Result<std::string, NameError> normalise_name(std::string_view name);

}  // namespace protocol::iscsi
