// DhchapAuthenticator: the controller's side of DH-HMAC-CHAP on one queue: takes the host's
// messages, has the next one ready for it, and knows whether the host has proved who it is.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/auth/dh_key.h"
#include "protocol/auth/dhchap_messages.h"

namespace protocol::auth {

// What the host has to prove, and (where it asks for that) is proven.
struct DhchapKeys {
  DhchapSecret host;
  std::optional<DhchapSecret> controller{};
  friend bool operator==(const DhchapKeys&, const DhchapKeys&) = default;
};

struct DhchapCredentials {
  DhchapKeys keys;
  // The keys before those, still good until a moment (milliseconds since 1970, UTC).
  std::optional<DhchapKeys> previous{};
  std::chrono::milliseconds previous_until{};
  // Those that may be chosen, the best first.
  std::vector<DhchapHash> hashes;
  std::vector<DhGroup> groups;
  friend bool operator==(const DhchapCredentials&, const DhchapCredentials&) = default;
};

// What the host may ask for, and must, of secure channel concatenation on this queue.
struct ConcatenationRule {
  Concatenation offered = Concatenation::none;  // none: no kind of it
  bool is_demanded = false;                     // it may not do without
  // With which a PSK can be made that TLS can use here, whatever else may be chosen.
  std::vector<DhchapHash> hashes{};
};

// A PSK that both sides have made: HMAC's value with this hash.
struct GeneratedPsk {
  DhchapHash hash = DhchapHash::sha256;
  HashValue psk;
};

// What a transaction has come to.
struct DhchapProof {
  DhchapHash hash = DhchapHash::sha256;
  DhGroup group = DhGroup::null;
  bool mutual = false;        // the controller has proved itself too
  bool previous_key = false;  // by the keys that end soon
  std::optional<GeneratedPsk> generated{};
};

// Diffie-Hellman takes long: it is given out, done by whoever has the time, and brought back.
class DhWork {
 public:
  // The next public value of a group.
  explicit DhWork(DhGroup group) : group_(group) {}
  // The secret that `key` and the host's public value make.
  DhWork(std::unique_ptr<DhKey> key, std::span<const std::byte> peer)
      : key_(std::move(key)), peer_(peer.begin(), peer.end()) {}

  // Any thread, once.
  void run();

 private:
  friend class DhchapAuthenticator;
  DhGroup group_ = DhGroup::null;
  std::unique_ptr<DhKey> key_;
  std::vector<std::byte> peer_;
  std::optional<std::vector<std::byte>> secret_;
};

// One thread at a time. No clock, no randomness of its own: both are given.
class DhchapAuthenticator {
 public:
  // nullopt: this host has no keys, so it can prove nothing.
  DhchapAuthenticator(std::optional<DhchapCredentials> credentials, std::string host_nqn,
                      std::string subsystem_nqn, ConcatenationRule rule = {});

  // For one transaction; whatever is not needed is not used.
  struct Randomness {
    std::array<std::byte, longest_hash_bytes> challenge{};
    std::uint32_t sequence = 1;  // S1, not 0
  };

  // A message of the host, whole; what is wrong with it becomes the next message (Failure1). A
  // Negotiate begins anew, whatever was under way. `wall` decides whether previous keys are good.
  // Work to be done before anything else is: run it, then finish(). Not while work is out.
  [[nodiscard]] std::unique_ptr<DhWork> take(std::span<const std::byte> message,
                                             const Randomness& randomness,
                                             std::chrono::milliseconds wall);
  void finish(DhWork& work);

  // The next message to the host; empty: there is none.
  [[nodiscard]] std::span<const std::byte> pending() const { return pending_; }
  // It has been given to the host.
  void sent();

  enum class State : std::uint8_t {
    idle,       // nothing has been said
    under_way,  // a transaction has begun
    proved,     // the last one has ended well
    failed,     // it has not: the queue ends
  };
  [[nodiscard]] State state() const { return state_; }
  // Of the state `failed`, or as soon as Failure1 is pending.
  [[nodiscard]] std::optional<AuthFailure> failure() const { return failure_; }
  // The failure is what the host says (Failure2): the number it gave.
  [[nodiscard]] bool host_gave_up() const { return host_gave_up_; }
  // Of the state `proved`.
  [[nodiscard]] const DhchapProof& proof() const { return proof_; }

 private:
  enum class Expected : std::uint8_t { negotiate, reply, success2 };
  using Work = std::unique_ptr<DhWork>;

  [[nodiscard]] Work negotiate(const Negotiate& message, const Randomness& randomness,
                               std::chrono::milliseconds wall);
  [[nodiscard]] Work reply(const Reply& message);
  // Whether what the host asks for is what it may have.
  [[nodiscard]] bool allows(std::uint8_t concatenation) const;
  [[nodiscard]] std::vector<DhchapHash> usable_hashes() const;
  [[nodiscard]] std::vector<DhGroup> usable_groups() const;
  void conclude(std::span<const std::byte> shared_secret);
  void challenge(std::span<const std::byte> public_value);
  void fail(AuthFailure failure);
  [[nodiscard]] const DhchapKeys* matching_keys(const DhchapExchange& exchange);

  const std::optional<DhchapCredentials> credentials_;
  const std::string host_nqn_;
  const std::string subsystem_nqn_;
  const ConcatenationRule rule_;

  State state_ = State::idle;
  Expected expected_ = Expected::negotiate;
  std::vector<std::byte> pending_;
  bool ends_when_sent_ = false;  // what is pending is the last message of the transaction
  std::optional<AuthFailure> failure_;
  bool host_gave_up_ = false;
  DhchapProof proof_;

  // Of the transaction under way.
  std::uint16_t transaction_ = 0;
  Concatenation concatenation_ = Concatenation::none;
  bool previous_is_good_ = false;
  std::vector<std::byte> challenge_;
  std::uint32_t sequence_ = 0;
  std::unique_ptr<DhKey> key_;
  std::vector<std::byte> response_;
  std::vector<std::byte> host_challenge_;
  std::uint32_t host_sequence_ = 0;
};

}  // namespace protocol::auth
