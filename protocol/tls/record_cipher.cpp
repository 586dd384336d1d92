#include "protocol/tls/record_cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "engine/foundation/check.h"
#include "protocol/tls/hkdf.h"

namespace protocol::tls {
namespace {

constexpr std::size_t key_bytes(Hash hash) { return hash == Hash::sha256 ? 16 : 32; }

const unsigned char* input(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* room(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace

void RecordCipher::FreeContext::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

RecordCipher::RecordCipher(Hash hash, const Secret& traffic_secret, Direction direction)
    : hash_(hash), direction_(direction), secret_(traffic_secret), context_(EVP_CIPHER_CTX_new()) {
  CHECK(context_ != nullptr);
  derive_keys();
}

RecordCipher::~RecordCipher() { OPENSSL_cleanse(secret_.space.data(), secret_.space.size()); }

void RecordCipher::update() {
  secret_ = hkdf_expand_label(hash_, secret_.bytes(), "traffic upd", {}, bytes_of(hash_));
  sequence_ = 0;
  derive_keys();
}

RecordKeys RecordCipher::keys() const {
  return {.suite = hash_,
          .key = hkdf_expand_label(hash_, secret_.bytes(), "key", {}, key_bytes(hash_)),
          .iv = iv_,
          .sequence = sequence_};
}

void RecordCipher::derive_keys() {
  Secret key = keys().key;
  const Secret iv = hkdf_expand_label(hash_, secret_.bytes(), "iv", {}, iv_.size());
  std::copy(iv.bytes().begin(), iv.bytes().end(), iv_.begin());
  const EVP_CIPHER* const cipher = hash_ == Hash::sha256 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
  CHECK(EVP_CipherInit_ex(context_.get(), cipher, nullptr, input(key.bytes()), nullptr,
                          direction_ == Direction::seal ? 1 : 0) == 1);
  OPENSSL_cleanse(key.space.data(), key.space.size());
}

// The nonce is the sequence number over the end of the IV, the header is authenticated.
void RecordCipher::begin(std::span<const std::byte> header) {
  auto nonce = iv_;
  for (std::size_t i = 0; i < sizeof(sequence_); ++i) {
    nonce[nonce.size() - 1 - i] ^= static_cast<std::byte>(sequence_ >> (8 * i));
  }
  ++sequence_;
  CHECK(sequence_ != 0);
  CHECK(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, input(nonce), -1) == 1);
  int done = 0;
  CHECK(EVP_CipherUpdate(context_.get(), nullptr, &done, input(header),
                         static_cast<int>(header.size())) == 1);
}

void RecordCipher::begin_sealing(std::size_t content_bytes, std::span<std::byte> into) {
  CHECK(direction_ == Direction::seal);
  CHECK(content_bytes <= largest_content_bytes);
  const std::size_t length = content_bytes + 1 + record_tag_bytes;
  CHECK(into.size() >= record_header_bytes + length);
  into[0] = static_cast<std::byte>(ContentType::application_data);
  into[1] = std::byte{3};
  into[2] = std::byte{3};
  into[3] = static_cast<std::byte>(length >> 8);
  into[4] = static_cast<std::byte>(length & 0xff);
  begin(into.first(record_header_bytes));
  sealed_ = into.subspan(record_header_bytes, length);
}

void RecordCipher::add(std::span<const std::byte> content) noexcept {
  CHECK(content.size() < sealed_.size());
  int done = 0;
  CHECK(EVP_CipherUpdate(context_.get(), room(sealed_), &done, input(content),
                         static_cast<int>(content.size())) == 1);
  sealed_ = sealed_.subspan(content.size());
}

void RecordCipher::end_sealing(ContentType type) {
  CHECK(sealed_.size() == 1 + record_tag_bytes);
  const std::byte last = static_cast<std::byte>(type);
  add({&last, 1});
  int done = 0;
  unsigned char nothing[record_tag_bytes];
  CHECK(EVP_CipherFinal_ex(context_.get(), nothing, &done) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, record_tag_bytes,
                            sealed_.data()) == 1);
}

void RecordCipher::begin_opening(std::span<const std::byte> header,
                                 std::span<const std::byte> body) {
  CHECK(direction_ == Direction::open);
  CHECK(body.size() > record_tag_bytes);
  begin(header);
  body_ = body;
}

void RecordCipher::take(std::span<std::byte> into) {
  if (into.empty()) return;
  CHECK(into.size() + record_tag_bytes <= body_.size());
  int done = 0;
  CHECK(EVP_CipherUpdate(context_.get(), room(into), &done, input(body_.first(into.size())),
                         static_cast<int>(into.size())) == 1);
  body_ = body_.subspan(into.size());
}

bool RecordCipher::end_opening() {
  CHECK(body_.size() == record_tag_bytes);
  std::array<std::byte, record_tag_bytes> tag{};
  std::copy(body_.begin(), body_.end(), tag.begin());
  CHECK(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, record_tag_bytes, tag.data()) ==
        1);
  int done = 0;
  unsigned char nothing[record_tag_bytes];
  return EVP_CipherFinal_ex(context_.get(), nothing, &done) == 1;
}

}  // namespace protocol::tls
