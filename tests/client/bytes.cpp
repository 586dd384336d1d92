#include "tests/client/bytes.h"

#include <algorithm>

namespace client {

void put_text(std::span<std::byte> field, std::string_view text, char fill) {
  const std::size_t used = std::min(field.size(), text.size());
  for (std::size_t i = 0; i < field.size(); ++i) {
    field[i] = static_cast<std::byte>(i < used ? text[i] : fill);
  }
}

std::string get_text(std::span<const std::byte> field) {
  std::string text;
  for (const std::byte value : field) {
    if (value == std::byte{0}) break;
    text.push_back(static_cast<char>(value));
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

namespace {
int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}
}  // namespace

Bytes from_hex(std::string_view digits) {
  Bytes bytes;
  int high = -1;
  for (const char digit : digits) {
    const int value = digit_value(digit);
    if (value < 0) continue;
    if (high < 0) {
      high = value;
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + value));
      high = -1;
    }
  }
  return bytes;
}

std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte value : bytes) {
    text.push_back(digits[static_cast<unsigned>(value) >> 4]);
    text.push_back(digits[static_cast<unsigned>(value) & 15]);
  }
  return text;
}

}  // namespace client
