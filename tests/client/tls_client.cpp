#include "tests/client/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <utility>

#include "engine/foundation/check.h"

namespace client {
namespace {

// Of a socket at once; several records.
constexpr std::size_t read_ahead_bytes = 64 << 10;

}  // namespace

struct TlsClient::Callbacks {
  static int use_psk(SSL* ssl, const EVP_MD* hash, const unsigned char** identity,
                     std::size_t* bytes, SSL_SESSION** session) {
    auto& self = *static_cast<TlsClient*>(SSL_get_ex_data(ssl, 0));
    *session = nullptr;
    const unsigned char id[] = {0x13, static_cast<unsigned char>(self.options_.is_sha384 ? 2 : 1)};
    const SSL_CIPHER* const cipher = SSL_CIPHER_find(ssl, id);
    if (hash != nullptr &&
        EVP_MD_get_size(SSL_CIPHER_get_handshake_digest(cipher)) != EVP_MD_get_size(hash)) {
      return 1;
    }
    SSL_SESSION* const made = SSL_SESSION_new();
    CHECK(SSL_SESSION_set1_master_key(
              made, reinterpret_cast<const unsigned char*>(self.options_.psk.data()),
              self.options_.psk.size()) == 1);
    CHECK(SSL_SESSION_set_cipher(made, cipher) == 1);
    CHECK(SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) == 1);
    const std::size_t early = self.options_.early_data.size();
    CHECK(SSL_SESSION_set_max_early_data(made, static_cast<std::uint32_t>(early)) == 1);
    *identity = reinterpret_cast<const unsigned char*>(self.options_.identity.data());
    *bytes = self.options_.identity.size();
    *session = made;
    return 1;
  }
};

TlsClient::TlsClient(TlsOptions options)
    : options_(std::move(options)), context_(SSL_CTX_new(TLS_client_method())) {
  CHECK(context_ != nullptr);
  const int version = options_.is_tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  CHECK(SSL_CTX_set_min_proto_version(context_, version) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context_, version) == 1);
  CHECK(SSL_CTX_set1_groups_list(context_, options_.groups.c_str()) == 1);
  CHECK(SSL_CTX_set_ciphersuites(context_, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1);
  SSL_CTX_set_default_read_buffer_len(context_, read_ahead_bytes);
  SSL_CTX_set_psk_use_session_callback(context_, &Callbacks::use_psk);
  ssl_ = SSL_new(context_);
  CHECK(ssl_ != nullptr);
  CHECK(SSL_set_ex_data(ssl_, 0, this) == 1);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl_);
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

void TlsClient::feed(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  CHECK(BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size())) ==
        static_cast<int>(bytes.size()));
}

Bytes TlsClient::to_send() {
  char* first = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl_), &first);
  const auto* const bytes = reinterpret_cast<const std::byte*>(first);
  Bytes sent(bytes, bytes + size);
  (void)BIO_reset(SSL_get_wbio(ssl_));
  return sent;
}

Error TlsClient::last_error(const char* what) const {
  std::string text = what;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    const char* const reason = ERR_reason_error_string(code);
    if (reason != nullptr) text += std::string(": ") + reason;
  }
  return {ErrorKind::refused, text};
}

Result<bool> TlsClient::shake_hands() {
  ERR_clear_error();
  if (!options_.early_data.empty() && SSL_get_state(ssl_) == TLS_ST_BEFORE) {
    std::size_t written = 0;
    CHECK(SSL_write_early_data(ssl_, options_.early_data.data(), options_.early_data.size(),
                               &written) == 1);
  }
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) return true;
  if (SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ) return false;
  return last_error("handshake");
}

std::string TlsClient::suite() const { return SSL_get_cipher_name(ssl_); }

Result<void> TlsClient::write(std::span<const std::byte> plain) {
  ERR_clear_error();
  if (plain.empty()) return engine::success();
  std::size_t written = 0;
  if (SSL_write_ex(ssl_, plain.data(), plain.size(), &written) != 1) return last_error("write");
  CHECK(written == plain.size());
  return engine::success();
}

Result<Bytes> TlsClient::read() {
  Bytes plain;
  std::array<std::byte, 16384> piece;
  for (;;) {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_, piece.data(), piece.size(), &got);
    plain.insert(plain.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (done == 1) continue;
    const int error = SSL_get_error(ssl_, done);
    if (error == SSL_ERROR_WANT_READ || !plain.empty()) return plain;
    if (error == SSL_ERROR_ZERO_RETURN) return Error{ErrorKind::closed, "close_notify"};
    return last_error("read");
  }
}

void TlsClient::update_keys(bool also_peer) {
  CHECK(SSL_key_update(ssl_, also_peer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) ==
        1);
  CHECK(SSL_do_handshake(ssl_) == 1);
}

void TlsClient::use_socket(int socket) {
  CHECK(BIO_ctrl_pending(SSL_get_rbio(ssl_)) == 0);
  CHECK(BIO_ctrl_pending(SSL_get_wbio(ssl_)) == 0);
  CHECK(SSL_set_fd(ssl_, socket) == 1);
  SSL_set_read_ahead(ssl_, 1);
  SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

Result<std::size_t> TlsClient::read_some(std::span<std::byte> into) {
  ERR_clear_error();
  std::size_t got = 0;
  const int done = SSL_read_ex(ssl_, into.data(), into.size(), &got);
  if (done == 1) return got;
  const int error = SSL_get_error(ssl_, done);
  if (error == SSL_ERROR_WANT_READ) return std::size_t{0};
  if (error == SSL_ERROR_ZERO_RETURN) return Error{ErrorKind::closed, "close_notify"};
  return last_error("read");
}

bool TlsClient::has_more() const { return SSL_has_pending(ssl_) == 1; }

Result<std::size_t> TlsClient::write_some(std::span<const std::byte> from) {
  ERR_clear_error();
  std::size_t written = 0;
  const int done = SSL_write_ex(ssl_, from.data(), from.size(), &written);
  if (done == 1) return written;
  if (SSL_get_error(ssl_, done) == SSL_ERROR_WANT_WRITE) return std::size_t{0};
  return last_error("write");
}

void TlsClient::say_goodbye() { (void)SSL_shutdown(ssl_); }

}  // namespace client
