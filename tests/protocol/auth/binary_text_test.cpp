// Both forms of bytes as text, and what is neither.
#include "protocol/auth/binary_text.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/wire/hex.h"

namespace protocol::auth {
namespace {

using wire::bytes_from_hex;
using wire::hex;

std::string parsed(std::string_view text, std::size_t most_bytes = 1024) {
  const auto bytes = parse_binary(text, most_bytes);
  return bytes ? hex(*bytes) : "none";
}

TEST(BinaryText, HexadecimalIsReadInBothCases) {
  EXPECT_EQ(parsed("0x00ff10aB"), "00 ff 10 ab");
  EXPECT_EQ(parsed("0X00FF10Ab"), "00 ff 10 ab");
}

TEST(BinaryText, AnOddNumberOfDigitsHasAZeroInFront) {
  EXPECT_EQ(parsed("0x1"), "01");
  EXPECT_EQ(parsed("0xabc"), "0a bc");
}

// RFC 4648, section 10.
TEST(BinaryText, Base64IsReadAtEveryPadding) {
  EXPECT_EQ(parsed("0bZg=="), "66");
  EXPECT_EQ(parsed("0bZm8="), "66 6f");
  EXPECT_EQ(parsed("0bZm9v"), "66 6f 6f");
  EXPECT_EQ(parsed("0BZm9vYmFy"), "66 6f 6f 62 61 72");
  EXPECT_EQ(parsed("0b+/+/"), "fb ff bf");
}

TEST(BinaryText, WhatIsNeitherIsNone) {
  for (const std::string_view text :
       {"", "0", "0x", "0b", "1x00", "x00", "00", "0y00", "0xg0", "0x0 ", "0x-1", "0bZg",
        "0bZg=", "0bZ===", "0b====", "0bZg==Zg==", "0bZm9v\n", "0bZ-9_", "0b=Zg="}) {
    EXPECT_EQ(parsed(text), "none") << text;
  }
}

TEST(BinaryText, Base64WithBitsLeftOverIsNone) {
  EXPECT_EQ(parsed("0bZh=="), "none");
  EXPECT_EQ(parsed("0bZm9="), "none");
}

TEST(BinaryText, MoreThanIsWantedIsNone) {
  EXPECT_EQ(parsed("0x0102", 2), "01 02");
  EXPECT_EQ(parsed("0x010203", 2), "none");
  EXPECT_EQ(parsed("0bZm8=", 2), "66 6f");
  EXPECT_EQ(parsed("0bZm9v", 2), "none");
}

TEST(BinaryText, BothFormsAreWrittenAsTheyAreRead) {
  EXPECT_EQ(to_hex(bytes_from_hex("00ff10ab")), "0x00ff10ab");
  EXPECT_EQ(to_base64(bytes_from_hex("000102030405060708090a0b0c0d0e0f")),
            "0bAAECAwQFBgcICQoLDA0ODw==");
  std::vector<std::byte> bytes;
  for (unsigned i = 1; i < 70; ++i) {
    bytes.push_back(static_cast<std::byte>(i * 37));
    EXPECT_EQ(parsed(to_hex(bytes)), hex(bytes));
    EXPECT_EQ(parsed(to_base64(bytes)), hex(bytes));
  }
}

}  // namespace
}  // namespace protocol::auth
