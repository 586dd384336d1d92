// KeyStore: the keys that open connections now: those of the configuration, and those that hosts
// have made with us by authentication.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <variant>

#include "target/tls/generated_key_store.h"
#include "target/tls/key_ring.h"

namespace target::tls {

// Any thread.
class KeyStore {
 public:
  // For handshakes from now on; connections stay.
  void replace(std::shared_ptr<const KeyRing> ring) {
    const std::lock_guard lock(mutex_);
    ring_ = std::move(ring);
  }
  [[nodiscard]] GeneratedKeyStore& generated() { return generated_; }

  // Of either kind.
  [[nodiscard]] std::variant<ChosenKey, KeyRefusal> choose(const protocol::tls::ClientHello& hello,
                                                           WallTime wall,
                                                           engine::Instant now) const {
    if (auto generated = generated_.choose(hello, now)) return std::move(*generated);
    return ring()->choose(hello, wall);
  }

 private:
  [[nodiscard]] std::shared_ptr<const KeyRing> ring() const {
    const std::lock_guard lock(mutex_);
    return ring_;
  }

  GeneratedKeyStore generated_;
  mutable std::mutex mutex_;  // guards ring_; a leaf
  std::shared_ptr<const KeyRing> ring_ = std::make_shared<const KeyRing>();
};

}  // namespace target::tls
