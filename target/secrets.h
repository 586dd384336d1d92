// Secrets: what the references of a configuration name, read once at the start.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/message.h"
#include "engine/foundation/result.h"
#include "protocol/auth/dhchap_secret.h"
#include "target/control/tls_identity.h"

namespace target {

// RFC 7143, section 9.2.1, asks for 96 bits at least; the most is what CHAP_R's checks take.
inline constexpr std::size_t min_secret_bytes = 12;
inline constexpr std::size_t max_secret_bytes = 256;

struct SecretProblem {
  std::string text;  // one line for the operator; nothing of the secret stands in it
};

// The secret itself: the file's bytes, whatever they are, without one newline at their end.
// Refused: a file that is not there or no plain file, that others than owner and group may read or
// others than the owner change, or that is too short or too long.
[[nodiscard]] engine::Result<std::string, SecretProblem> read_secret(const config::SecretRef& ref);

// A certificate or its key. The key's file must be as a secret's; a certificate everybody may read.
// At most 64 KiB.
[[nodiscard]] engine::Result<std::string, SecretProblem> read_pem(const config::SecretRef& ref,
                                                                  bool is_private);

class Secrets {
 public:
  // Reads every secret that `config` names. Those that cannot be used, and pairs that RFC 7143,
  // section 12.1.3, forbids (one secret for both directions), are among the messages.
  Secrets(const config::Config& config, config::Severity severity);

  [[nodiscard]] const std::vector<config::Message>& messages() const { return messages_; }
  [[nodiscard]] const std::map<config::SecretRef, std::string>& all() const { return secrets_; }
  // `ref` stands in that configuration, and no message was about it.
  [[nodiscard]] const std::string& of(const config::SecretRef& ref) const {
    return secrets_.at(ref);
  }
  // What the control port shows; null: it has no TLS, or a message was about it.
  [[nodiscard]] const std::shared_ptr<const control::TlsIdentity>& control_identity() const {
    return control_identity_;
  }
  // The same of a key of DH-HMAC-CHAP.
  [[nodiscard]] protocol::auth::DhchapSecret dhchap_of(const config::SecretRef& ref) const;

 private:
  void read_control_identity(const config::Config& config, config::Severity severity);

  std::map<config::SecretRef, std::string> secrets_;
  std::shared_ptr<const control::TlsIdentity> control_identity_;
  std::vector<config::Message> messages_;
};

}  // namespace target
