#include "protocol/auth/chap.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <memory>

namespace protocol::auth {
namespace {

struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Digest = std::unique_ptr<EVP_MD, FreeDigest>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

const char* name_of(ChapAlgorithm algorithm) {
  switch (algorithm) {
    case ChapAlgorithm::md5:
      return "MD5";
    case ChapAlgorithm::sha1:
      return "SHA1";
    case ChapAlgorithm::sha256:
      return "SHA256";
    case ChapAlgorithm::sha3_256:
      return "SHA3-256";
  }
  return "";
}

Digest fetch(ChapAlgorithm algorithm) {
  return Digest(EVP_MD_fetch(nullptr, name_of(algorithm), nullptr));
}

}  // namespace

std::size_t response_bytes(ChapAlgorithm algorithm) {
  switch (algorithm) {
    case ChapAlgorithm::md5:
      return 16;
    case ChapAlgorithm::sha1:
      return 20;
    case ChapAlgorithm::sha256:
    case ChapAlgorithm::sha3_256:
      return 32;
  }
  return 0;
}

bool is_available(ChapAlgorithm algorithm) { return fetch(algorithm) != nullptr; }

std::optional<ChapDigest> chap_response(ChapAlgorithm algorithm, std::uint8_t identifier,
                                        std::string_view secret,
                                        std::span<const std::byte> challenge) {
  const Digest digest = fetch(algorithm);
  const Context context(EVP_MD_CTX_new());
  if (!digest || !context) return std::nullopt;
  ChapDigest response;
  response.size = response_bytes(algorithm);
  if (static_cast<std::size_t>(EVP_MD_get_size(digest.get())) != response.size) return std::nullopt;
  const bool computed =
      EVP_DigestInit_ex2(context.get(), digest.get(), nullptr) == 1 &&
      EVP_DigestUpdate(context.get(), &identifier, sizeof(identifier)) == 1 &&
      EVP_DigestUpdate(context.get(), secret.data(), secret.size()) == 1 &&
      EVP_DigestUpdate(context.get(), challenge.data(), challenge.size()) == 1 &&
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(response.space.data()),
                         nullptr) == 1;
  if (!computed) return std::nullopt;
  return response;
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace protocol::auth
