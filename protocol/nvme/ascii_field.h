// Text in fixed fields of Identify and log pages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace protocol::nvme {

// ASCII string fields (serial, model, firmware, TRSVCID, TRADDR): left justified, padded with
// spaces, no NUL. What does not fit is cut; anything outside 20h..7Eh becomes '?' (Base 2.1, "ASCII
// strings").
template <std::size_t size>
void put_ascii(char (&field)[size], std::string_view text) {
  const auto used = std::min(size, text.size());
  std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(used), field,
                 [](char c) { return c >= 0x20 && c <= 0x7e ? c : '?'; });
  std::fill(field + used, field + size, ' ');
}

// NQN fields: UTF-8, terminated and padded with NULs. What does not fit before the last byte is
// cut.
template <std::size_t size>
void put_nul_padded(char (&field)[size], std::string_view text) {
  const auto used = std::min(size - 1, text.size());
  std::copy_n(text.begin(), used, field);
  std::fill(field + used, field + size, '\0');
}

}  // namespace protocol::nvme
