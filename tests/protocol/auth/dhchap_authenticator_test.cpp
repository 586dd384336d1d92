// The controller's side of a transaction: every message byte for byte, every way to fail.
#include "protocol/auth/dhchap_authenticator.h"

#include <gtest/gtest.h>

#include "tests/protocol/wire/hex.h"

namespace protocol::auth {
namespace {

using namespace std::chrono_literals;
using wire::bytes_from_hex;
using Bytes = std::vector<std::byte>;
using State = DhchapAuthenticator::State;

// Without the spaces that make it readable.
std::string hex(std::span<const std::byte> bytes) {
  std::string digits = wire::hex(bytes);
  std::erase(digits, ' ');
  return digits;
}

constexpr std::string_view host_nqn = "nqn.2026-11.com.example:host";
constexpr std::string_view subsystem_nqn = "nqn.2026-11.com.example:store1.db";
constexpr std::uint32_t our_sequence = 0x11223344;
constexpr auto now = 1'000'000ms;

DhchapSecret secret(unsigned fill) {
  return {.bytes = Bytes(32, static_cast<std::byte>(fill)), .transformation = DhchapHash::sha256};
}

DhchapCredentials credentials() {
  return {.keys = {.host = secret(1), .controller = secret(2)},
          .hashes = {DhchapHash::sha256, DhchapHash::sha384, DhchapHash::sha512},
          .groups = {DhGroup::ffdhe2048, DhGroup::null}};
}
DhchapCredentials without_groups() {
  auto known = credentials();
  known.groups = {DhGroup::null};
  return known;
}

DhchapAuthenticator authenticator(std::optional<DhchapCredentials> known = without_groups()) {
  return {std::move(known), std::string(host_nqn), std::string(subsystem_nqn)};
}

DhchapAuthenticator::Randomness randomness() {
  DhchapAuthenticator::Randomness random{.challenge = {}, .sequence = our_sequence};
  random.challenge.fill(std::byte{0xa5});
  return random;
}

// Brings a message and does the work it makes.
void give(DhchapAuthenticator& side, const Bytes& message, std::chrono::milliseconds wall = now) {
  if (const auto work = side.take(message, randomness(), wall)) {
    EXPECT_TRUE(side.pending().empty());
    work->run();
    side.finish(*work);
  }
}
Bytes fetch(DhchapAuthenticator& side) {
  const Bytes message(side.pending().begin(), side.pending().end());
  if (!message.empty()) side.sent();
  return message;
}

Bytes negotiate(std::string_view hashes = "010203", std::string_view groups = "0001") {
  const auto list = [](std::string_view ids) {
    std::string text(ids);
    text.resize(60, '0');
    return text;
  };
  const auto count = [](std::string_view ids) {
    return std::string("0") + static_cast<char>('0' + ids.size() / 2);
  };
  return bytes_from_hex(
      "000000000700"
      "00"
      "01"
      "0100" +
      count(hashes) + count(groups) + list(hashes) + list(groups));
}

struct ReplyFields {
  unsigned key = 1;
  std::uint16_t transaction = 7;
  bool mutual = false;
  std::byte host_challenge{0x5a};
  DhchapHash hash = DhchapHash::sha256;
  Bytes shared = {};
  Bytes public_value = {};
};
Bytes reply(const ReplyFields& fields = {}) {
  const Bytes challenge(hash_bytes(fields.hash), std::byte{0xa5});
  const DhchapExchange exchange{.hash = fields.hash,
                                .transaction = 7,
                                .host_nqn = host_nqn,
                                .subsystem_nqn = subsystem_nqn,
                                .shared_secret = fields.shared};
  const auto response = host_response(exchange, secret(fields.key), challenge, our_sequence);
  Bytes bytes = bytes_from_hex(
      "01020000"
      "0000"
      "0000"
      "0000"
      "0000"
      "00000000");
  bytes[4] = static_cast<std::byte>(fields.transaction);
  bytes[6] = static_cast<std::byte>(response.size);
  bytes[8] = static_cast<std::byte>(fields.mutual);
  bytes[10] = static_cast<std::byte>(fields.public_value.size() & 0xff);
  bytes[11] = static_cast<std::byte>(fields.public_value.size() >> 8);
  if (fields.mutual) bytes[12] = std::byte{0x99};
  bytes.insert(bytes.end(), response.bytes().begin(), response.bytes().end());
  bytes.insert(bytes.end(), response.size, fields.mutual ? fields.host_challenge : std::byte{});
  bytes.insert(bytes.end(), fields.public_value.begin(), fields.public_value.end());
  return bytes;
}
Bytes success2() { return bytes_from_hex("01040000070000000000000000000000"); }

std::string failure1(AuthFailure failure, std::string_view transaction = "0700") {
  const std::byte number[] = {static_cast<std::byte>(failure)};
  return "00f10000" + std::string(transaction) + "01" + hex(number);
}

TEST(DhchapAuthenticator, AHostThatKnowsTheSecretProvesItself) {
  auto side = authenticator();
  give(side, negotiate());
  EXPECT_EQ(side.state(), State::under_way);
  std::string challenge =
      "01010000"
      "0700"
      "20"
      "00"
      "01"
      "00"
      "0000"
      "44332211";
  for (int i = 0; i < 32; ++i) challenge += "a5";
  EXPECT_EQ(hex(fetch(side)), challenge);
  give(side, reply());
  EXPECT_EQ(side.state(), State::under_way) << "it has not been told yet";
  EXPECT_EQ(hex(fetch(side)),
            "01030000"
            "0700"
            "20"
            "00"
            "00"
            "00000000000000" +
                std::string(64, '0'));
  EXPECT_EQ(side.state(), State::proved);
  EXPECT_EQ(side.proof().hash, DhchapHash::sha256);
  EXPECT_FALSE(side.proof().mutual);
  EXPECT_FALSE(side.proof().previous_key);
}

TEST(DhchapAuthenticator, TheControllerProvesItselfWhereItIsAsked) {
  auto side = authenticator();
  give(side, negotiate("03"));
  (void)fetch(side);
  give(side, reply({.mutual = true, .hash = DhchapHash::sha512}));
  const Bytes success1 = fetch(side);
  ASSERT_EQ(success1.size(), 16U + 64);
  EXPECT_EQ(success1[8], std::byte{1});
  const Bytes asked(64, std::byte{0x5a});
  const auto expected = controller_response({.hash = DhchapHash::sha512,
                                             .transaction = 7,
                                             .host_nqn = host_nqn,
                                             .subsystem_nqn = subsystem_nqn},
                                            secret(2), asked, 0x99);
  EXPECT_EQ(hex(std::span(success1).subspan(16)), hex(expected.bytes()));
  EXPECT_EQ(side.state(), State::under_way) << "not before the host is content";
  give(side, success2());
  EXPECT_EQ(side.state(), State::proved);
  EXPECT_TRUE(side.proof().mutual);
  EXPECT_TRUE(side.pending().empty());
}

TEST(DhchapAuthenticator, DiffieHellmanAugmentsTheChallenge) {
  auto side = authenticator(credentials());
  give(side, negotiate());
  const Bytes challenge = fetch(side);
  ASSERT_EQ(challenge.size(), 16U + 32 + 256);
  EXPECT_EQ(challenge[9], std::byte{1});
  const auto key = DhKey::make(DhGroup::ffdhe2048);
  const auto shared = key->shared_secret(std::span(challenge).subspan(48));
  ASSERT_TRUE(shared.has_value());
  const Bytes value(key->public_value().begin(), key->public_value().end());
  give(side, reply({.shared = *shared, .public_value = value}));
  (void)fetch(side);
  EXPECT_EQ(side.state(), State::proved);
  EXPECT_EQ(side.proof().group, DhGroup::ffdhe2048);
}

TEST(DhchapAuthenticator, WhoKnowsOnlyTheSecretButNotTheExchangeFails) {
  auto side = authenticator(credentials());
  give(side, negotiate());
  (void)fetch(side);
  const auto key = DhKey::make(DhGroup::ffdhe2048);
  const Bytes value(key->public_value().begin(), key->public_value().end());
  give(side, reply({.public_value = value}));
  EXPECT_EQ(hex(fetch(side)), failure1(AuthFailure::authentication_failed));
  EXPECT_EQ(side.state(), State::failed);
}

TEST(DhchapAuthenticator, AWeakPublicValueIsMalformed) {
  auto side = authenticator(credentials());
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply({.public_value = Bytes(256)}));
  EXPECT_EQ(hex(fetch(side)), failure1(AuthFailure::incorrect_payload));
}

// What the host is told, and what the queue then is.
void expect_failure(DhchapAuthenticator& side, AuthFailure failure) {
  EXPECT_EQ(side.state(), State::under_way);
  EXPECT_EQ(side.failure(), failure);
  EXPECT_EQ(hex(fetch(side)), failure1(failure));
  EXPECT_EQ(side.state(), State::failed);
}

TEST(DhchapAuthenticator, NegotiationEndsWithTheReasonWhy) {
  const std::pair<Bytes, AuthFailure> cases[] = {
      {negotiate("04"), AuthFailure::hash_not_usable},
      {negotiate("", "00"), AuthFailure::hash_not_usable},
      {negotiate("01", "01"), AuthFailure::group_not_usable},
      {negotiate("01", ""), AuthFailure::group_not_usable},
  };
  for (const auto& [message, failure] : cases) {
    auto side = authenticator();
    give(side, message);
    expect_failure(side, failure);
  }
  Bytes other_protocol = negotiate();
  other_protocol[8] = std::byte{2};
  Bytes concatenation = negotiate();
  concatenation[6] = std::byte{1};
  Bytes none = negotiate();
  none[7] = std::byte{0};
  Bytes long_list = negotiate();
  long_list[10] = std::byte{31};
  const std::pair<Bytes, AuthFailure> broken[] = {
      {other_protocol, AuthFailure::protocol_not_usable},
      {concatenation, AuthFailure::concatenation_mismatch},
      {none, AuthFailure::incorrect_payload},
      {long_list, AuthFailure::incorrect_payload},
  };
  for (const auto& [message, failure] : broken) {
    auto side = authenticator();
    give(side, message);
    expect_failure(side, failure);
  }
}

DhchapAuthenticator concatenating(Concatenation offered, bool is_demanded = false) {
  return {credentials(), std::string(host_nqn), std::string(subsystem_nqn),
          ConcatenationRule{.offered = offered,
                            .is_demanded = is_demanded,
                            .hashes = {DhchapHash::sha256, DhchapHash::sha384}}};
}
Bytes negotiate_with(Concatenation concatenation, std::string_view hashes = "010203",
                     std::string_view groups = "0001") {
  Bytes message = negotiate(hashes, groups);
  message[6] = static_cast<std::byte>(concatenation);
  return message;
}

TEST(DhchapAuthenticator, ConcatenationIsWhatIsOfferedAndAtLeastWhatIsDemanded) {
  using enum Concatenation;
  const auto outcome = [](Concatenation offered, bool is_demanded, Concatenation asked) {
    auto side = concatenating(offered, is_demanded);
    give(side, negotiate_with(asked));
    return side.failure();
  };
  EXPECT_EQ(outcome(none, false, none), std::nullopt);
  EXPECT_EQ(outcome(none, false, new_psk), AuthFailure::concatenation_mismatch);
  EXPECT_EQ(outcome(new_psk, false, none), std::nullopt);
  EXPECT_EQ(outcome(new_psk, false, new_psk), std::nullopt);
  EXPECT_EQ(outcome(new_psk, false, replace_psk), AuthFailure::concatenation_mismatch);
  EXPECT_EQ(outcome(new_psk, true, none), AuthFailure::concatenation_mismatch);
  EXPECT_EQ(outcome(new_psk, true, new_psk), std::nullopt);
  EXPECT_EQ(outcome(replace_psk, false, replace_psk), std::nullopt);
  EXPECT_EQ(outcome(replace_psk, false, new_psk), AuthFailure::concatenation_mismatch);
  // TLS has no suite of SHA-512; and without a shared secret there is nothing to make a key of.
  auto long_hash = concatenating(new_psk);
  give(long_hash, negotiate_with(new_psk, "03"));
  EXPECT_EQ(long_hash.failure(), AuthFailure::hash_not_usable);
  auto no_secret = concatenating(new_psk);
  give(no_secret, negotiate_with(new_psk, "01", "00"));
  EXPECT_EQ(no_secret.failure(), AuthFailure::group_not_usable);
}

// As a host with that key answers, SC_C proved as `concatenation`.
Bytes reply_for_psk(const Bytes& challenge, std::uint8_t concatenation, Bytes& shared) {
  const auto key = DhKey::make(DhGroup::ffdhe2048);
  shared = *key->shared_secret(std::span(challenge).subspan(48));
  Bytes message = reply({.mutual = true,
                         .shared = shared,
                         .public_value = {key->public_value().begin(), key->public_value().end()}});
  message[12] = std::byte{0};  // S2: the challenge is for the PSK alone
  const auto proof = host_response({.transaction = 7,
                                    .concatenation = concatenation,
                                    .host_nqn = host_nqn,
                                    .subsystem_nqn = subsystem_nqn,
                                    .shared_secret = shared},
                                   secret(1), Bytes(32, std::byte{0xa5}), our_sequence);
  std::ranges::copy(proof.bytes(), message.begin() + 16);
  return message;
}

TEST(DhchapAuthenticator, ConcatenationMakesAPskOfBothChallenges) {
  for (const std::uint8_t proved_as : {std::uint8_t{2}, std::uint8_t{0}}) {
    auto side = concatenating(Concatenation::new_psk, true);
    give(side, negotiate_with(Concatenation::new_psk));
    Bytes shared;
    give(side, reply_for_psk(fetch(side), proved_as, shared));
    const Bytes success1 = fetch(side);
    EXPECT_EQ(success1[8], std::byte{0}) << "it was not asked to prove itself";
    ASSERT_EQ(side.state(), State::proved);
    EXPECT_FALSE(side.proof().mutual);
    ASSERT_TRUE(side.proof().generated.has_value());
    EXPECT_EQ(side.proof().generated->hash, DhchapHash::sha256);
    EXPECT_EQ(side.proof().generated->psk,
              generated_psk(DhchapHash::sha256, shared, Bytes(32, std::byte{0xa5}),
                            Bytes(32, std::byte{0x5a})));
  }
  auto wrong = concatenating(Concatenation::new_psk);
  give(wrong, negotiate_with(Concatenation::new_psk));
  Bytes shared;
  give(wrong, reply_for_psk(fetch(wrong), 3, shared));
  EXPECT_EQ(wrong.failure(), AuthFailure::authentication_failed);
  // No challenge of the host's, no PSK.
  auto unasked = concatenating(Concatenation::new_psk);
  give(unasked, negotiate_with(Concatenation::new_psk));
  Bytes message = reply_for_psk(fetch(unasked), 2, shared);
  message[8] = std::byte{0};
  give(unasked, message);
  EXPECT_EQ(unasked.failure(), AuthFailure::authentication_failed);
}

TEST(DhchapAuthenticator, OurOrderDecidesAmongWhatTheHostOffers) {
  auto known = without_groups();
  known.hashes = {DhchapHash::sha512, DhchapHash::sha256};
  auto side = authenticator(known);
  give(side, negotiate("010203"));
  EXPECT_EQ(fetch(side)[8], std::byte{3});
}

TEST(DhchapAuthenticator, WithoutKeysThereIsNoProof) {
  auto side = authenticator(std::nullopt);
  give(side, negotiate());
  expect_failure(side, AuthFailure::authentication_failed);
}

TEST(DhchapAuthenticator, EveryTruncationIsMalformed) {
  for (const Bytes& whole : {negotiate(), reply(), success2()}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      auto side = authenticator();
      give(side, negotiate());
      (void)fetch(side);
      give(side, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
      EXPECT_EQ(side.failure(), AuthFailure::incorrect_payload) << length;
    }
  }
}

TEST(DhchapAuthenticator, AReplyMustFitItsChallenge) {
  Bytes bad_flag = reply();
  bad_flag[8] = std::byte{2};
  Bytes bad_length = reply();
  bad_length[6] = std::byte{31};
  const std::pair<Bytes, AuthFailure> cases[] = {
      {reply({.key = 3}), AuthFailure::authentication_failed},
      {reply({.transaction = 8}), AuthFailure::incorrect_payload},
      {reply({.hash = DhchapHash::sha384}), AuthFailure::incorrect_payload},
      {reply({.public_value = Bytes(256, std::byte{2})}), AuthFailure::incorrect_payload},
      {bad_flag, AuthFailure::incorrect_payload},
      {bad_length, AuthFailure::incorrect_payload},
      // Our own challenge, given back.
      {reply({.mutual = true, .host_challenge = std::byte{0xa5}}),
       AuthFailure::authentication_failed},
  };
  for (const auto& [message, failure] : cases) {
    auto side = authenticator();
    give(side, negotiate());
    (void)fetch(side);
    give(side, message);
    EXPECT_EQ(side.failure(), failure);
    (void)fetch(side);
    EXPECT_EQ(side.state(), State::failed);
  }
}

TEST(DhchapAuthenticator, MessagesOutOfOrderFail) {
  for (const Bytes& message : {reply(), success2(), bytes_from_hex("01010000070000000000"),
                               bytes_from_hex("000500000700"), bytes_from_hex("020000000700")}) {
    auto side = authenticator();
    give(side, message);
    expect_failure(side, AuthFailure::incorrect_message);
  }
  auto early = authenticator();
  give(early, negotiate());
  give(early, reply());
  EXPECT_EQ(early.failure(), AuthFailure::incorrect_message) << "before the challenge was fetched";
}

TEST(DhchapAuthenticator, AReplyIsGoodOnce) {
  auto side = authenticator();
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply());
  (void)fetch(side);
  ASSERT_EQ(side.state(), State::proved);
  give(side, reply());
  EXPECT_EQ(side.failure(), AuthFailure::incorrect_message);
}

TEST(DhchapAuthenticator, AReplyToAnotherChallengeFails) {
  auto side = authenticator();
  DhchapAuthenticator::Randomness other = randomness();
  other.challenge.fill(std::byte{0xa6});
  EXPECT_EQ(side.take(negotiate(), other, now), nullptr);
  (void)fetch(side);
  give(side, reply());
  expect_failure(side, AuthFailure::authentication_failed);
}

TEST(DhchapAuthenticator, AfterAFailureThereIsNoOtherAttempt) {
  auto side = authenticator();
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply({.key = 3}));
  give(side, negotiate());
  expect_failure(side, AuthFailure::authentication_failed);
  give(side, negotiate());
  EXPECT_TRUE(side.pending().empty());
  EXPECT_EQ(side.state(), State::failed);
}

TEST(DhchapAuthenticator, AHostThatGivesUpIsHeard) {
  auto side = authenticator();
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply({.mutual = true}));
  (void)fetch(side);
  give(side, bytes_from_hex("00f00000070001"
                            "01"));
  EXPECT_EQ(side.state(), State::failed);
  EXPECT_TRUE(side.host_gave_up());
  EXPECT_EQ(side.failure(), AuthFailure::authentication_failed);
  EXPECT_TRUE(side.pending().empty()) << "Failure2 is not answered";
}

TEST(DhchapAuthenticator, NoControllerKeyNoMutualProof) {
  auto known = without_groups();
  known.keys.controller.reset();
  auto side = authenticator(known);
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply({.mutual = true}));
  expect_failure(side, AuthFailure::authentication_failed);
}

TEST(DhchapAuthenticator, ThePreviousKeyIsGoodUntilItsMoment) {
  auto known = without_groups();
  known.previous = DhchapKeys{.host = secret(9), .controller = std::nullopt};
  known.previous_until = now + 1ms;
  auto side = authenticator(known);
  give(side, negotiate());
  (void)fetch(side);
  give(side, reply({.key = 9}));
  (void)fetch(side);
  EXPECT_EQ(side.state(), State::proved);
  EXPECT_TRUE(side.proof().previous_key);

  auto late = authenticator(known);
  give(late, negotiate(), now + 1ms);
  (void)fetch(late);
  give(late, reply({.key = 9}));
  expect_failure(late, AuthFailure::authentication_failed);
}

TEST(DhchapAuthenticator, ATransactionMayFollowAnother) {
  auto side = authenticator();
  for (int round = 0; round < 3; ++round) {
    give(side, negotiate());
    (void)fetch(side);
    give(side, reply());
    (void)fetch(side);
    EXPECT_EQ(side.state(), State::proved);
  }
}

}  // namespace
}  // namespace protocol::auth
