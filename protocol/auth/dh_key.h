// DhKey: one side of a Diffie-Hellman exchange in the groups of RFC 7919.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "protocol/auth/dhchap.h"

namespace protocol::auth {

// Every function here takes long (ffdhe8192: tens of milliseconds), and may be called on any
// thread, but not for one key at a time by two. The private value never leaves it.
class DhKey {
 public:
  // A fresh one; never of DhGroup::null. nullptr: this machine's cryptography has not got it.
  [[nodiscard]] static std::unique_ptr<DhKey> make(DhGroup group);
  DhKey(const DhKey&) = delete;
  DhKey& operator=(const DhKey&) = delete;
  ~DhKey();

  // As long as the prime, big endian.
  [[nodiscard]] std::span<const std::byte> public_value() const { return public_value_; }
  // g^xy mod p, as long as the prime. nullopt: `peer` is no public value of the group: 0, 1, p - 1,
  // p or more, or longer than the prime.
  [[nodiscard]] std::optional<std::vector<std::byte>> shared_secret(
      std::span<const std::byte> peer) const;

 private:
  struct Key;
  DhKey(DhGroup group, std::unique_ptr<Key> key);

  const DhGroup group_;
  const std::unique_ptr<Key> key_;
  std::vector<std::byte> public_value_;
};

}  // namespace protocol::auth
