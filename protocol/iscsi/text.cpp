#include "protocol/iscsi/text.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace protocol::iscsi {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "standard-label" of 6.1, and "#" of public extension keys.
bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '-' ||
         c == '+' || c == '@' || c == '_' || c == '#';
}

// Values go into logs and terminals.
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// The value of a digit; 16 of what is none.
unsigned digit_value(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return 16;
}

}  // namespace

std::string_view text_of(TextError error) {
  switch (error) {
    case TextError::too_long:
      return "more text than a negotiation has";
    case TextError::too_many_pairs:
      return "more keys than a negotiation has";
    case TextError::unterminated:
      return "no NUL behind the last key";
    case TextError::no_equals:
      return "a key without \"=\"";
    case TextError::bad_key:
      return "not a key name";
    case TextError::bad_value:
      return "a value too long or not printable";
  }
  return "unknown error";
}

engine::Result<std::optional<KeyValue>, TextError> TextReader::next() {
  // "At least one" NUL stands behind a pair: more of them are nothing.
  rest_.remove_prefix(std::min(rest_.find_first_not_of('\0'), rest_.size()));
  if (rest_.empty()) return std::nullopt;
  if (++pairs_ > most_pairs) return TextError::too_many_pairs;
  const auto end = rest_.find('\0');
  if (end == std::string_view::npos) return TextError::unterminated;
  const auto pair = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  const auto equals = pair.find('=');
  if (equals == std::string_view::npos) return TextError::no_equals;
  const KeyValue read{.key = pair.substr(0, equals), .value = pair.substr(equals + 1)};
  if (read.key.empty() || read.key.size() > largest_key_bytes ||
      !std::all_of(read.key.begin(), read.key.end(), is_key_character)) {
    return TextError::bad_key;
  }
  if (read.value.size() > largest_value_bytes ||
      std::any_of(read.value.begin(), read.value.end(), is_control)) {
    return TextError::bad_value;
  }
  return read;
}

engine::Result<void, TextError> TextGatherer::add(std::span<const std::byte> piece) {
  if (piece.size() > largest_text_bytes - text_.size()) return TextError::too_long;
  text_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return engine::success();
}

void TextGatherer::clear() {
  constexpr std::size_t little = 1024;
  if (text_.capacity() <= little) {
    text_.clear();
  } else {
    text_ = std::string();
  }
}

void TextWriter::add(std::string_view key, std::string_view value) {
  text_.append(key).append(1, '=').append(value).append(1, '\0');
}

void TextWriter::add(std::string_view key, std::uint64_t value) { add(key, std::to_string(value)); }

std::span<const std::byte> TextPieces::take(std::size_t most_bytes) {
  CHECK(most_bytes != 0);
  const std::string_view piece = std::string_view(text_).substr(at_, most_bytes);
  at_ += piece.size();
  return std::as_bytes(std::span(piece.data(), piece.size()));
}

std::optional<std::uint64_t> parse_number(std::string_view value) {
  unsigned base = 10;
  if (value.starts_with("0x") || value.starts_with("0X")) {
    base = 16;
    value.remove_prefix(2);
  }
  if (value.empty()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : value) {
    const unsigned digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    if (number > (UINT64_MAX - digit) / base) return std::nullopt;
    number = number * base + digit;
  }
  return number;
}

std::optional<std::string_view> take_from_list(std::string_view& list) {
  // A taken list has no data any more: an empty one still has one value, which is empty.
  if (list.data() == nullptr) return std::nullopt;
  const auto comma = list.find(',');
  const auto value = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return value;
}

}  // namespace protocol::iscsi
