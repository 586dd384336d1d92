// Responses against values computed elsewhere (Python's hashlib).
#include "protocol/auth/chap.h"

#include <gtest/gtest.h>

#include "tests/protocol/wire/hex.h"

namespace protocol::auth {
namespace {

using wire::bytes_from_hex;
using wire::hex;

constexpr std::string_view secret = "a secret of some length";
constexpr std::uint8_t chap_identifier = 0x25;
constexpr std::string_view challenge = "000102030405060708090a0b0c0d0e0f";

std::string response_of(ChapAlgorithm algorithm) {
  const auto response =
      chap_response(algorithm, chap_identifier, secret, bytes_from_hex(challenge));
  return response ? hex(response->bytes()) : "none";
}

TEST(Chap, KnownAnswers) {
  EXPECT_EQ(response_of(ChapAlgorithm::md5), "78 6b 32 0f 36 dc 5a 1f d0 c8 97 04 e0 a5 ba bc");
  EXPECT_EQ(response_of(ChapAlgorithm::sha1),
            "87 26 c3 84 89 7a c4 55 94 df 48 93 93 49 5d 87 e8 c4 6e d8");
  EXPECT_EQ(
      response_of(ChapAlgorithm::sha256),
      "f1 d3 a0 17 2e 4c 10 4f e7 83 f4 05 63 1d d8 d8 e3 31 ae 63 f3 85 8a 89 8c aa 80 8c 5e "
      "0d ed 2e");
  EXPECT_EQ(
      response_of(ChapAlgorithm::sha3_256),
      "39 18 97 e5 48 a7 67 38 3a 80 e6 a0 60 57 4c da 3f 8a 48 5b 1d 3c d9 6d c3 a7 5b 3d 20 "
      "f9 8d 99");
}

TEST(Chap, EveryAlgorithmIsAvailableAndAsLongAsItSays) {
  for (const auto algorithm :
       {ChapAlgorithm::md5, ChapAlgorithm::sha1, ChapAlgorithm::sha256, ChapAlgorithm::sha3_256}) {
    EXPECT_TRUE(is_available(algorithm));
    EXPECT_EQ(chap_response(algorithm, 0, secret, {})->size, response_bytes(algorithm));
  }
}

TEST(Chap, AlgorithmsThatDoNotExistAreNotAvailable) {
  EXPECT_FALSE(is_available(static_cast<ChapAlgorithm>(9)));
  EXPECT_FALSE(chap_response(static_cast<ChapAlgorithm>(9), 0, secret, {}).has_value());
}

TEST(Chap, SecretsOfTwelveToTwoHundredFiftySixBytes) {
  EXPECT_FALSE(is_secret_length(0));
  EXPECT_FALSE(is_secret_length(11));
  EXPECT_TRUE(is_secret_length(12));
  EXPECT_TRUE(is_secret_length(256));
  EXPECT_FALSE(is_secret_length(257));
}

TEST(Chap, Equality) {
  const auto a = bytes_from_hex("010203");
  EXPECT_TRUE(equal_in_constant_time(a, bytes_from_hex("010203")));
  EXPECT_FALSE(equal_in_constant_time(a, bytes_from_hex("010204")));
  EXPECT_FALSE(equal_in_constant_time(a, bytes_from_hex("0102")));
  EXPECT_FALSE(equal_in_constant_time(a, bytes_from_hex("01020300")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace protocol::auth
