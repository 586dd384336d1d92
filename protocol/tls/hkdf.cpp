#include "protocol/tls/hkdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <memory>

#include "engine/foundation/check.h"

namespace protocol::tls {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view label_prefix = "tls13 ";
constexpr std::size_t longest_field = 255;

const EVP_MD* md_of(Hash hash) { return hash == Hash::sha256 ? EVP_sha256() : EVP_sha384(); }

const unsigned char* raw(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::vector<std::byte> joined(std::initializer_list<Bytes> pieces) {
  std::vector<std::byte> all;
  for (const Bytes piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

void append(std::vector<std::byte>& to, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

Secret digest(Hash hash, std::initializer_list<Bytes> pieces) {
  const std::vector<std::byte> all = joined(pieces);
  Secret made{.size = bytes_of(hash)};
  unsigned int size = 0;
  CHECK(EVP_Digest(all.data(), all.size(), reinterpret_cast<unsigned char*>(made.space.data()),
                   &size, md_of(hash), nullptr) == 1);
  CHECK(size == made.size);
  return made;
}

Secret hmac(Hash hash, Bytes key, std::initializer_list<Bytes> pieces) {
  const std::vector<std::byte> all = joined(pieces);
  Secret made{.size = bytes_of(hash)};
  unsigned int size = 0;
  CHECK(HMAC(md_of(hash), key.data(), static_cast<int>(key.size()), raw(all), all.size(),
             reinterpret_cast<unsigned char*>(made.space.data()), &size) != nullptr);
  CHECK(size == made.size);
  return made;
}

Secret hkdf_extract(Hash hash, Bytes key) {
  const Secret zeros{.size = bytes_of(hash)};
  return hmac(hash, zeros.bytes(), {key});
}

// One hash at most: T(1) alone (RFC 5869, 2.3).
Secret hkdf_expand(Hash hash, Bytes key, Bytes info, std::size_t bytes) {
  CHECK(bytes <= bytes_of(hash));
  const std::byte first{1};
  Secret made = hmac(hash, key, {info, {&first, 1}});
  std::fill(made.space.begin() + static_cast<std::ptrdiff_t>(bytes), made.space.end(),
            std::byte{0});
  made.size = bytes;
  return made;
}

std::vector<std::byte> hkdf_label(std::size_t bytes, std::string_view label, Bytes context) {
  CHECK(label_prefix.size() + label.size() <= longest_field);
  CHECK(context.size() <= longest_field);
  std::vector<std::byte> info;
  info.push_back(static_cast<std::byte>(bytes >> 8));
  info.push_back(static_cast<std::byte>(bytes));
  info.push_back(static_cast<std::byte>(label_prefix.size() + label.size()));
  append(info, label_prefix);
  append(info, label);
  info.push_back(static_cast<std::byte>(context.size()));
  info.insert(info.end(), context.begin(), context.end());
  return info;
}

Secret hkdf_expand_label(Hash hash, Bytes key, std::string_view label, Bytes context,
                         std::size_t bytes) {
  return hkdf_expand(hash, key, hkdf_label(bytes, label, context), bytes);
}

}  // namespace protocol::tls
