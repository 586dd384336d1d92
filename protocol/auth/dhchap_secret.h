// DhchapSecret: a secret of DH-HMAC-CHAP, as its text "DHHC-1:HH:BASE64:" has it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"

namespace protocol::auth {

// HashIDs of a Negotiate's protocol descriptor; a secret's text names its transformation by the
// same numbers.
enum class DhchapHash : std::uint8_t { sha256 = 1, sha384 = 2, sha512 = 3 };
inline constexpr std::array dhchap_hashes{DhchapHash::sha256, DhchapHash::sha384,
                                          DhchapHash::sha512};
[[nodiscard]] std::size_t hash_bytes(DhchapHash hash);
// "sha256"
[[nodiscard]] std::string_view name_of(DhchapHash hash);

struct DhchapSecret {
  std::vector<std::byte> bytes;              // 32, 48 or 64
  std::optional<DhchapHash> transformation;  // nullopt: it is the key itself
  friend bool operator==(const DhchapSecret&, const DhchapSecret&) = default;
};

enum class DhchapSecretFault : std::uint8_t {
  not_the_form,            // not "DHHC-1:HH:BASE64:"
  unknown_transformation,  // HH is none of 00, 01, 02, 03
  not_base64,
  wrong_length,    // neither 32, 48 nor 64 bytes, and 4 of CRC-32
  wrong_checksum,  // a digit was lost or changed
};
// What is wrong and what to do, for the operator; nothing of the secret stands in it.
[[nodiscard]] std::string_view text_of(DhchapSecretFault fault);

// NVMe Base 2.0, section 8.13.5: the secret and, little endian, its CRC-32 (that of zlib) in
// base64.
[[nodiscard]] engine::Result<DhchapSecret, DhchapSecretFault> parse_dhchap_secret(
    std::string_view text);

// The key that `secret` stands for, where it belongs to `nqn`: of a host, or (a controller's) of
// its subsystem.
[[nodiscard]] std::vector<std::byte> transformed_key(const DhchapSecret& secret,
                                                     std::string_view nqn);

}  // namespace protocol::auth
