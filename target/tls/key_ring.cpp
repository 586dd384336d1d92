#include "target/tls/key_ring.h"

#include <utility>

#include "protocol/auth/chap.h"
#include "protocol/tls/psk_binder.h"

namespace target::tls {

namespace ptls = protocol::tls;

namespace {

// Keys that are tried for one hello: each costs some ten hashes.
constexpr int most_attempts = 32;

// "NVMe0R01 HOSTNQN SUBNQN", "NVMe1R01 HOSTNQN SUBNQN DIGEST"; of generated PSKs "NVMe1G01 ...".
struct Identity {
  ptls::IdentityVersion version = ptls::IdentityVersion::v0;
  ptls::Hash hash = ptls::Hash::sha256;
  ptls::Names names{};
  ptls::Origin origin = ptls::Origin::retained;
};

std::string_view take_word(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

std::optional<Identity> parse_identity(std::string_view text) {
  Identity identity;
  const auto head = take_word(text);
  if (head == "NVMe0R02" || head == "NVMe1R02" || head == "NVMe1G02") {
    identity.hash = ptls::Hash::sha384;
  } else if (head != "NVMe0R01" && head != "NVMe1R01" && head != "NVMe1G01") {
    return std::nullopt;
  }
  if (head[5] == 'G') identity.origin = ptls::Origin::generated;
  if (head[4] == '1') identity.version = ptls::IdentityVersion::v1;
  identity.names.host_nqn = take_word(text);
  identity.names.subsystem_nqn = take_word(text);
  const auto digest = take_word(text);
  if (identity.names.host_nqn.empty() || identity.names.subsystem_nqn.empty() || !text.empty() ||
      digest.empty() != (identity.version == ptls::IdentityVersion::v0)) {
    return std::nullopt;
  }
  return identity;
}

}  // namespace

bool is_binder_of(ptls::Hash hash, const ptls::Secret& psk, std::span<const std::byte> truncated,
                  std::span<const std::byte> binder) {
  const ptls::Secret due = ptls::external_psk_binder(hash, psk, truncated);
  return protocol::auth::equal_in_constant_time(due.bytes(), binder);
}

struct KeyRing::Attempt {
  const ptls::OfferedPsk& offered;
  const Identity& identity;
  std::span<const std::byte> truncated;

  // The TLS PSK, if the host has proved that it has it; `fault` otherwise, if there is more to say
  // than that it has not.
  [[nodiscard]] std::optional<ptls::Secret> proves(const HostKey& key, ptls::Derivation derivation,
                                                   TlsFault& fault) const {
    const auto retained = ptls::retained_psk(key.psk, identity.names.host_nqn, derivation);
    if (!retained) return std::nullopt;
    const std::string wanted =
        ptls::psk_identity(identity.version, identity.hash, identity.names, *retained);
    if (wanted != offered.identity) return std::nullopt;  // of another key
    const auto psk = ptls::tls_psk(identity.version, identity.hash, wanted, *retained, derivation);
    if (!psk) return std::nullopt;
    if (is_proved(identity.hash, *psk)) return psk;
    // A PSK is of one hash (RFC 8446, 4.2.11), and NVMe's identity names it: a suite of the other
    // would be none of NVMe/TCP's. Here the host's TLS is to be mended, not its key.
    if (identity.hash == ptls::Hash::sha384 && is_proved(ptls::Hash::sha256, *psk)) {
      fault = TlsFault::wrong_hash;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_proved(ptls::Hash hash, const ptls::Secret& psk) const {
    return is_binder_of(hash, psk, truncated, offered.binder);
  }
};

KeyRing::KeyRing(const std::vector<HostKeys>& hosts) {
  for (const HostKeys& host : hosts) hosts_[host.host_nqn] = host.keys;
}

std::variant<ChosenKey, KeyRefusal> KeyRing::choose(const ptls::ClientHello& hello,
                                                    WallTime now) const {
  KeyRefusal refusal;
  int attempts = 0;
  for (const ptls::OfferedPsk& offered : hello.psks) {
    const auto identity = parse_identity(offered.identity);
    if (!identity) continue;
    if (refusal.host_nqn.empty()) refusal.host_nqn = identity->names.host_nqn;
    if (identity->origin == ptls::Origin::generated) {
      refusal.fault = TlsFault::unknown_generated_key;
      continue;
    }
    const auto host = hosts_.find(identity->names.host_nqn);
    if (host == hosts_.end()) continue;
    const Attempt attempt{offered, *identity, hello.truncated};
    for (const HostKey& key : host->second) {
      if (key.psk.hash() != identity->hash) continue;
      for (const auto derivation : {ptls::Derivation::rfc8446, ptls::Derivation::early_libnvme}) {
        if (++attempts > most_attempts) return refusal;
        const auto psk = attempt.proves(key, derivation, refusal.fault);
        if (!psk) continue;
        if (key.until && *key.until <= now) {
          refusal.fault = TlsFault::expired_key;
          continue;
        }
        return ChosenKey{.name = key.name,
                         .host_nqn = std::string(identity->names.host_nqn),
                         .subsystem_nqn = std::string(identity->names.subsystem_nqn),
                         .version = identity->version,
                         .derivation = derivation,
                         .identity = std::string(offered.identity),
                         .hash = identity->hash,
                         .psk = *psk};
      }
    }
    if (refusal.fault == TlsFault::unknown_identity) refusal.fault = TlsFault::wrong_key;
  }
  return refusal;
}

}  // namespace target::tls
