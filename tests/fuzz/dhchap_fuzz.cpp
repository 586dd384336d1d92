// A host that proves itself, or does anything else: messages of DH-HMAC-CHAP, taken by the state
// machine of one queue. Whoever has not said the right thing at the right time has not proved
// anything, a failure is for good, and what is sent back has the form that it must have.
//
// Input: one byte of setup, then records of {kind, length (two bytes), bytes}.
// make_dhchap_corpus.py writes the committed ones.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/auth/dhchap_authenticator.h"

namespace protocol::auth {
namespace {

using Message = std::vector<std::byte>;

constexpr const char* host_name = "nqn.2026-11.com.example:host";
constexpr const char* subsystem_name = "nqn.2026-11.com.example:store";
constexpr std::uint16_t honest_transaction = 7;

// Bits of the first byte.
constexpr unsigned without_keys = 1, with_group = 2, with_previous = 4, with_concatenation = 8;

enum class Kind : unsigned {
  message,    // these bytes
  fetch,      // the pending message
  negotiate,  // as it should be, changed by the bytes: xored from its front
  reply,      // to the challenge that was fetched last, by the right key, changed likewise
  mutual,     // the same, and the controller is asked to prove itself
  success2,   // likewise
  failure2,   // likewise
};
constexpr unsigned kinds = 7;
constexpr std::size_t record_bytes = 3;

DhchapSecret secret_of(unsigned fill) {
  return {.bytes = Message(32, static_cast<std::byte>(fill)), .transformation = std::nullopt};
}

std::optional<DhchapCredentials> credentials(unsigned setup) {
  if ((setup & without_keys) != 0) return std::nullopt;
  DhchapCredentials all{.keys = {.host = secret_of(1), .controller = secret_of(2)},
                        .hashes = {DhchapHash::sha256, DhchapHash::sha512},
                        .groups = {DhGroup::null}};
  if ((setup & with_group) != 0) all.groups = {DhGroup::ffdhe2048, DhGroup::null};
  if ((setup & with_previous) != 0) {
    all.previous = DhchapKeys{.host = secret_of(3)};
    all.previous_until = std::chrono::milliseconds(1000);
  }
  return all;
}

ConcatenationRule rule(unsigned setup) {
  if ((setup & with_concatenation) == 0) return {};
  return {.offered = Concatenation::new_psk, .hashes = {DhchapHash::sha256}};
}

class Machine {
 public:
  explicit Machine(unsigned setup)
      : authenticator_(credentials(setup), host_name, subsystem_name, rule(setup)) {
    random_.challenge.fill(std::byte{0x5a});
    random_.sequence = 77;
  }

  void play(std::span<const std::byte> input) {
    while (input.size() >= record_bytes) {
      const auto kind = static_cast<Kind>(std::to_integer<unsigned>(input[0]) % kinds);
      const std::size_t length =
          std::to_integer<std::size_t>(input[1]) | std::to_integer<std::size_t>(input[2]) << 8;
      input = input.subspan(record_bytes);
      const auto bytes = input.first(std::min(length, input.size()));
      input = input.subspan(bytes.size());
      act(kind, bytes);
      check();
    }
  }

 private:
  void act(Kind kind, std::span<const std::byte> bytes) {
    switch (kind) {
      case Kind::message:
        return take(Message(bytes.begin(), bytes.end()));
      case Kind::fetch:
        return fetch();
      case Kind::negotiate:
        return take(changed(negotiate(), bytes));
      case Kind::reply:
      case Kind::mutual:
        return take(changed(reply(kind == Kind::mutual), bytes));
      case Kind::success2:
        return take(changed(bare(0x01, 0x04, 16), bytes));
      case Kind::failure2:
        return take(changed(bare(0x00, 0xf0, 8), bytes));
    }
  }

  static Message changed(Message message, std::span<const std::byte> by) {
    for (std::size_t i = 0; i < std::min(message.size(), by.size()); ++i) message[i] ^= by[i];
    return message;
  }

  static Message bare(unsigned type, unsigned id, std::size_t bytes) {
    Message made(bytes);
    made[0] = static_cast<std::byte>(type);
    made[1] = static_cast<std::byte>(id);
    made[4] = static_cast<std::byte>(honest_transaction);
    return made;
  }

  static Message negotiate() {
    Message made = bare(0, 0, 8 + 64);
    made[7] = made[8] = made[10] = std::byte{1};
    made[11] = std::byte{2};
    made[12] = std::byte{1};
    made[42] = std::byte{0};
    made[43] = std::byte{1};
    return made;
  }

  [[nodiscard]] Message reply(bool is_mutual) const {
    Message made = bare(1, 2, 16 + 64);
    made[6] = std::byte{32};
    made[8] = static_cast<std::byte>(is_mutual);
    made[12] = std::byte{9};
    if (is_mutual) std::fill(made.begin() + 48, made.end(), std::byte{0x77});
    if (const auto due = proof()) std::ranges::copy(due->bytes(), made.begin() + 16);
    return made;
  }

  // What the right key answers to the challenge that was fetched last. nullopt: there is none, or
  // it is not of the null group and SHA-256.
  [[nodiscard]] std::optional<HashValue> proof() const {
    if (challenge_.size() != 16 + 32) return std::nullopt;
    std::uint32_t sequence = 0;
    std::memcpy(&sequence, challenge_.data() + 12, 4);
    return host_response(
        {.transaction = honest_transaction, .host_nqn = host_name, .subsystem_nqn = subsystem_name},
        secret_of(1), std::span(challenge_).subspan(16), sequence);
  }

  void take(const Message& message) {
    // An exact heap block.
    const Message block(message);
    const bool had_failed = authenticator_.failure().has_value();
    const bool was_proved = authenticator_.state() == DhchapAuthenticator::State::proved;
    auto work = authenticator_.take(block, random_, std::chrono::milliseconds(500));
    if (work) {
      work->run();
      authenticator_.finish(*work);
    }
    if (had_failed) CHECK(authenticator_.failure().has_value());
    note(block);
    const bool is_proved = authenticator_.state() == DhchapAuthenticator::State::proved;
    if (is_proved && !was_proved) CHECK(replied_);
  }

  // Whether the host has by now said what only the right key says.
  void note(const Message& message) {
    const auto decoded = decode_host_message(message);
    if (!decoded) return;
    if (std::holds_alternative<Negotiate>(decoded.value())) {
      replied_ = false;
      challenge_.clear();
    }
    const auto* const answer = std::get_if<Reply>(&decoded.value());
    if (answer == nullptr) return;
    const auto due = proof();
    if (due && std::ranges::equal(due->bytes(), answer->response)) replied_ = true;
  }

  void fetch() {
    const auto pending = authenticator_.pending();
    if (pending.empty()) return;
    const Message message(pending.begin(), pending.end());
    CHECK(message.size() >= 8 && message.size() <= longest_auth_message_bytes);
    const unsigned id =
        std::to_integer<unsigned>(message[0]) << 8 | std::to_integer<unsigned>(message[1]);
    const bool is_failure = authenticator_.failure().has_value();
    CHECK((id == 0x00f1) == is_failure);
    CHECK(is_failure || id == 0x0101 || id == 0x0103);
    if (id == 0x0101) challenge_ = message;
    authenticator_.sent();
    if (authenticator_.state() == DhchapAuthenticator::State::proved) CHECK(replied_);
    if (is_failure) CHECK(authenticator_.state() == DhchapAuthenticator::State::failed);
  }

  void check() const {
    if (authenticator_.state() == DhchapAuthenticator::State::failed) {
      CHECK(authenticator_.failure().has_value());
    }
    if (authenticator_.state() == DhchapAuthenticator::State::proved) {
      CHECK(!authenticator_.failure().has_value());
      CHECK(authenticator_.pending().empty());
      const auto& proof = authenticator_.proof();
      CHECK(!proof.generated || proof.group != DhGroup::null);
    }
  }

  DhchapAuthenticator authenticator_;
  DhchapAuthenticator::Randomness random_;
  Message challenge_;     // fetched last, of the transaction under way
  bool replied_ = false;  // by the right key, since the last Negotiate
};

// Whatever is decoded lies within what came.
void decode(std::span<const std::byte> bytes) {
  const Message block(bytes.begin(), bytes.end());
  const auto decoded = decode_host_message(block);
  if (!decoded) return;
  const auto within = [&block](std::span<const std::byte> part) {
    if (part.empty()) return;
    CHECK(part.data() >= block.data() && part.data() + part.size() <= block.data() + block.size());
  };
  if (const auto* const offer = std::get_if<Negotiate>(&decoded.value())) {
    CHECK(offer->hashes.size() <= most_listed && offer->groups.size() <= most_listed);
    within(offer->hashes);
    within(offer->groups);
  }
  if (const auto* const answer = std::get_if<Reply>(&decoded.value())) {
    CHECK(answer->challenge.empty() || answer->challenge.size() == answer->response.size());
    CHECK(answer->public_value.size() <= longest_dh_value_bytes);
    within(answer->response);
    within(answer->challenge);
    within(answer->public_value);
  }
}

}  // namespace
}  // namespace protocol::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  protocol::auth::decode(bytes);
  protocol::auth::Machine(data[0]).play(bytes);
  return 0;
}
