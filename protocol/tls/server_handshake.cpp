#include "protocol/tls/server_handshake.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "protocol/auth/binary_text.h"

namespace protocol::tls {
namespace {

struct Group {
  std::string_view name;
  const char* openssl;
};
constexpr Group known_groups[] = {
    {"x25519", "X25519"},       {"x448", "X448"},           {"secp256r1", "P-256"},
    {"secp384r1", "P-384"},     {"secp521r1", "P-521"},     {"ffdhe2048", "ffdhe2048"},
    {"ffdhe3072", "ffdhe3072"}, {"ffdhe4096", "ffdhe4096"},
};

const Group* group_of(std::string_view name) {
  const auto* const found = std::ranges::find(known_groups, name, &Group::name);
  return found == std::end(known_groups) ? nullptr : found;
}

// The number of the suite in the registry.
constexpr unsigned char suite_id(Hash hash) { return hash == Hash::sha256 ? 0x01 : 0x02; }

// Why the last call has failed; the queue of errors is empty again.
std::string last_error() {
  std::string text;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    const char* const reason = ERR_reason_error_string(code);
    if (reason != nullptr && text.empty()) text = reason;
  }
  return text.empty() ? "the handshake failed" : text;
}

std::string_view after_last_blank(std::string_view line) {
  return line.substr(line.rfind(' ') + 1);
}

Secret secret_of(const std::string& hexadecimal) {
  const auto bytes = auth::parse_binary("0x" + hexadecimal, largest_hash_bytes);
  CHECK(bytes.has_value());
  Secret secret{.size = bytes->size()};
  std::ranges::copy(*bytes, secret.space.begin());
  return secret;
}

}  // namespace

bool is_group(std::string_view name) { return group_of(name) != nullptr; }

struct ServerHandshake::Callbacks {
  static ServerHandshake& of(const SSL* ssl) {
    return *static_cast<ServerHandshake*>(SSL_get_ex_data(ssl, 0));
  }

  // Asked for each identity of the hello; ours alone is known.
  static int find_psk(SSL* ssl, const unsigned char* identity, std::size_t bytes,
                      SSL_SESSION** session) {
    *session = nullptr;
    const Psk& psk = of(ssl).psk_;
    if (psk.identity != std::string_view(reinterpret_cast<const char*>(identity), bytes)) return 1;
    const unsigned char id[] = {0x13, suite_id(psk.hash)};
    const SSL_CIPHER* const cipher = SSL_CIPHER_find(ssl, id);
    SSL_SESSION* const made = SSL_SESSION_new();
    if (cipher == nullptr || made == nullptr ||
        SSL_SESSION_set1_master_key(made,
                                    reinterpret_cast<const unsigned char*>(psk.key.space.data()),
                                    psk.key.size) != 1 ||
        SSL_SESSION_set_cipher(made, cipher) != 1 ||
        SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) != 1) {
      SSL_SESSION_free(made);
      return 0;
    }
    *session = made;
    return 1;
  }

  static void note_secret(const SSL* ssl, const char* text) {
    const std::string_view line(text);
    ServerHandshake& handshake = of(ssl);
    if (line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
      handshake.client_secret_ = after_last_blank(line);
    } else if (line.starts_with("SERVER_TRAFFIC_SECRET_0 ")) {
      handshake.server_secret_ = after_last_blank(line);
    }
  }
};

HandshakeContext::HandshakeContext(HandshakeOptions options)
    : options_(std::move(options)), context_(SSL_CTX_new(TLS_server_method())) {
  CHECK(context_ != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context_, TLS1_3_VERSION) == 1);
  std::string groups;
  for (const std::string& name : options_.groups) {
    const Group* const group = group_of(name);
    CHECK(group != nullptr);
    groups += (groups.empty() ? "" : ":") + std::string(group->openssl);
  }
  CHECK(SSL_CTX_set1_groups_list(context_, groups.c_str()) == 1);
  // Without SSL_OP_ALLOW_NO_DHE_KEX there is psk_dhe_ke alone. No ticket, no early data.
  SSL_CTX_set_options(context_, SSL_OP_NO_TICKET);
  CHECK(SSL_CTX_set_num_tickets(context_, 0) == 1);
  CHECK(SSL_CTX_set_max_early_data(context_, 0) == 1);
  CHECK(SSL_CTX_set_recv_max_early_data(context_, 0) == 1);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_keylog_callback(context_, &ServerHandshake::Callbacks::note_secret);
}

HandshakeContext::~HandshakeContext() { SSL_CTX_free(context_); }

bool HandshakeContext::allows(Hash suite) const {
  return std::ranges::count(options_.suites, suite) != 0;
}

ServerHandshake::ServerHandshake(const HandshakeContext& context, Psk psk)
    : psk_(std::move(psk)), ssl_(SSL_new(context.raw())) {
  CHECK(ssl_ != nullptr);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  CHECK(in != nullptr && out != nullptr);
  SSL_set_bio(ssl_, in, out);
  CHECK(SSL_set_ex_data(ssl_, 0, this) == 1);
  // The suite is chosen before the PSK is looked at, and one of another hash would lose it.
  CHECK(SSL_set_ciphersuites(ssl_, suite_of(psk_.hash)) == 1);
  SSL_set_psk_find_session_callback(ssl_, &Callbacks::find_psk);
  SSL_set_accept_state(ssl_);
}

ServerHandshake::~ServerHandshake() {
  SSL_free(ssl_);
  OPENSSL_cleanse(psk_.key.space.data(), psk_.key.space.size());
  OPENSSL_cleanse(client_secret_.data(), client_secret_.size());
  OPENSSL_cleanse(server_secret_.data(), server_secret_.size());
}

engine::Result<std::optional<HandshakeResult>, std::string> ServerHandshake::take(
    std::span<const std::byte> in, std::vector<std::byte>& out) {
  ERR_clear_error();
  if (!in.empty() && BIO_write(SSL_get_rbio(ssl_), in.data(), static_cast<int>(in.size())) !=
                         static_cast<int>(in.size())) {
    return std::string("out of memory");
  }
  const int done = SSL_do_handshake(ssl_);
  const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, done);
  char* sent = nullptr;
  const long bytes = BIO_get_mem_data(SSL_get_wbio(ssl_), &sent);
  const auto* const first = reinterpret_cast<const std::byte*>(sent);
  out.insert(out.end(), first, first + bytes);
  (void)BIO_reset(SSL_get_wbio(ssl_));
  if (error == SSL_ERROR_WANT_READ) return std::optional<HandshakeResult>();
  if (error != SSL_ERROR_NONE) return last_error();
  return std::optional(result());
}

HandshakeResult ServerHandshake::result() const {
  HandshakeResult made{.suite = psk_.hash,
                       .group = {},
                       .client_secret = secret_of(client_secret_),
                       .server_secret = secret_of(server_secret_)};
  const char* const group =
      SSL_group_to_name(ssl_, static_cast<int>(SSL_get_negotiated_group(ssl_)));
  if (group != nullptr) made.group = group;
  return made;
}

std::vector<std::byte> ServerHandshake::rest() {
  char* left = nullptr;
  const long bytes = BIO_get_mem_data(SSL_get_rbio(ssl_), &left);
  const auto* const first = reinterpret_cast<const std::byte*>(left);
  return {first, first + bytes};
}

}  // namespace protocol::tls
