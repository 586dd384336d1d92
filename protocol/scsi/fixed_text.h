// Text in fixed fields of INQUIRY data and pages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace protocol::scsi {

// ASCII, left-aligned, padded with spaces (SPC-4, "ASCII data field requirements"). What does not
// fit is cut; anything outside 20h..7Eh becomes '?'.
template <std::size_t size>
void put_fixed_text(char (&field)[size], std::string_view text) {
  const auto used = std::min(size, text.size());
  std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(used), field,
                 [](char c) { return c >= 0x20 && c <= 0x7e ? c : '?'; });
  std::fill(field + used, field + size, ' ');
}

}  // namespace protocol::scsi
