// What a host needs to prove a TLS key: identity and PSK, as the standard derives them.
#pragma once

#include <string>
#include <string_view>

#include "protocol/tls/psk.h"
#include "tests/client/tls_client.h"
#include "tests/end_to_end/harness/config_text.h"

namespace end_to_end {

constexpr std::string_view tls_key_of_a =
    "NVMeTLSkey-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
constexpr const char* nqn_of_a =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr const char* nqn_of_b = "nqn.2026-11.com.example:host-b";

// A key of SHA-256 made of this byte.
[[nodiscard]] std::string tls_key_of(std::byte fill);

struct TlsProof {
  std::string key{tls_key_of_a};
  std::string host = nqn_of_a;
  std::string subsystem = default_subsystem;
  protocol::tls::Derivation derivation = protocol::tls::Derivation::rfc8446;
  protocol::tls::IdentityVersion version = protocol::tls::IdentityVersion::v1;
};
[[nodiscard]] client::TlsOptions options_of(const TlsProof& proof);

}  // namespace end_to_end
