#include "tests/client/tls_key.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>

#include "engine/foundation/check.h"

namespace client {
namespace {

constexpr std::string_view key_prefix = "NVMeTLSkey-1:";
constexpr std::size_t hash_digits = 3;  // with the colon
constexpr std::size_t crc_bytes = 4;

// HKDF-Extract without a salt, then HKDF-Expand-Label.
Bytes derive_psk(bool is_sha384, const Bytes& key, std::string_view label,
                 std::string_view context) {
  const std::string full_label = "tls13 " + std::string(label);
  std::string info;
  info += '\0';
  info += static_cast<char>(key.size());
  info += static_cast<char>(full_label.size());
  info += full_label;
  info += static_cast<char>(context.size());
  info += context;
  Bytes copy = key;
  Bytes derived(key.size());
  char name[] = "SHA256";
  char longer[] = "SHA384";
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context_of_it = EVP_KDF_CTX_new(kdf);
  const OSSL_PARAM settings[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, is_sha384 ? longer : name, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, copy.data(), copy.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end()};
  CHECK(EVP_KDF_derive(context_of_it, reinterpret_cast<unsigned char*>(derived.data()),
                       derived.size(), settings) == 1);
  EVP_KDF_CTX_free(context_of_it);
  EVP_KDF_free(kdf);
  return derived;
}

Result<Bytes> decode_base64(std::string text) {
  Bytes decoded(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return Error{ErrorKind::misuse, "a TLS key that is not in Base64"};
  const std::size_t padding = text.size() - text.find_last_not_of('=') - 1;
  decoded.resize(static_cast<std::size_t>(size) - padding);
  return decoded;
}

}  // namespace

Result<TlsOptions> tls_options_of(std::string_view key, const std::string& host_nqn,
                                  const std::string& subsystem_nqn) {
  const auto last = key.find_last_of(':');
  if (!key.starts_with(key_prefix) || last < key_prefix.size() + hash_digits) {
    return Error{ErrorKind::misuse, "a TLS key begins with NVMeTLSkey-1: and ends with a colon"};
  }
  const std::string_view retained_by = key.substr(key_prefix.size(), hash_digits - 1);
  const std::size_t body = key_prefix.size() + hash_digits;
  TRY(Bytes configured, decode_base64(std::string(key.substr(body, last - body))));
  if (configured.size() != 32 + crc_bytes && configured.size() != 48 + crc_bytes) {
    return Error{ErrorKind::misuse, "a TLS key has 32 or 48 bytes"};
  }
  configured.resize(configured.size() - crc_bytes);
  const bool is_sha384 = retained_by == "02" || (retained_by == "00" && configured.size() == 48);
  const Bytes retained =
      retained_by == "00" ? configured : derive_psk(is_sha384, configured, "HostNQN", host_nqn);
  TlsOptions options;
  options.is_sha384 = is_sha384;
  options.identity =
      std::string("NVMe0R") + (is_sha384 ? "02 " : "01 ") + host_nqn + " " + subsystem_nqn;
  options.psk = derive_psk(is_sha384, retained, "nvme-tls-psk", options.identity);
  return options;
}

}  // namespace client
