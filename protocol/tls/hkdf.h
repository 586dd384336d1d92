// HMAC, HKDF (RFC 5869) and HKDF-Expand-Label (RFC 8446, 7.1), by OpenSSL.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/tls/hash.h"

namespace protocol::tls {

// Of all pieces one after the other. A cryptography that has no SHA-2 ends the process: nothing
// here can go on without it.
[[nodiscard]] Secret digest(Hash hash, std::initializer_list<std::span<const std::byte>> pieces);
[[nodiscard]] Secret hmac(Hash hash, std::span<const std::byte> key,
                          std::initializer_list<std::span<const std::byte>> pieces);

// With a salt of zeros.
[[nodiscard]] Secret hkdf_extract(Hash hash, std::span<const std::byte> key);
// The first `bytes` (at most a hash) of what `info` makes of the key.
[[nodiscard]] Secret hkdf_expand(Hash hash, std::span<const std::byte> key,
                                 std::span<const std::byte> info, std::size_t bytes);
// HkdfLabel with "tls13 " in front of `label`. A label or context beyond 255 bytes has no encoding
// and ends the process.
[[nodiscard]] std::vector<std::byte> hkdf_label(std::size_t bytes, std::string_view label,
                                                std::span<const std::byte> context);
[[nodiscard]] Secret hkdf_expand_label(Hash hash, std::span<const std::byte> key,
                                       std::string_view label, std::span<const std::byte> context,
                                       std::size_t bytes);

}  // namespace protocol::tls
