#include "config/text_check.h"

#include <fmt/format.h>

#include <cstdint>

namespace config {
namespace {

using std::string_view;

// Length of the well-formed UTF-8 sequence at the front of `text`, 0 if it is not one
// (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto within = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return within(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) && within(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

bool is_control(char c) {
  return (c >= 0 && c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

bool check_line(string_view line, std::uint32_t number, Report& report) {
  const std::size_t content = line.find_first_not_of(" \t\r");
  const std::size_t tab = line.find('\t');
  const bool blank = content == string_view::npos || line[content] == '#';
  if (!blank && tab < content) {
    report.error({number, static_cast<std::uint32_t>(tab + 1)}, "",
                 "tab in the indentation; indent with blanks.");
    return false;
  }
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t length = utf8_length(line.substr(at));
    if (length == 0 || is_control(line[at])) {
      const auto byte = static_cast<unsigned char>(line[at]);
      report.error({number, static_cast<std::uint32_t>(at + 1)}, "",
                   length == 0
                       ? fmt::format("byte {:02x} is not UTF-8; save the file as UTF-8.", byte)
                       : fmt::format("control character {:02x}; remove it.", byte));
      return false;
    }
    at += length;
  }
  return true;
}

}  // namespace

bool check_text(string_view text, Report& report) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    report.error({1, 1}, "", "the file is UTF-16; save it as UTF-8.");
    return false;
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    report.error({1, 1}, "",
                 "the file begins with a byte order mark; save it as UTF-8 without one.");
    return false;
  }
  bool good = true;
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    good = check_line(text.substr(0, end), number, report) && good;
    text.remove_prefix(end == string_view::npos ? text.size() : end + 1);
  }
  return good;
}

}  // namespace config
