#include "target/control/tls_identity.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <ctime>
#include <span>
#include <utility>

#include "protocol/auth/binary_text.h"

namespace target::control {
namespace {

namespace ssl = boost::asio::ssl;

constexpr const char* tls12_suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

class Identity final : public TlsIdentity {
 public:
  // Empty: it is one.
  Problem open(std::string_view certificate, std::string_view key) {
    SSL_CTX* const native = context_.native_handle();
    ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    ::SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
    ::SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(native, 0);
    (void)::SSL_CTX_set_cipher_list(native, tls12_suites);
    ::ERR_clear_error();
    boost::system::error_code error;
    (void)context_.set_password_callback(
        [](std::size_t, ssl::context::password_purpose) {
          return std::string();  // OpenSSL would ask on the terminal
        },
        error);
    context_.use_certificate_chain(boost::asio::buffer(certificate.data(), certificate.size()),
                                   error);
    if (error) return {false, "holds no certificate in PEM: " + error.message()};
    context_.use_private_key(boost::asio::buffer(key.data(), key.size()), ssl::context::pem, error);
    if (error) {
      return {true, "holds no key without passphrase in PEM, or not that of the certificate: " +
                        error.message()};
    }
    X509* const own = ::SSL_CTX_get0_certificate(native);
    if (::SSL_CTX_check_private_key(native) != 1) return {true, "is not the certificate's key"};
    tm end{};
    if (::ASN1_TIME_to_tm(::X509_get0_notAfter(own), &end) != 1) {
      return {false, "has a certificate whose end cannot be read"};
    }
    expires_at_ = ::timegm(&end);
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
    unsigned bytes = 0;
    if (::X509_digest(own, ::EVP_sha256(), sum.data(), &bytes) != 1) {
      return {false, "has a certificate that cannot be summed up"};
    }
    fingerprint_ = protocol::auth::to_hex(std::as_bytes(std::span(sum).first(bytes))).substr(2);
    return {};
  }

  [[nodiscard]] std::int64_t expires_at() const override { return expires_at_; }
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] ssl::context& context() const override { return context_; }

 private:
  // Only references to it are taken once it is open.
  mutable ssl::context context_{ssl::context::tls_server};
  std::int64_t expires_at_ = 0;
  std::string fingerprint_;
};

}  // namespace

engine::Result<std::shared_ptr<const TlsIdentity>, TlsIdentity::Problem> TlsIdentity::parse(
    std::string_view certificate, std::string_view key) {
  auto identity = std::make_shared<Identity>();
  if (Problem problem = identity->open(certificate, key); !problem.text.empty()) return problem;
  return std::shared_ptr<const TlsIdentity>(std::move(identity));
}

}  // namespace target::control
