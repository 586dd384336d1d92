#include "tests/bench/ceiling/tls_cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "tests/bench/ceiling/pace.h"

namespace bench {
namespace {

constexpr std::size_t largest_content_bytes = 16384;
constexpr std::size_t tag_bytes = 16;
// A few milliseconds at most.
constexpr std::uint64_t chunk_bytes = 4 << 20;

std::uint64_t chunk_of(std::size_t bytes) {
  return std::max<std::uint64_t>(1, chunk_bytes / bytes);
}

}  // namespace

double aes_gcm_ns(std::size_t key_bytes, std::size_t bytes, std::uint64_t rounds) {
  const std::vector<unsigned char> key(key_bytes);
  const std::vector<unsigned char> nonce(12);
  const std::vector<unsigned char> in(bytes, 7);
  std::vector<unsigned char> out(bytes + tag_bytes);
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  CHECK(context != nullptr);
  const EVP_CIPHER* const cipher = key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
  CHECK(EVP_EncryptInit_ex(context, cipher, nullptr, key.data(), nullptr) == 1);
  Pace pace(chunk_of(bytes));
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::size_t at = 0; at < bytes; at += largest_content_bytes) {
      int done = 0;
      unsigned char tag[tag_bytes];
      const auto piece = static_cast<int>(std::min(bytes - at, largest_content_bytes));
      CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
      CHECK(EVP_EncryptUpdate(context, out.data() + at, &done, in.data() + at, piece) == 1);
      CHECK(EVP_EncryptFinal_ex(context, tag, &done) == 1);
      CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag) == 1);
    }
    pace.count(1);
  }
  EVP_CIPHER_CTX_free(context);
  return pace.median_ns();
}

double crc32c_ns(std::size_t bytes, std::uint64_t rounds) {
  std::vector<std::byte> in(bytes, std::byte{7});
  Pace pace(chunk_of(bytes));
  for (std::uint64_t round = 0; round < rounds; ++round) {
    // Each depends on the one before, so that none is left out.
    in[0] = static_cast<std::byte>(engine::crc32c(in));
    pace.count(1);
  }
  return pace.median_ns();
}

}  // namespace bench
