// KeyRing: the TLS keys of all hosts, and which of them a ClientHello has been made with.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/tls/client_hello.h"
#include "protocol/tls/key_text.h"
#include "protocol/tls/psk.h"
#include "target/tls/tls_fault.h"

namespace target::tls {

using WallTime = std::chrono::system_clock::time_point;

struct HostKey {
  std::string name;  // for status and log; nothing of the key
  protocol::tls::ConfiguredPsk psk;
  std::optional<WallTime> until;  // nullopt: for ever
};
struct HostKeys {
  std::string host_nqn;
  std::vector<HostKey> keys;  // any of them
};

// A key that has been proved.
struct ChosenKey {
  std::string name;
  std::string host_nqn;
  std::string subsystem_nqn;
  protocol::tls::IdentityVersion version = protocol::tls::IdentityVersion::v0;
  protocol::tls::Derivation derivation = protocol::tls::Derivation::rfc8446;
  std::string identity;
  protocol::tls::Hash hash = protocol::tls::Hash::sha256;
  protocol::tls::Secret psk;
};
struct KeyRefusal {
  TlsFault fault = TlsFault::unknown_identity;
  std::string host_nqn;  // as the first identity that can be read says; not proved
};

// Never changes; any thread.
class KeyRing {
 public:
  KeyRing() = default;
  explicit KeyRing(const std::vector<HostKeys>& hosts);

  // Looks at the identities in the host's order, and takes the first whose binder was made with a
  // key of that host, in either derivation (RFC 8446, 4.2.11.2). What it costs is bounded, whatever
  // is offered.
  [[nodiscard]] std::variant<ChosenKey, KeyRefusal> choose(const protocol::tls::ClientHello& hello,
                                                           WallTime now) const;

 private:
  struct Attempt;
  std::map<std::string, std::vector<HostKey>, std::less<>> hosts_;
};

// The ring that is valid now. Any thread.
class KeyStore {
 public:
  [[nodiscard]] std::shared_ptr<const KeyRing> ring() const {
    const std::lock_guard lock(mutex_);
    return ring_;
  }
  // For handshakes from now on; connections stay.
  void replace(std::shared_ptr<const KeyRing> ring) {
    const std::lock_guard lock(mutex_);
    ring_ = std::move(ring);
  }

 private:
  mutable std::mutex mutex_;  // guards ring_; a leaf
  std::shared_ptr<const KeyRing> ring_ = std::make_shared<const KeyRing>();
};

}  // namespace target::tls
