// GeneratedKeyStore: the PSKs that hosts have made with us by authentication, each until its host
// has been away for too long.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "protocol/tls/client_hello.h"
#include "target/net/generated_keys.h"
#include "target/tls/key_ring.h"

namespace target::tls {

// Any thread. Holds may outlive it.
class GeneratedKeyStore final : public GeneratedKeys {
 public:
  // From authentication to the Connect inside TLS; a host comes back at once.
  static constexpr engine::Duration time_to_return = std::chrono::seconds(60);
  // That nobody holds; the oldest of more is forgotten.
  static constexpr std::size_t most_waiting = 1024;

  GeneratedKeyStore();
  ~GeneratedKeyStore();

  [[nodiscard]] std::string keep(const GeneratedKey& key, engine::Instant now) override;
  [[nodiscard]] std::unique_ptr<Hold> hold(std::string_view identity, engine::Instant now) override;

  // The first of the hello's identities that is one of these, and whose binder was made with its
  // key. nullopt: none.
  [[nodiscard]] std::optional<ChosenKey> choose(const protocol::tls::ClientHello& hello,
                                                engine::Instant now) const;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Keys;
  class Held;

  const std::shared_ptr<Keys> keys_;
};

}  // namespace target::tls
