// Text of Login and Text PDUs: lists of key=value, each with a NUL behind it (RFC 7143, 6.1), that
// may go on over several PDUs (C bit).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/foundation/result.h"

namespace protocol::iscsi {

inline constexpr std::size_t largest_key_bytes = 63;
// No value that anybody sends is longer: a CHAP value of 1024 bytes in hexadecimal.
inline constexpr std::size_t largest_value_bytes = 2050;
// Of one negotiation step, over all its PDUs. A login of a stock initiator has less than 1 KiB.
inline constexpr std::size_t largest_text_bytes = 16384;
// Pairs in it.
inline constexpr std::size_t most_pairs = 128;

// Values that are answers of their own (6.2). None of them is ever a proposal.
inline constexpr std::string_view value_reject = "Reject";
inline constexpr std::string_view value_irrelevant = "Irrelevant";
inline constexpr std::string_view value_not_understood = "NotUnderstood";
inline constexpr std::string_view value_none = "None";
inline constexpr std::string_view value_yes = "Yes";
inline constexpr std::string_view value_no = "No";

enum class TextError : std::uint8_t {
  too_long,        // more than largest_text_bytes in one step
  too_many_pairs,  // more than most_pairs
  unterminated,    // no NUL behind the last pair
  no_equals,       // a pair without "="
  bad_key,         // empty, longer than 63 bytes, or with a character that no key has
  bad_value,       // longer than largest_value_bytes, or with a control character
};
[[nodiscard]] std::string_view text_of(TextError error);

struct KeyValue {
  std::string_view key;
  std::string_view value;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

// Pair by pair. The views are into the text, which outlives them.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : rest_(text) {}

  // The next pair; nullopt at the end. After an error nothing more is to be read.
  [[nodiscard]] engine::Result<std::optional<KeyValue>, TextError> next();

 private:
  std::string_view rest_;
  std::size_t pairs_ = 0;
};

// Puts the pieces of one step together.
class TextGatherer {
 public:
  // `piece` continues the text. Error: too_long.
  [[nodiscard]] engine::Result<void, TextError> add(std::span<const std::byte> piece);
  [[nodiscard]] std::string_view text() const { return text_; }
  // The next step begins; views into the text end. Memory is kept only where it is little.
  void clear();

 private:
  std::string text_;
};

// What is answered: written as a whole, sent in pieces of what the host takes in one PDU.
class TextWriter {
 public:
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint64_t value);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

// Sends a text piece by piece; a piece may end anywhere, also within a pair (6.1).
class TextPieces {
 public:
  TextPieces() = default;
  explicit TextPieces(std::string text) : text_(std::move(text)) {}

  // The next piece, at most `most_bytes` (not 0) of it. Views this object.
  [[nodiscard]] std::span<const std::byte> take(std::size_t most_bytes);
  // More is to come: the PDU with the last piece has its C bit set.
  [[nodiscard]] bool more() const { return at_ < text_.size(); }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

// Values.

// A numerical value: decimal, or hexadecimal behind 0x (6.1); nullopt for anything else, and above
// 2^64 - 1.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view value);
// The next of the values of a list, taken off its front; nullopt at its end. An empty one is given
// like any other.
[[nodiscard]] std::optional<std::string_view> take_from_list(std::string_view& list);

}  // namespace protocol::iscsi
