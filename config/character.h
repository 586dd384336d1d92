// What kind of character a byte of the file is; ASCII only, whatever the locale.
#pragma once

namespace config {

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr bool is_graphic(char c) { return c > ' ' && c <= '~'; }

}  // namespace config
