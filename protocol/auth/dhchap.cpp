#include "protocol/auth/dhchap.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <vector>

#include "engine/foundation/check.h"

namespace protocol::auth {
namespace {

using Bytes = std::vector<std::byte>;

const EVP_MD* digest_of(DhchapHash hash) {
  switch (hash) {
    case DhchapHash::sha256:
      return EVP_sha256();
    case DhchapHash::sha384:
      return EVP_sha384();
    case DhchapHash::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

HashValue plain_hash(DhchapHash hash, std::span<const std::byte> data) {
  HashValue value;
  unsigned size = 0;
  CHECK(EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(value.space.data()),
                   &size, digest_of(hash), nullptr) == 1);
  value.size = size;
  return value;
}

void append(Bytes& to, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void append_little_endian(Bytes& to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to.push_back(static_cast<std::byte>(value >> (8 * i)));
}

// With Diffie-Hellman, who does not know the shared secret does not know what is answered to
// (section 8.13.5: "augmented challenge").
HashValue augmented(const DhchapExchange& exchange, std::span<const std::byte> challenge) {
  const HashValue session_key = plain_hash(exchange.hash, exchange.shared_secret);
  return hmac(exchange.hash, session_key.bytes(), challenge);
}

struct Speaker {
  std::string_view role;
  std::string_view own_nqn;
  std::string_view other_nqn;
};

HashValue response(const DhchapExchange& exchange, const DhchapSecret& secret,
                   std::span<const std::byte> challenge, std::uint32_t sequence,
                   const Speaker& speaker) {
  Bytes message;
  if (exchange.shared_secret.empty()) {
    message.assign(challenge.begin(), challenge.end());
  } else {
    const HashValue answered = augmented(exchange, challenge);
    message.assign(answered.bytes().begin(), answered.bytes().end());
  }
  append_little_endian(message, sequence, 4);
  append_little_endian(message, exchange.transaction, 2);
  append_little_endian(message, exchange.concatenation, 1);
  append(message, speaker.role);
  append(message, speaker.own_nqn);
  message.push_back(std::byte{0});
  append(message, speaker.other_nqn);
  return hmac(exchange.hash, transformed_key(secret, speaker.own_nqn), message);
}

}  // namespace

std::size_t dh_value_bytes(DhGroup group) {
  switch (group) {
    case DhGroup::null:
      return 0;
    case DhGroup::ffdhe2048:
      return 256;
    case DhGroup::ffdhe3072:
      return 384;
    case DhGroup::ffdhe4096:
      return 512;
    case DhGroup::ffdhe6144:
      return 768;
    case DhGroup::ffdhe8192:
      return 1024;
  }
  return 0;
}

std::string_view name_of(DhGroup group) {
  switch (group) {
    case DhGroup::null:
      return "none";
    case DhGroup::ffdhe2048:
      return "ffdhe2048";
    case DhGroup::ffdhe3072:
      return "ffdhe3072";
    case DhGroup::ffdhe4096:
      return "ffdhe4096";
    case DhGroup::ffdhe6144:
      return "ffdhe6144";
    case DhGroup::ffdhe8192:
      return "ffdhe8192";
  }
  return "";
}

HashValue hmac(DhchapHash hash, std::span<const std::byte> key, std::span<const std::byte> data) {
  HashValue value;
  unsigned size = 0;
  CHECK(HMAC(digest_of(hash), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(),
             reinterpret_cast<unsigned char*>(value.space.data()), &size) != nullptr);
  value.size = size;
  return value;
}

HashValue host_response(const DhchapExchange& exchange, const DhchapSecret& secret,
                        std::span<const std::byte> challenge, std::uint32_t sequence) {
  return response(exchange, secret, challenge, sequence,
                  {"HostHost", exchange.host_nqn, exchange.subsystem_nqn});
}

HashValue generated_psk(DhchapHash hash, std::span<const std::byte> shared_secret,
                        std::span<const std::byte> host_answered,
                        std::span<const std::byte> controller_answered) {
  CHECK(!shared_secret.empty());
  Bytes challenges(host_answered.begin(), host_answered.end());
  challenges.insert(challenges.end(), controller_answered.begin(), controller_answered.end());
  return hmac(hash, plain_hash(hash, shared_secret).bytes(), challenges);
}

HashValue controller_response(const DhchapExchange& exchange, const DhchapSecret& secret,
                              std::span<const std::byte> challenge, std::uint32_t sequence) {
  return response(exchange, secret, challenge, sequence,
                  {"Controller", exchange.subsystem_nqn, exchange.host_nqn});
}

}  // namespace protocol::auth
