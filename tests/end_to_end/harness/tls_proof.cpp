#include "tests/end_to_end/harness/tls_proof.h"

#include <algorithm>
#include <variant>

namespace end_to_end {

namespace tls = protocol::tls;

std::string tls_key_of(std::byte fill) {
  tls::ConfiguredPsk psk{.retained_by = tls::Hash::sha256, .key = {.size = 32}};
  std::ranges::fill(psk.key.bytes(), fill);
  return tls::key_text_of(psk);
}

client::TlsOptions options_of(const TlsProof& proof) {
  const auto psk = std::get<tls::ConfiguredPsk>(tls::parse_key_text(proof.key));
  const auto retained = tls::retained_psk(psk, proof.host, proof.derivation);
  const std::string identity =
      tls::psk_identity(proof.version, psk.hash(), {proof.host, proof.subsystem}, *retained);
  const auto key = tls::tls_psk(proof.version, psk.hash(), identity, *retained, proof.derivation);
  const auto bytes = key->bytes();
  return {.identity = identity,
          .psk = {bytes.begin(), bytes.end()},
          .is_sha384 = psk.hash() == tls::Hash::sha384};
}

}  // namespace end_to_end
