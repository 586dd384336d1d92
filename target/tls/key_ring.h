// KeyRing: the TLS keys of all hosts, and which of them a ClientHello has been made with.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
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
  protocol::tls::Origin origin = protocol::tls::Origin::retained;
};
// Whether a binder (RFC 8446, 4.2.11.2) was made with this PSK.
[[nodiscard]] bool is_binder_of(protocol::tls::Hash hash, const protocol::tls::Secret& psk,
                                std::span<const std::byte> truncated_hello,
                                std::span<const std::byte> binder);
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

}  // namespace target::tls
