// Text: pairs and their limits, pieces, numbers and lists.
#include "protocol/iscsi/text.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/protocol/iscsi/initiator_pdus.h"

namespace protocol::iscsi {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

engine::Result<std::vector<KeyValue>, TextError> read_all(std::string_view text) {
  std::vector<KeyValue> pairs;
  TextReader reader(text);
  for (;;) {
    TRY(const auto pair, reader.next());
    if (!pair) return pairs;
    pairs.push_back(*pair);
  }
}

TextError error_of(std::string_view text) {
  const auto pairs = read_all(text);
  EXPECT_FALSE(pairs.has_value()) << text;
  return pairs.has_value() ? TextError{} : pairs.error();
}

TEST(TextReader, PairsInTheirOrder) {
  const auto pairs = read_all("InitiatorName=iqn.2001-04.com.example\0X-com.example.a=b=c\0A=\0"sv);
  ASSERT_TRUE(pairs.has_value());
  const std::vector<KeyValue> expected{
      {"InitiatorName", "iqn.2001-04.com.example"}, {"X-com.example.a", "b=c"}, {"A", ""}};
  EXPECT_EQ(pairs.value(), expected);
}

TEST(TextReader, MoreNulsThanOneAreNothing) {
  EXPECT_EQ(read_all("\0\0A=1\0\0\0B=2\0\0"sv).value().size(), 2U);
  EXPECT_TRUE(read_all("\0\0\0\0"sv).value().empty());
  EXPECT_TRUE(read_all("").value().empty());
}

TEST(TextReader, EveryTruncationIsNoticedOrShorter) {
  constexpr auto text = "InitialR2T=No\0MaxBurstLength=512\0"sv;
  for (std::size_t length = 1; length < text.size(); ++length) {
    const auto pairs = read_all(text.substr(0, length));
    if (text[length - 1] == '\0') {
      EXPECT_EQ(pairs.value().size(), 1U);
    } else {
      EXPECT_EQ(pairs.error(), TextError::unterminated) << length;
    }
  }
}

TEST(TextReader, BadPairs) {
  EXPECT_EQ(error_of("InitialR2T\0"sv), TextError::no_equals);
  EXPECT_EQ(error_of("=Yes\0"sv), TextError::bad_key);
  EXPECT_EQ(error_of("Initial R2T=Yes\0"sv), TextError::bad_key);
  EXPECT_EQ(error_of("\x7f=Yes\0"sv), TextError::bad_key);
  EXPECT_EQ(error_of("\xc3\xa4=Yes\0"sv), TextError::bad_key);
  EXPECT_EQ(error_of("A=\x1b[31m\0"sv), TextError::bad_value);
  EXPECT_EQ(error_of("A=b\nc\0"sv), TextError::bad_value);
}

TEST(TextReader, LongestKeyAndValue) {
  const std::string key(largest_key_bytes, 'k');
  const std::string value(largest_value_bytes, 'v');
  EXPECT_TRUE(read_all(key + "=" + value + '\0').has_value());
  EXPECT_EQ(error_of(key + "k=v" + '\0'), TextError::bad_key);
  EXPECT_EQ(error_of("k=" + value + "v" + '\0'), TextError::bad_value);
}

TEST(TextReader, ABombOfPairsEnds) {
  std::string text;
  for (std::size_t i = 0; i < most_pairs; ++i) text += "a="s + '\0';
  EXPECT_EQ(read_all(text).value().size(), most_pairs);
  EXPECT_EQ(error_of(text + "a=" + '\0'), TextError::too_many_pairs);
}

TEST(TextGatherer, PiecesBecomeOneText) {
  TextGatherer gatherer;
  ASSERT_TRUE(gatherer.add(text_bytes("InitialR")).has_value());
  ASSERT_TRUE(gatherer.add(text_bytes("2T=Yes\0A"sv)).has_value());
  ASSERT_TRUE(gatherer.add(text_bytes("=B\0"sv)).has_value());
  EXPECT_EQ(gatherer.text(), "InitialR2T=Yes\0A=B\0"sv);
  gatherer.clear();
  EXPECT_TRUE(gatherer.text().empty());
}

TEST(TextGatherer, TakesNoMoreThanTheLargestText) {
  TextGatherer gatherer;
  ASSERT_TRUE(gatherer.add(Bytes(largest_text_bytes)).has_value());
  EXPECT_EQ(gatherer.add(Bytes(1)).error(), TextError::too_long);
  EXPECT_EQ(gatherer.text().size(), largest_text_bytes);
  gatherer.clear();
  EXPECT_EQ(gatherer.add(Bytes(largest_text_bytes + 1)).error(), TextError::too_long);
}

TEST(TextWriter, WhatIsWrittenCanBeRead) {
  TextWriter writer;
  EXPECT_TRUE(writer.empty());
  writer.add("HeaderDigest", "None");
  writer.add("MaxBurstLength", std::uint64_t{16777215});
  EXPECT_EQ(writer.text(), "HeaderDigest=None\0MaxBurstLength=16777215\0"sv);
}

TEST(TextPieces, EveryPieceSizeGivesTheWholeText) {
  const std::string text = "HeaderDigest=None\0MaxBurstLength=16777215\0"s;
  for (std::size_t most = 1; most <= text.size() + 1; ++most) {
    TextPieces pieces(text);
    std::string together;
    while (pieces.more()) {
      const auto piece = pieces.take(most);
      ASSERT_FALSE(piece.empty());
      ASSERT_LE(piece.size(), most);
      together.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    EXPECT_EQ(together, text);
  }
}

TEST(TextPieces, NothingIsOnePieceOfNothing) {
  TextPieces none;
  EXPECT_FALSE(none.more());
  EXPECT_TRUE(none.take(8192).empty());
}

TEST(TextValues, Numbers) {
  EXPECT_EQ(parse_number("0"), 0U);
  EXPECT_EQ(parse_number("16777215"), 16777215U);
  EXPECT_EQ(parse_number("0xff"), 255U);
  EXPECT_EQ(parse_number("0XfF"), 255U);
  EXPECT_EQ(parse_number("007"), 7U);
  EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_number("0xffffffffffffffff"), UINT64_MAX);
  for (const auto bad : {"", "0x", "x1", "-1", "+1", " 1", "1 ", "1a", "0xg", "1.0", "1,2",
                         "18446744073709551616", "0x10000000000000000"}) {
    EXPECT_EQ(parse_number(bad), std::nullopt) << bad;
  }
}

std::vector<std::string_view> list_of(std::string_view list) {
  std::vector<std::string_view> values;
  while (const auto value = take_from_list(list)) values.push_back(*value);
  return values;
}

TEST(TextValues, Lists) {
  using Values = std::vector<std::string_view>;
  EXPECT_EQ(list_of("CRC32C,None"), (Values{"CRC32C", "None"}));
  EXPECT_EQ(list_of("None"), (Values{"None"}));
  EXPECT_EQ(list_of(""), (Values{""}));
  EXPECT_EQ(list_of(","), (Values{"", ""}));
  EXPECT_EQ(list_of("a,,b,"), (Values{"a", "", "b", ""}));
}

TEST(TextErrors, EveryErrorHasAText) {
  for (int error = 0; error <= static_cast<int>(TextError::bad_value); ++error) {
    EXPECT_NE(text_of(static_cast<TextError>(error)), "unknown error");
  }
}

}  // namespace
}  // namespace protocol::iscsi
