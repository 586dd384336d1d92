#include "target/control/page_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace target::control {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// Bytes of the UTF-8 character that `text` begins with; 0: it is none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t bytes = first < 0x80                    ? 1
                            : first >= 0xC2 && first < 0xE0 ? 2
                            : first >= 0xE0 && first < 0xF0 ? 3
                            : first >= 0xF0 && first < 0xF5 ? 4
                                                            : 0;
  if (bytes == 0 || bytes > text.size()) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  if (bytes < 3) return bytes;
  const unsigned second = byte(1);
  const bool is_too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool is_no_character =
      (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  return is_too_long || is_no_character ? 0 : bytes;
}

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

// With one decimal below 10, or where the unit has changed.
std::string figure(double value, bool has_unit) {
  if (value >= 100 || (value >= 10 && !has_unit)) return fmt::format("{:.0f}", value);
  return value == 0 ? "0" : fmt::format("{:.1f}", value);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (bytes == 0 || (bytes == 1 && (first < 0x20 || first == 0x7F))) {
      out += replacement;
    } else if (const std::string_view name = entity(text[0]); !name.empty()) {
      out += name;
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

std::string count_text(double count) {
  constexpr std::array<const char*, 4> units{"", "k", "M", "G"};
  std::size_t unit = 0;
  while (count >= 999.5 && unit + 1 < units.size()) {
    count /= 1000;
    ++unit;
  }
  return figure(count, unit != 0) + units[unit];
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1023.5 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return bytes == 0 ? "0" : fmt::format("{} {}", figure(bytes, unit != 0), units[unit]);
}

std::string latency_text(double microseconds) {
  if (microseconds < 999.5) return fmt::format("{:.0f} µs", microseconds);
  if (microseconds < 999'500) return figure(microseconds / 1e3, true) + " ms";
  return figure(microseconds / 1e6, true) + " s";
}

std::string age_text(std::uint64_t seconds) {
  constexpr std::uint64_t minute = 60;
  constexpr std::uint64_t hour = 60 * minute;
  constexpr std::uint64_t day = 24 * hour;
  if (seconds < minute) return fmt::format("{}s", seconds);
  if (seconds < hour) return fmt::format("{}m {}s", seconds / minute, seconds % minute);
  if (seconds < day) return fmt::format("{}h {}m", seconds / hour, seconds % hour / minute);
  return fmt::format("{}d {}h", seconds / day, seconds % day / hour);
}

}  // namespace target::control
