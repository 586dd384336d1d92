// The PSK interchange format: how a configured PSK is written down and carried from one machine to
// the other (NVMe/TCP 1.1, "PSK Interchange Format").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/tls/hash.h"

namespace protocol::tls {

struct ConfiguredPsk {
  // What the retained PSK is made with; nullopt: the configured PSK is the retained one.
  std::optional<Hash> retained_by;
  Secret key;  // 32 or 48 bytes

  // Of suite and identity.
  [[nodiscard]] Hash hash() const { return key.size == 32 ? Hash::sha256 : Hash::sha384; }
};

enum class KeyTextFault : std::uint8_t {
  no_prefix,     // it does not begin with "NVMeTLSkey-1:"
  unknown_hash,  // none of 00, 01 and 02
  no_base64,     // not one base64 text with a ":" behind it
  wrong_length,  // 32 bytes for 01, 48 for 02, either for 00
  wrong_crc,     // mistyped, or cut
};
// "is no ...": to be put behind what the text is of. Nothing of the key stands in it.
[[nodiscard]] std::string_view text_of(KeyTextFault fault);

[[nodiscard]] std::variant<ConfiguredPsk, KeyTextFault> parse_key_text(std::string_view text);
[[nodiscard]] std::string key_text_of(const ConfiguredPsk& psk);

}  // namespace protocol::tls
