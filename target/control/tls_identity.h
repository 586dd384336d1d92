// TlsIdentity: the certificate that this end of a TLS connection shows, with its key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/foundation/result.h"

namespace boost::asio::ssl {
class context;
}

namespace target::control {

// Immutable; any thread.
class TlsIdentity {
 public:
  // `certificate`: PEM, this end's own first, then those that lead to the authority that clients
  // know. `key`: PEM, without a passphrase, of the first of them. The error is a sentence without
  // its beginning: "holds no certificate: ...".
  struct Problem {
    bool is_of_key = false;
    std::string text;
  };
  static engine::Result<std::shared_ptr<const TlsIdentity>, Problem> parse(
      std::string_view certificate, std::string_view key);

  TlsIdentity() = default;
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;
  virtual ~TlsIdentity() = default;

  // Seconds since 1970.
  [[nodiscard]] virtual std::int64_t expires_at() const = 0;
  // SHA-256 of the first certificate, hexadecimal.
  [[nodiscard]] virtual const std::string& fingerprint() const = 0;
  // TLS 1.2 with forward secrecy, or 1.3; no renegotiation, no compression.
  [[nodiscard]] virtual boost::asio::ssl::context& context() const = 0;
};

}  // namespace target::control
