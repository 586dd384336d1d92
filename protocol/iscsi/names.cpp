#include "protocol/iscsi/names.h"

#include <algorithm>

namespace protocol::iscsi {
namespace {

bool is_decimal(char c) { return c >= '0' && c <= '9'; }
bool is_hexadecimal(char c) { return is_decimal(c) || (c >= 'a' && c <= 'f'); }
bool is_letter_or_digit(char c) { return is_decimal(c) || (c >= 'a' && c <= 'z'); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// "yyyy-mm." at the front of `rest`.
bool begins_with_date(std::string_view rest) {
  if (rest.size() < 8 || rest[4] != '-' || rest[7] != '.') return false;
  for (const std::size_t at : {0u, 1u, 2u, 3u, 5u, 6u}) {
    if (!is_decimal(rest[at])) return false;
  }
  const int month = (rest[5] - '0') * 10 + (rest[6] - '0');
  return month >= 1 && month <= 12;
}

// Labels of letters, digits, hyphens and underscores, joined by single dots.
bool is_reversed_domain(std::string_view domain) {
  while (true) {
    const auto dot = domain.find('.');
    const auto label = domain.substr(0, dot);
    if (label.empty() || label.size() > 63) return false;
    if (!std::all_of(label.begin(), label.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; })) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

engine::Result<void, NameError> check_iqn(std::string_view rest) {
  if (!std::all_of(rest.begin(), rest.end(), [](char c) {
        return is_letter_or_digit(c) || c == '-' || c == '.' || c == ':' || c == '_';
      })) {
    return NameError::wrong_character;
  }
  if (!begins_with_date(rest)) return NameError::wrong_date;
  rest.remove_prefix(8);
  const auto colon = rest.find(':');
  if (!is_reversed_domain(rest.substr(0, colon))) return NameError::wrong_domain;
  if (colon != std::string_view::npos && colon + 1 == rest.size()) return NameError::wrong_domain;
  return engine::success();
}

bool is_digits(std::string_view rest) {
  return std::all_of(rest.begin(), rest.end(), is_hexadecimal);
}

}  // namespace

std::string_view text_of(NameError error) {
  switch (error) {
    case NameError::empty:
      return "is empty";
    case NameError::too_long:
      return "is longer than 223 bytes";
    case NameError::wrong_type:
      return "begins with none of \"iqn.\", \"eui.\" and \"naa.\"";
    case NameError::wrong_character:
      return "has a character other than letters, digits, \"-\", \".\", \":\" and \"_\"";
    case NameError::wrong_date:
      return "has no date of the form yyyy-mm after \"iqn.\"";
    case NameError::wrong_domain:
      return "has no reversed domain name after its date, or nothing after its colon";
    case NameError::wrong_digits:
      return "has not 16 hexadecimal digits (\"naa.\": 16 or 32)";
  }
  return "is no name of an iSCSI node";
}

engine::Result<std::string, NameError> normalise_name(std::string_view name) {
  if (name.empty()) return NameError::empty;
  if (name.size() > largest_name_bytes) return NameError::too_long;
  std::string normal(name);
  std::transform(normal.begin(), normal.end(), normal.begin(), lower);
  constexpr std::size_t type_bytes = 4;
  const auto type = std::string_view(normal).substr(0, type_bytes);
  const auto rest = std::string_view(normal).substr(type.size());
  if (type == "iqn.") {
    TRY(check_iqn(rest));
  } else if (type == "eui.") {
    if (rest.size() != 16 || !is_digits(rest)) return NameError::wrong_digits;
  } else if (type == "naa.") {
    if ((rest.size() != 16 && rest.size() != 32) || !is_digits(rest)) {
      return NameError::wrong_digits;
    }
  } else {
    return NameError::wrong_type;
  }
  return normal;
}

}  // namespace protocol::iscsi
