// One exchange: every algorithm, every way to fail.
#include "protocol/auth/chap_authenticator.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/protocol/wire/hex.h"

namespace protocol::auth {
namespace {

using wire::bytes_from_hex;
using wire::hex;

constexpr std::uint8_t identifier = 7;
constexpr std::string_view initiator_secret = "initiator secret";
constexpr std::string_view target_secret = "target secret...";

const std::vector<std::byte>& our_challenge() {
  static const auto challenge = bytes_from_hex("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  return challenge;
}

ChapCredentials credentials() {
  ChapCredentials both;
  both.initiator = {"host", std::string(initiator_secret)};
  both.target = ChapAccount{"array", std::string(target_secret)};
  return both;
}

ChapAuthenticator authenticator(ChapCredentials known = credentials()) {
  return {std::move(known), identifier, our_challenge()};
}

std::vector<std::byte> response_with(ChapAlgorithm algorithm, std::string_view secret) {
  const auto response = chap_response(algorithm, identifier, secret, our_challenge());
  return {response->bytes().begin(), response->bytes().end()};
}

ChapAuthenticator after_choice(ChapAlgorithm algorithm, ChapCredentials known = credentials()) {
  auto chap = authenticator(std::move(known));
  const std::uint64_t offered[] = {static_cast<std::uint64_t>(algorithm)};
  EXPECT_TRUE(chap.choose(offered).has_value());
  return chap;
}

TEST(ChapAuthenticator, TheInitiatorsOrderDecides) {
  const std::uint64_t offered[] = {99, 5, 8};
  EXPECT_EQ(authenticator().choose(offered).value(), ChapAlgorithm::md5);
  const std::uint64_t other[] = {8, 7, 6, 5};
  EXPECT_EQ(authenticator().choose(other).value(), ChapAlgorithm::sha3_256);
}

TEST(ChapAuthenticator, WhatIsNotAllowedIsPassedOver) {
  auto known = credentials();
  known.algorithms = {ChapAlgorithm::sha256};
  const std::uint64_t offered[] = {5, 6, 8, 7};
  EXPECT_EQ(authenticator(known).choose(offered).value(), ChapAlgorithm::sha256);
}

TEST(ChapAuthenticator, NothingInCommon) {
  const std::uint64_t unknown[] = {56, 0, 5ULL << 32 | 5, 261};
  EXPECT_EQ(authenticator().choose(unknown).error(), ChapFault::no_common_algorithm);
  EXPECT_EQ(authenticator().choose({}).error(), ChapFault::no_common_algorithm);
}

TEST(ChapAuthenticator, TheRightSecretIsAccepted) {
  for (const auto algorithm :
       {ChapAlgorithm::md5, ChapAlgorithm::sha1, ChapAlgorithm::sha256, ChapAlgorithm::sha3_256}) {
    const auto chap = after_choice(algorithm);
    EXPECT_EQ(chap.verify("host", response_with(algorithm, initiator_secret)), std::nullopt);
  }
}

TEST(ChapAuthenticator, AnythingElseIsNot) {
  const auto chap = after_choice(ChapAlgorithm::sha256);
  const auto right = response_with(ChapAlgorithm::sha256, initiator_secret);
  EXPECT_EQ(chap.verify("Host", right), ChapFault::wrong_name);
  EXPECT_EQ(chap.verify("", right), ChapFault::wrong_name);
  EXPECT_EQ(chap.verify("host", response_with(ChapAlgorithm::sha256, target_secret)),
            ChapFault::wrong_response);
  EXPECT_EQ(chap.verify("host", response_with(ChapAlgorithm::md5, initiator_secret)),
            ChapFault::wrong_response);
  EXPECT_EQ(chap.verify("host", {}), ChapFault::wrong_response);
  for (std::size_t i = 0; i < right.size(); ++i) {
    auto damaged = right;
    damaged[i] ^= std::byte{1};
    EXPECT_EQ(chap.verify("host", damaged), ChapFault::wrong_response);
    EXPECT_EQ(chap.verify("host", std::span(right).first(i)), ChapFault::wrong_response);
  }
  auto longer = right;
  longer.insert(longer.begin(), std::byte{});
  EXPECT_EQ(chap.verify("host", longer), ChapFault::wrong_response);
}

TEST(ChapAuthenticator, NothingIsVerifiedBeforeAnAlgorithmIsChosen) {
  EXPECT_EQ(authenticator().verify("host", {}), ChapFault::out_of_sequence);
  EXPECT_EQ(authenticator().answer(1, our_challenge()).error(), ChapFault::out_of_sequence);
}

TEST(ChapAuthenticator, AnswersTheInitiatorsChallenge) {
  const auto theirs = bytes_from_hex("0102030405060708");
  const auto answer = after_choice(ChapAlgorithm::sha1).answer(200, theirs);
  EXPECT_EQ(answer.value().name, "array");
  EXPECT_EQ(hex(answer.value().response.bytes()),
            hex(chap_response(ChapAlgorithm::sha1, 200, target_secret, theirs)->bytes()));
}

TEST(ChapAuthenticator, OurOwnChallengeIsNotAnswered) {
  const auto chap = after_choice(ChapAlgorithm::md5);
  EXPECT_EQ(chap.answer(identifier, our_challenge()).error(), ChapFault::reflected_challenge);
  EXPECT_EQ(chap.answer(identifier + 1, our_challenge()).error(), ChapFault::reflected_challenge);
}

TEST(ChapAuthenticator, ChallengesOfOneToTheLongest) {
  const auto chap = after_choice(ChapAlgorithm::md5);
  EXPECT_EQ(chap.answer(1, {}).error(), ChapFault::bad_value);
  EXPECT_TRUE(chap.answer(1, std::vector<std::byte>(longest_challenge_bytes)).has_value());
  EXPECT_EQ(chap.answer(1, std::vector<std::byte>(longest_challenge_bytes + 1)).error(),
            ChapFault::bad_value);
}

TEST(ChapAuthenticator, WithoutAnAccountOfOursThereIsNoMutualChap) {
  auto known = credentials();
  known.target.reset();
  EXPECT_EQ(after_choice(ChapAlgorithm::md5, known).answer(1, bytes_from_hex("01")).error(),
            ChapFault::no_target_account);
}

TEST(ChapAuthenticator, OneSecretForBothDirectionsIsRefused) {
  auto known = credentials();
  known.target->secret = known.initiator.secret;
  EXPECT_EQ(after_choice(ChapAlgorithm::md5, known).answer(1, bytes_from_hex("01")).error(),
            ChapFault::same_secret);
}

TEST(ChapAuthenticator, EveryFaultHasAText) {
  for (int fault = 0; fault <= static_cast<int>(ChapFault::out_of_sequence); ++fault) {
    EXPECT_NE(text_of(static_cast<ChapFault>(fault)), "unknown fault");
  }
}

}  // namespace
}  // namespace protocol::auth
