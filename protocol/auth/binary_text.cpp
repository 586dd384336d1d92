#include "protocol/auth/binary_text.h"

#include <array>
#include <cstdint>

namespace protocol::auth {
namespace {

constexpr std::string_view hexadecimal_digits = "0123456789abcdef";
constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using Bytes = std::vector<std::byte>;

char lower_digit(char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<Bytes> parse_hexadecimal(std::string_view digits, std::size_t most_bytes) {
  const std::size_t size = (digits.size() + 1) / 2;
  if (size == 0 || size > most_bytes) return std::nullopt;
  Bytes bytes(size);
  // Where the first byte has one digit only, it is its low one.
  std::size_t at = digits.size() % 2;
  for (const char c : digits) {
    const auto value = hexadecimal_digits.find(lower_digit(c));
    if (value == std::string_view::npos) return std::nullopt;
    std::byte& byte = bytes[at / 2];
    byte = (byte << 4) | static_cast<std::byte>(value);
    ++at;
  }
  return bytes;
}

// RFC 4648, section 4, with its padding.
std::optional<Bytes> parse_base64(std::string_view digits, std::size_t most_bytes) {
  if (digits.empty() || digits.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && digits.ends_with('=')) {
    digits.remove_suffix(1);
    ++padding;
  }
  const std::size_t size = digits.size() * 6 / 8;
  if (size == 0 || size > most_bytes) return std::nullopt;
  Bytes bytes;
  bytes.reserve(size);
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (const char c : digits) {
    const auto value = base64_digits.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes.push_back(static_cast<std::byte>((bits >> bit_count) & 0xff));
  }
  // What the last digit has beyond the last byte is 0: one text for one value.
  if ((bits & ((1U << bit_count) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

std::optional<Bytes> parse_binary(std::string_view text, std::size_t most_bytes) {
  if (text.size() < 2 || text[0] != '0') return std::nullopt;
  const auto digits = text.substr(2);
  if (text[1] == 'x' || text[1] == 'X') return parse_hexadecimal(digits, most_bytes);
  if (text[1] == 'b' || text[1] == 'B') return parse_base64(digits, most_bytes);
  return std::nullopt;
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text = "0x";
  text.reserve(2 + bytes.size() * 2);
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    text += hexadecimal_digits[value >> 4];
    text += hexadecimal_digits[value & 0xf];
  }
  return text;
}

std::string to_base64(std::span<const std::byte> bytes) {
  std::string text = "0b";
  text.reserve(2 + (bytes.size() + 2) / 3 * 4);
  while (!bytes.empty()) {
    const auto group = bytes.first(bytes.size() < 3 ? bytes.size() : 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = (bits << 8) | (i < group.size() ? std::to_integer<std::uint32_t>(group[i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      // n bytes fill n + 1 digits.
      text += i <= group.size() ? base64_digits[(bits >> (18 - 6 * i)) & 0x3f] : '=';
    }
    bytes = bytes.subspan(group.size());
  }
  return text;
}

}  // namespace protocol::auth
