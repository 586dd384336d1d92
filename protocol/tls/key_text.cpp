#include "protocol/tls/key_text.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <vector>

#include "protocol/auth/binary_text.h"

namespace protocol::tls {
namespace {

constexpr std::string_view key_prefix = "NVMeTLSkey-1:";
constexpr std::size_t crc_bytes = 4;
constexpr std::size_t hash_digits = 2;

std::uint32_t crc_of(std::span<const std::byte> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = crc_bytes; i-- != 0;) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  }
  return value;
}

}  // namespace

std::string_view text_of(KeyTextFault fault) {
  switch (fault) {
    case KeyTextFault::no_prefix:
      return "has no TLS key: one begins with NVMeTLSkey-1: and is made by nvme gen-tls-key.";
    case KeyTextFault::unknown_hash:
      return "has a TLS key of an unknown kind: behind NVMeTLSkey-1: stands 00, 01 or 02.";
    case KeyTextFault::no_base64:
      return "has a TLS key that is cut or mistyped: it is base64 with a colon behind it.";
    case KeyTextFault::wrong_length:
      return "has a TLS key of a wrong length: 01 has 32 bytes, 02 has 48, 00 either.";
    case KeyTextFault::wrong_crc:
      return "has a TLS key that is mistyped: its CRC-32 is not that of the key.";
  }
  return "has no TLS key.";
}

std::variant<ConfiguredPsk, KeyTextFault> parse_key_text(std::string_view text) {
  if (!text.starts_with(key_prefix)) return KeyTextFault::no_prefix;
  text.remove_prefix(key_prefix.size());
  ConfiguredPsk psk;
  const std::string_view digits = text.substr(0, hash_digits);
  if (digits == "01") {
    psk.retained_by = Hash::sha256;
  } else if (digits == "02") {
    psk.retained_by = Hash::sha384;
  } else if (digits != "00") {
    return KeyTextFault::unknown_hash;
  }
  text.remove_prefix(hash_digits);
  if (text.size() < 2 || text.front() != ':' || text.back() != ':') return KeyTextFault::no_base64;
  text = text.substr(1, text.size() - 2);
  const auto bytes = auth::parse_binary("0b" + std::string(text), largest_hash_bytes + crc_bytes);
  if (!bytes) return KeyTextFault::no_base64;
  if (bytes->size() != bytes_of(Hash::sha256) + crc_bytes &&
      bytes->size() != bytes_of(Hash::sha384) + crc_bytes) {
    return KeyTextFault::wrong_length;
  }
  psk.key.size = bytes->size() - crc_bytes;
  if (psk.retained_by && bytes_of(*psk.retained_by) != psk.key.size) {
    return KeyTextFault::wrong_length;
  }
  const auto key = std::span(*bytes).first(psk.key.size);
  if (crc_of(key) != little_endian(std::span(*bytes).subspan(psk.key.size))) {
    return KeyTextFault::wrong_crc;
  }
  std::copy(key.begin(), key.end(), psk.key.space.begin());
  return psk;
}

std::string key_text_of(const ConfiguredPsk& psk) {
  const auto key = psk.key.bytes();
  std::vector<std::byte> bytes(key.begin(), key.end());
  std::uint32_t crc = crc_of(key);
  for (std::size_t i = 0; i < crc_bytes; ++i, crc >>= 8) {
    bytes.push_back(static_cast<std::byte>(crc & 0xff));
  }
  const char* const digits = !psk.retained_by                   ? "00"
                             : *psk.retained_by == Hash::sha256 ? "01"
                                                                : "02";
  return std::string(key_prefix) + digits + ":" + auth::to_base64(bytes).substr(2) + ":";
}

}  // namespace protocol::tls
