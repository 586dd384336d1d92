// Bytes as text, as iSCSI's keys have them (RFC 7143, 6.1): hexadecimal behind "0x", base64 behind
// "0b".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace protocol::auth {

// nullopt: neither form, a digit that is none, base64 of a wrong length or with bits left over, no
// byte at all, or more than `most_bytes`. An odd number of hexadecimal digits has a 0 in front.
[[nodiscard]] std::optional<std::vector<std::byte>> parse_binary(std::string_view text,
                                                                 std::size_t most_bytes);

// With "0x".
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
// With "0b".
[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);

}  // namespace protocol::auth
