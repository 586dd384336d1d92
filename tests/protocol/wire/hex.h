// Golden vectors are written as hex text; mismatches are shown the same way.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace protocol::wire {

// "04 00 4800" -> bytes; spaces and line ends are skipped. Throws std::invalid_argument for
// anything else.
[[nodiscard]] inline std::vector<std::byte> bytes_from_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    constexpr std::string_view digits = "0123456789abcdef";
    const auto digit = digits.find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("not hex");
    if (high < 0) {
      high = static_cast<int>(digit);
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + static_cast<int>(digit)));
      high = -1;
    }
  }
  if (high >= 0) throw std::invalid_argument("half a byte");
  return bytes;
}

// The inverse, with a space between bytes.
[[nodiscard]] inline std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += ' ';
    text += digits[static_cast<std::size_t>(byte) >> 4U];
    text += digits[static_cast<std::size_t>(byte) & 15U];
  }
  return text;
}

}  // namespace protocol::wire
