#include "protocol/nvme/nqn.h"

#include <algorithm>
#include <cstdint>

#include "engine/foundation/uuid.h"

namespace protocol::nvme {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Well-formed UTF-8 (no overlong forms, surrogates or values above 10FFFFh) without control
// characters: these names go into logs and terminals.
bool is_printable_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    if (lead < 0x20 || lead == 0x7f) return false;
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || text.size() - i < length) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      if ((next & 0xc0u) != 0x80) return false;
      point = (point << 6) | (next & 0x3fu);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x1'0000);
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    const bool control = point >= 0x80 && point < 0xa0;
    if (overlong || surrogate || control || point > 0x10'ffff) return false;
    i += length;
  }
  return true;
}

// "yyyy-mm." at the front of `rest`.
bool starts_with_date(std::string_view rest) {
  if (rest.size() < 8 || rest[4] != '-' || rest[7] != '.') return false;
  for (const std::size_t at : {0u, 1u, 2u, 3u, 5u, 6u}) {
    if (!is_digit(rest[at])) return false;
  }
  const int month = (rest[5] - '0') * 10 + (rest[6] - '0');
  return month >= 1 && month <= 12;
}

// Labels of letters, digits and inner hyphens, 1..63 each, joined by single dots.
bool is_domain(std::string_view domain) {
  if (domain.empty()) return false;
  while (true) {
    const auto dot = domain.find('.');
    const auto label = domain.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
      return false;
    if (!std::all_of(label.begin(), label.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '-'; })) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<NqnError> check_nqn(std::string_view nqn) {
  if (nqn.empty()) return NqnError::empty;
  if (nqn.size() > max_nqn_bytes) return NqnError::too_long;
  if (!is_printable_utf8(nqn)) return NqnError::not_text;
  constexpr std::string_view prefix = "nqn.";
  if (!nqn.starts_with(prefix)) return NqnError::wrong_prefix;
  if (nqn.starts_with(uuid_nqn_prefix)) {
    if (!engine::Uuid::parse(nqn.substr(uuid_nqn_prefix.size()))) return NqnError::wrong_uuid;
    return std::nullopt;
  }
  auto rest = nqn.substr(prefix.size());
  if (!starts_with_date(rest)) return NqnError::wrong_date;
  rest.remove_prefix(8);
  const auto colon = rest.find(':');
  if (!is_domain(rest.substr(0, colon))) return NqnError::wrong_domain;
  if (colon != std::string_view::npos && colon + 1 == rest.size()) return NqnError::wrong_domain;
  return std::nullopt;
}

std::string_view text_of(NqnError error) {
  switch (error) {
    case NqnError::empty:
      return "is empty";
    case NqnError::too_long:
      return "is longer than 223 bytes";
    case NqnError::not_text:
      return "is not printable UTF-8";
    case NqnError::wrong_prefix:
      return "does not begin with \"nqn.\"";
    case NqnError::wrong_date:
      return "has no date of the form yyyy-mm after \"nqn.\"";
    case NqnError::wrong_domain:
      return "has no reversed domain name after its date, or nothing after its colon";
    case NqnError::wrong_uuid:
      return "has no UUID after \"uuid:\"";
  }
  return "is not an NQN";
}

std::optional<std::string_view> nqn_in_field(std::span<const char, nqn_field_bytes> field) {
  const auto end = std::find(field.begin(), field.begin() + max_nqn_bytes + 1, '\0');
  if (end == field.begin() + max_nqn_bytes + 1) return std::nullopt;
  return std::string_view(field.data(), static_cast<std::size_t>(end - field.begin()));
}

}  // namespace protocol::nvme
