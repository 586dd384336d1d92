#include "protocol/tls/psk.h"

#include <vector>

#include "protocol/auth/binary_text.h"
#include "protocol/tls/hkdf.h"

namespace protocol::tls {
namespace {

// libnvme derives nothing of what is longer; HkdfLabel has no room for more than 255.
constexpr std::size_t longest_early_text = 256;
constexpr std::size_t longest_context = 255;

std::span<const std::byte> bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// What earlier libnvme has for an HkdfLabel.
std::vector<std::byte> early_label(std::size_t bytes, std::string_view label,
                                   std::string_view context) {
  std::vector<std::byte> info;
  info.push_back(static_cast<std::byte>(bytes));
  info.push_back(static_cast<std::byte>(bytes >> 8));
  for (const std::string_view text : {std::string_view("tls13 "), label, context}) {
    const auto part = bytes_of_text(text);
    info.insert(info.end(), part.begin(), part.end());
  }
  return info;
}

std::optional<Secret> derive(Hash hash, const Secret& key, std::string_view label,
                             std::string_view context, Derivation derivation) {
  const Secret extracted = hkdf_extract(hash, key.bytes());
  if (derivation == Derivation::early_libnvme) {
    if (context.size() > longest_early_text) return std::nullopt;
    return hkdf_expand(hash, extracted.bytes(), early_label(key.size, label, context), key.size);
  }
  if (context.size() > longest_context) return std::nullopt;
  return hkdf_expand_label(hash, extracted.bytes(), label, bytes_of_text(context), key.size);
}

std::string hash_specifier(Hash hash) { return hash == Hash::sha256 ? "01" : "02"; }

}  // namespace

std::string_view text_of(Derivation derivation) {
  return derivation == Derivation::rfc8446 ? "RFC 8446" : "early libnvme";
}

std::optional<Secret> retained_psk(const ConfiguredPsk& psk, std::string_view host_nqn,
                                   Derivation derivation) {
  if (!psk.retained_by) return psk.key;
  return derive(*psk.retained_by, psk.key, "HostNQN", host_nqn, derivation);
}

std::string psk_identity(IdentityVersion version, Hash hash, const Names& names,
                         const Secret& retained, Origin origin) {
  std::string names_text(names.host_nqn);
  names_text += ' ';
  names_text += names.subsystem_nqn;
  const std::string head = std::string(version == IdentityVersion::v0 ? "NVMe0" : "NVMe1") +
                           static_cast<char>(origin) + hash_specifier(hash) + " " + names_text;
  if (version == IdentityVersion::v0) return head;
  const Secret sum = hmac(hash, retained.bytes(),
                          {bytes_of_text(names_text), bytes_of_text(" NVMe-over-Fabrics")});
  return head + " " + auth::to_base64(sum.bytes()).substr(2);
}

std::optional<Secret> tls_psk(IdentityVersion version, Hash hash, std::string_view identity,
                              const Secret& retained, Derivation derivation) {
  std::string context(identity);
  if (version == IdentityVersion::v1) {
    context = hash_specifier(hash) + " " + context.substr(context.rfind(' ') + 1);
  }
  return derive(hash, retained, "nvme-tls-psk", context, derivation);
}

}  // namespace protocol::tls
