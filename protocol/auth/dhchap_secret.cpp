#include "protocol/auth/dhchap_secret.h"

#include <algorithm>

#include "protocol/auth/binary_text.h"
#include "protocol/auth/chap.h"
#include "protocol/auth/dhchap.h"

namespace protocol::auth {
namespace {

constexpr std::string_view secret_prefix = "DHHC-1:";
constexpr std::string_view transformation_label = "NVMe-over-Fabrics";
constexpr std::size_t checksum_bytes = 4;
constexpr std::size_t longest_key_bytes = 64;

// The CRC-32 of ISO 3309, reflected.
std::uint32_t iso_crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

bool is_key_length(std::size_t bytes) { return bytes == 32 || bytes == 48 || bytes == 64; }

}  // namespace

std::size_t hash_bytes(DhchapHash hash) {
  switch (hash) {
    case DhchapHash::sha256:
      return 32;
    case DhchapHash::sha384:
      return 48;
    case DhchapHash::sha512:
      return 64;
  }
  return 0;
}

std::string_view name_of(DhchapHash hash) {
  switch (hash) {
    case DhchapHash::sha256:
      return "sha256";
    case DhchapHash::sha384:
      return "sha384";
    case DhchapHash::sha512:
      return "sha512";
  }
  return "";
}

std::string_view text_of(DhchapSecretFault fault) {
  switch (fault) {
    case DhchapSecretFault::not_the_form:
      return "is no DH-HMAC-CHAP key; make one with nvme gen-dhchap-key, and keep all of its line "
             "(DHHC-1:...:).";
    case DhchapSecretFault::unknown_transformation:
      return "has an unknown transformation behind DHHC-1:; it is one of 00, 01, 02 and 03.";
    case DhchapSecretFault::not_base64:
      return "is not whole: its last part is not base64; copy it again.";
    case DhchapSecretFault::wrong_length:
      return "has a key of a wrong length; it has 32, 48 or 64 bytes.";
    case DhchapSecretFault::wrong_checksum:
      return "is damaged: its checksum is not that of its key; copy it again.";
  }
  return "cannot be used.";
}

engine::Result<DhchapSecret, DhchapSecretFault> parse_dhchap_secret(std::string_view text) {
  if (!text.starts_with(secret_prefix)) return DhchapSecretFault::not_the_form;
  text.remove_prefix(secret_prefix.size());
  if (text.size() < 4 || text[2] != ':' || !text.ends_with(':')) {
    return DhchapSecretFault::not_the_form;
  }
  if (text[0] != '0' || text[1] < '0' || text[1] > '3') {
    return DhchapSecretFault::unknown_transformation;
  }
  DhchapSecret secret;
  if (text[1] != '0') secret.transformation = static_cast<DhchapHash>(text[1] - '0');
  std::string digits = "0b";
  digits += text.substr(3, text.size() - 4);
  auto bytes = parse_binary(digits, 2 * longest_key_bytes);
  if (!bytes) return DhchapSecretFault::not_base64;
  if (bytes->size() < checksum_bytes || !is_key_length(bytes->size() - checksum_bytes)) {
    return DhchapSecretFault::wrong_length;
  }
  const auto key = std::span(*bytes).first(bytes->size() - checksum_bytes);
  const std::uint32_t expected = iso_crc32(key);
  for (std::size_t i = 0; i < checksum_bytes; ++i) {
    if (std::to_integer<std::uint32_t>((*bytes)[key.size() + i]) !=
        ((expected >> (8 * i)) & 0xff)) {
      return DhchapSecretFault::wrong_checksum;
    }
  }
  secret.bytes.assign(key.begin(), key.end());
  return secret;
}

std::vector<std::byte> transformed_key(const DhchapSecret& secret, std::string_view nqn) {
  if (!secret.transformation) return secret.bytes;
  std::string text(nqn);
  text += transformation_label;
  const HashValue key = hmac(*secret.transformation, secret.bytes,
                             std::as_bytes(std::span(text.data(), text.size())));
  return {key.bytes().begin(), key.bytes().end()};
}

}  // namespace protocol::auth
