#include "protocol/auth/dhchap_authenticator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/foundation/check.h"
#include "protocol/auth/chap.h"

namespace protocol::auth {
namespace {

// The first that we may take and the host lists.
template <class Id>
std::optional<Id> first_common(const std::vector<Id>& allowed, std::span<const std::byte> offered) {
  const auto found = std::ranges::find_if(allowed, [offered](Id id) {
    return std::ranges::find(offered, static_cast<std::byte>(id)) != offered.end();
  });
  return found == allowed.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

void DhWork::run() {
  if (!key_) {
    key_ = DhKey::make(group_);
  } else {
    secret_ = key_->shared_secret(peer_);
  }
}

DhchapAuthenticator::DhchapAuthenticator(std::optional<DhchapCredentials> credentials,
                                         std::string host_nqn, std::string subsystem_nqn,
                                         ConcatenationRule rule)
    : credentials_(std::move(credentials)),
      host_nqn_(std::move(host_nqn)),
      subsystem_nqn_(std::move(subsystem_nqn)),
      rule_(std::move(rule)) {}

bool DhchapAuthenticator::allows(std::uint8_t concatenation) const {
  if (concatenation == static_cast<std::uint8_t>(Concatenation::none)) return !rule_.is_demanded;
  return concatenation == static_cast<std::uint8_t>(rule_.offered);
}

// TLS has no suite for SHA-512.
std::vector<DhchapHash> DhchapAuthenticator::usable_hashes() const {
  if (concatenation_ == Concatenation::none) return credentials_->hashes;
  std::vector<DhchapHash> hashes;
  std::ranges::copy_if(credentials_->hashes, std::back_inserter(hashes), [this](DhchapHash hash) {
    return std::ranges::count(rule_.hashes, hash) != 0;
  });
  return hashes;
}

// Without Diffie-Hellman there is no secret to make a PSK of.
std::vector<DhGroup> DhchapAuthenticator::usable_groups() const {
  std::vector<DhGroup> groups = credentials_->groups;
  if (concatenation_ != Concatenation::none) std::erase(groups, DhGroup::null);
  return groups;
}

DhchapAuthenticator::Work DhchapAuthenticator::take(std::span<const std::byte> message,
                                                    const Randomness& randomness,
                                                    std::chrono::milliseconds wall) {
  const auto decoded = decode_host_message(message);
  const auto* gives_up = decoded ? std::get_if<Failure2>(&decoded.value()) : nullptr;
  // Who has failed is told so, and nothing else: a new attempt takes a new connection.
  if (failure_ && gives_up == nullptr) return nullptr;
  if (!decoded) {
    transaction_ = transaction_of(message);
    fail(decoded.error());
    return nullptr;
  }
  if (const auto* negotiation = std::get_if<Negotiate>(&decoded.value())) {
    return negotiate(*negotiation, randomness, wall);
  }
  if (gives_up != nullptr) {
    pending_.clear();
    failure_ = static_cast<AuthFailure>(gives_up->explanation);
    host_gave_up_ = true;
    state_ = State::failed;
    return nullptr;
  }
  // Nothing is taken before the host has fetched what it is an answer to.
  if (const auto* answer = std::get_if<Reply>(&decoded.value());
      answer != nullptr && expected_ == Expected::reply && pending_.empty()) {
    return reply(*answer);
  }
  const auto* done = std::get_if<Success2>(&decoded.value());
  if (done == nullptr || expected_ != Expected::success2 || !pending_.empty()) {
    transaction_ = transaction_of(message);
    fail(AuthFailure::incorrect_message);
  } else if (done->transaction != transaction_) {
    fail(AuthFailure::incorrect_payload);
  } else {
    expected_ = Expected::negotiate;
    state_ = State::proved;
  }
  return nullptr;
}

DhchapAuthenticator::Work DhchapAuthenticator::negotiate(const Negotiate& message,
                                                         const Randomness& randomness,
                                                         std::chrono::milliseconds wall) {
  CHECK(randomness.sequence != 0);
  pending_.clear();
  key_.reset();
  ends_when_sent_ = false;
  proof_ = {};
  state_ = State::under_way;
  expected_ = Expected::negotiate;
  transaction_ = message.transaction;
  if (!message.offers_dhchap) return fail(AuthFailure::protocol_not_usable), nullptr;
  if (!allows(message.concatenation)) return fail(AuthFailure::concatenation_mismatch), nullptr;
  if (!credentials_) return fail(AuthFailure::authentication_failed), nullptr;
  concatenation_ = static_cast<Concatenation>(message.concatenation);
  const auto hash = first_common(usable_hashes(), message.hashes);
  if (!hash) return fail(AuthFailure::hash_not_usable), nullptr;
  const auto group = first_common(usable_groups(), message.groups);
  if (!group) return fail(AuthFailure::group_not_usable), nullptr;
  proof_.hash = *hash;
  proof_.group = *group;
  previous_is_good_ = credentials_->previous && wall < credentials_->previous_until;
  sequence_ = randomness.sequence;
  challenge_.assign(randomness.challenge.begin(),
                    randomness.challenge.begin() + static_cast<std::ptrdiff_t>(hash_bytes(*hash)));
  if (*group != DhGroup::null) return std::make_unique<DhWork>(*group);
  challenge({});
  return nullptr;
}

void DhchapAuthenticator::challenge(std::span<const std::byte> public_value) {
  pending_ = encode_challenge({.transaction = transaction_,
                               .hash = proof_.hash,
                               .group = proof_.group,
                               .sequence = sequence_,
                               .challenge = challenge_,
                               .public_value = public_value});
  expected_ = Expected::reply;
}

DhchapAuthenticator::Work DhchapAuthenticator::reply(const Reply& message) {
  // One reply for one challenge: whatever comes of it, another needs a new one.
  expected_ = Expected::negotiate;
  const std::size_t value_bytes = dh_value_bytes(proof_.group);
  if (message.transaction != transaction_ || message.response.size() != hash_bytes(proof_.hash) ||
      message.public_value.size() > value_bytes ||
      message.public_value.empty() != (value_bytes == 0)) {
    return fail(AuthFailure::incorrect_payload), nullptr;
  }
  // The PSK is made of both challenges.
  if (concatenation_ != Concatenation::none && message.challenge.empty()) {
    return fail(AuthFailure::authentication_failed), nullptr;
  }
  // Who gives us our own challenge wants us to answer it for him.
  if (std::ranges::equal(message.challenge, challenge_)) {
    return fail(AuthFailure::authentication_failed), nullptr;
  }
  response_.assign(message.response.begin(), message.response.end());
  host_challenge_.assign(message.challenge.begin(), message.challenge.end());
  host_sequence_ = message.sequence;
  if (key_) return std::make_unique<DhWork>(std::move(key_), message.public_value);
  conclude({});
  return nullptr;
}

void DhchapAuthenticator::finish(DhWork& work) {
  const bool was_reply = !work.peer_.empty();
  if (!was_reply) {
    // Without the group in this machine's cryptography it is as if it were not allowed.
    if (!work.key_) return fail(AuthFailure::group_not_usable);
    key_ = std::move(work.key_);
    return challenge(key_->public_value());
  }
  if (!work.secret_) return fail(AuthFailure::incorrect_payload);
  conclude(*work.secret_);
}

const DhchapKeys* DhchapAuthenticator::matching_keys(const DhchapExchange& exchange) {
  // The first Linux kernels that do this prove SC_C as 0, whatever it is; a PSK that only one side
  // has made opens nothing.
  DhchapExchange early = exchange;
  early.concatenation = 0;
  const auto matches = [&](const DhchapKeys& keys) {
    const HashValue expected = host_response(exchange, keys.host, challenge_, sequence_);
    const HashValue as_early = host_response(early, keys.host, challenge_, sequence_);
    const bool is_expected = equal_in_constant_time(expected.bytes(), response_);
    return equal_in_constant_time(as_early.bytes(), response_) || is_expected;
  };
  if (matches(credentials_->keys)) return &credentials_->keys;
  if (!previous_is_good_ || !matches(*credentials_->previous)) return nullptr;
  proof_.previous_key = true;
  return &*credentials_->previous;
}

void DhchapAuthenticator::conclude(std::span<const std::byte> shared_secret) {
  const DhchapExchange exchange{.hash = proof_.hash,
                                .transaction = transaction_,
                                .concatenation = static_cast<std::uint8_t>(concatenation_),
                                .host_nqn = host_nqn_,
                                .subsystem_nqn = subsystem_nqn_,
                                .shared_secret = shared_secret};
  const DhchapKeys* keys = matching_keys(exchange);
  if (keys == nullptr) return fail(AuthFailure::authentication_failed);
  if (concatenation_ != Concatenation::none) {
    proof_.generated = {
        .hash = proof_.hash,
        .psk = generated_psk(proof_.hash, shared_secret, challenge_, host_challenge_)};
  }
  // S2 is 0 where the challenge is only there for the PSK.
  const bool is_for_psk = proof_.generated && host_sequence_ == 0;
  if (host_challenge_.empty() || is_for_psk) {
    pending_ = encode_success1(transaction_, proof_.hash, nullptr);
    ends_when_sent_ = true;
    return;
  }
  if (!keys->controller) return fail(AuthFailure::authentication_failed);
  const HashValue own =
      controller_response(exchange, *keys->controller, host_challenge_, host_sequence_);
  pending_ = encode_success1(transaction_, proof_.hash, &own);
  proof_.mutual = true;
  expected_ = Expected::success2;
}

void DhchapAuthenticator::fail(AuthFailure failure) {
  expected_ = Expected::negotiate;
  key_.reset();
  failure_ = failure;
  state_ = State::under_way;
  pending_ = encode_failure1(transaction_, failure);
  ends_when_sent_ = true;
}

void DhchapAuthenticator::sent() {
  CHECK(!pending_.empty());
  pending_.clear();
  if (!ends_when_sent_) return;
  ends_when_sent_ = false;
  state_ = failure_ ? State::failed : State::proved;
}

}  // namespace protocol::auth
