// From a configured PSK to what TLS is given: retained PSK, identity, TLS PSK (NVMe/TCP 1.1, "TLS
// PSK and PSK Identity Derivation").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/tls/hash.h"
#include "protocol/tls/key_text.h"

namespace protocol::tls {

// Both are in the field: earlier libnvme (1.13 of Debian 13 among them; later ones can do either)
// fills in HkdfLabel without its length bytes, and with the key's length turned round.
enum class Derivation : std::uint8_t { rfc8446, early_libnvme };
[[nodiscard]] std::string_view text_of(Derivation derivation);

enum class IdentityVersion : std::uint8_t {
  v0,  // "NVMe0R01 HOSTNQN SUBNQN": says nothing of the key
  v1,  // the same as "NVMe1R01 ...", and a digest of the retained PSK behind it
};

// Where the PSK comes from: a configured one, or authentication (secure channel concatenation).
enum class Origin : char { retained = 'R', generated = 'G' };

struct Names {
  std::string_view host_nqn;
  std::string_view subsystem_nqn;
};

// nullopt: names so long that the derivation cannot express them; no host can either.
[[nodiscard]] std::optional<Secret> retained_psk(const ConfiguredPsk& psk,
                                                 std::string_view host_nqn, Derivation derivation);
// `retained` is of the length of `hash`.
[[nodiscard]] std::string psk_identity(IdentityVersion version, Hash hash, const Names& names,
                                       const Secret& retained, Origin origin = Origin::retained);
// nullopt: as above, with the identity.
[[nodiscard]] std::optional<Secret> tls_psk(IdentityVersion version, Hash hash,
                                            std::string_view identity, const Secret& retained,
                                            Derivation derivation);

}  // namespace protocol::tls
