#include "protocol/auth/dh_key.h"

#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <string>
#include <utility>

#include "engine/foundation/check.h"

namespace protocol::auth {
namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeKeyContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeKey>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeKeyContext>;

KeyPointer generate(DhGroup group) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1) return nullptr;
  std::string name(name_of(group));
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size()),
      OSSL_PARAM_construct_end()};
  if (EVP_PKEY_CTX_set_params(context.get(), params) != 1) return nullptr;
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_generate(context.get(), &made) != 1) return nullptr;
  return KeyPointer(made);
}

// Refuses 0, 1, p - 1 and what is not below p: OpenSSL checks a value's range before it takes it.
KeyPointer public_key(EVP_PKEY& like, std::span<const std::byte> value) {
  KeyPointer key(EVP_PKEY_new());
  if (!key || EVP_PKEY_copy_parameters(key.get(), &like) != 1) return nullptr;
  if (EVP_PKEY_set1_encoded_public_key(
          key.get(), reinterpret_cast<const unsigned char*>(value.data()), value.size()) != 1) {
    return nullptr;
  }
  return key;
}

}  // namespace

struct DhKey::Key {
  KeyPointer pair;
};

DhKey::DhKey(DhGroup group, std::unique_ptr<Key> key) : group_(group), key_(std::move(key)) {}

DhKey::~DhKey() = default;

std::unique_ptr<DhKey> DhKey::make(DhGroup group) {
  CHECK(group != DhGroup::null);
  auto pair = generate(group);
  if (!pair) return nullptr;
  const std::size_t size = dh_value_bytes(group);
  std::unique_ptr<DhKey> key(new DhKey(group, std::make_unique<Key>(Key{std::move(pair)})));
  key->public_value_.resize(size);
  std::size_t written = 0;
  if (EVP_PKEY_get_octet_string_param(key->key_->pair.get(), OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                                      reinterpret_cast<unsigned char*>(key->public_value_.data()),
                                      size, &written) != 1 ||
      written != size) {
    return nullptr;
  }
  return key;
}

std::optional<std::vector<std::byte>> DhKey::shared_secret(std::span<const std::byte> peer) const {
  const std::size_t size = dh_value_bytes(group_);
  if (peer.empty() || peer.size() > size) return std::nullopt;
  std::vector<std::byte> padded(size);
  std::ranges::copy(peer, padded.end() - static_cast<std::ptrdiff_t>(peer.size()));
  const auto other = public_key(*key_->pair, padded);
  if (!other) return std::nullopt;
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_->pair.get(), nullptr));
  std::vector<std::byte> secret(size);
  std::size_t written = size;
  // The range has been checked; p is a safe prime, so no subgroup but that of order 2 is small.
  const bool derived =
      context && EVP_PKEY_derive_init(context.get()) == 1 &&
      EVP_PKEY_CTX_set_dh_pad(context.get(), 1) == 1 &&
      EVP_PKEY_derive_set_peer_ex(context.get(), other.get(), 0) == 1 &&
      EVP_PKEY_derive(context.get(), reinterpret_cast<unsigned char*>(secret.data()), &written) ==
          1 &&
      written == size;
  if (!derived) return std::nullopt;
  return secret;
}

}  // namespace protocol::auth
