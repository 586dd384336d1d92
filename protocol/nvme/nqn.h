// NVMe Qualified Names: their form and how they lie in wire fields (Base 2.1, "NVMe Qualified
// Names").
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace protocol::nvme {

inline constexpr std::size_t max_nqn_bytes = 223;  // without the terminating NUL
inline constexpr std::size_t nqn_field_bytes =
    256;  // in Connect data, Identify and the discovery log
inline constexpr std::string_view discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery";
inline constexpr std::string_view uuid_nqn_prefix = "nqn.2014-08.org.nvmexpress:uuid:";

enum class NqnError {
  empty,
  too_long,      // more than 223 bytes
  not_text,      // not UTF-8, or a control character in it
  wrong_prefix,  // does not begin with "nqn."
  wrong_date,    // not "yyyy-mm." with a month after "nqn."
  wrong_domain,  // no reversed domain name after the date, or nothing after its colon
  wrong_uuid,    // the uuid form without a UUID
};

// nullopt if `nqn` is well formed: "nqn.yyyy-mm.reverse.domain:anything" (the part from the colon
// on is optional, as in the discovery NQN) or "nqn.2014-08.org.nvmexpress:uuid:" and a UUID.
[[nodiscard]] std::optional<NqnError> check_nqn(std::string_view nqn);
// One sentence part for messages: "is longer than 223 bytes".
[[nodiscard]] std::string_view text_of(NqnError error);

// The text of a 256-byte field, without its NUL; nullopt if it has no NUL within 224 bytes.
[[nodiscard]] std::optional<std::string_view> nqn_in_field(
    std::span<const char, nqn_field_bytes> field);

}  // namespace protocol::nvme
