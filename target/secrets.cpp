#include "target/secrets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <system_error>
#include <utility>

#include "engine/foundation/check.h"
#include "protocol/tls/key_text.h"
#include "target/net/unique_fd.h"

namespace target {
namespace {

SecretProblem problem_of(const std::string& path, int error) {
  return {fmt::format("{} cannot be read: {}; check the path and its permissions.", path,
                      std::generic_category().message(error))};
}

engine::Result<std::string, SecretProblem> path_of(const config::SecretRef& ref) {
  if (ref.source == config::SecretRef::Source::file) return ref.name;
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory == '\0') {
    return SecretProblem{fmt::format(
        "there is no $CREDENTIALS_DIRECTORY; write LoadCredential={}:/PATH in the unit, or name a "
        "file here.",
        ref.name)};
  }
  return fmt::format("{}/{}", directory, ref.name);
}

engine::Result<std::string, SecretProblem> read_all(int descriptor, const std::string& path,
                                                    std::size_t most) {
  std::string bytes;
  std::array<char, 512> piece;
  while (bytes.size() <= most) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return problem_of(path, errno);
    if (got == 0) break;
    bytes.append(piece.data(), static_cast<std::size_t>(got));
  }
  return bytes;
}

constexpr mode_t may_not_of_secrets = S_IWGRP | S_IROTH | S_IWOTH;
constexpr mode_t may_not_of_certificates = S_IWGRP | S_IWOTH;

// At most one byte more than `most`. Refused: what is no plain file, or has a mode of `forbidden`.
engine::Result<std::string, SecretProblem> read_guarded(const std::string& path, mode_t forbidden,
                                                        std::size_t most) {
  // O_NONBLOCK: a FIFO would be waited for.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) return problem_of(path, errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return problem_of(path, errno);
  if (!S_ISREG(about.st_mode)) return SecretProblem{path + " is no plain file; name one."};
  if ((about.st_mode & forbidden) != 0) {
    return SecretProblem{fmt::format("{} has mode {:04o}: others may {}change it; chmod {} it.",
                                     path, about.st_mode & 07777U,
                                     forbidden == may_not_of_secrets ? "read or " : "",
                                     forbidden == may_not_of_secrets ? "0600" : "0644")};
  }
  return read_all(file.get(), path, most);
}

// Every `chap` of the file with its path in it.
void for_each_chap(
    const config::Config& config,
    const std::function<void(const config::Chap& chap, const std::string& path)>& use) {
  for (const auto& [name, host] : config.hosts) {
    if (host.chap) use(*host.chap, "hosts." + name + ".chap");
  }
  for (const auto& [iqn, target] : config.targets) {
    if (target.chap) use(*target.chap, "targets." + iqn + ".chap");
  }
  if (config.iscsi.discovery_chap) use(*config.iscsi.discovery_chap, "iscsi.discovery_chap");
}

// Every TLS key of the file with its path in it.
void for_each_tls_key(const config::Config& config,
                      const std::function<void(const config::Located<config::SecretRef>& ref,
                                               const std::string& path)>& use) {
  for (const auto& [name, host] : config.hosts) {
    const std::string path = "hosts." + name;
    for (std::size_t i = 0; i < host.tls_psk.size(); ++i) {
      use(host.tls_psk[i], fmt::format("{}.tls_psk[{}]", path, i));
    }
    for (std::size_t i = 0; i < host.tls_psk_old.size(); ++i) {
      use(host.tls_psk_old[i], fmt::format("{}.tls_psk_old[{}]", path, i));
    }
  }
}

// The same of DH-HMAC-CHAP, with those of a rotation.
void for_each_dhchap(
    const config::Config& config,
    const std::function<void(const config::DhchapKeys& keys, const std::string& path)>& use) {
  for (const auto& [name, host] : config.hosts) {
    if (!host.dhchap) continue;
    use(host.dhchap->keys, "hosts." + name + ".dhchap");
    if (host.dhchap->previous) {
      use(host.dhchap->previous->keys, "hosts." + name + ".dhchap.previous");
    }
  }
}

}  // namespace

engine::Result<std::string, SecretProblem> read_secret(const config::SecretRef& ref) {
  constexpr std::size_t newline_bytes = 1;
  TRY(const std::string path, path_of(ref));
  TRY(std::string secret, read_guarded(path, may_not_of_secrets, max_secret_bytes + newline_bytes));
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.size() < min_secret_bytes || secret.size() > max_secret_bytes) {
    return SecretProblem{
        fmt::format("{} has {}{} bytes; a secret has {} to {}.", path,
                    secret.size() > max_secret_bytes ? "more than " : "",
                    secret.size() > max_secret_bytes ? max_secret_bytes : secret.size(),
                    min_secret_bytes, max_secret_bytes)};
  }
  return secret;
}

engine::Result<std::string, SecretProblem> read_pem(const config::SecretRef& ref, bool is_private) {
  constexpr std::size_t most = 64 << 10;
  TRY(const std::string path, path_of(ref));
  TRY(std::string text,
      read_guarded(path, is_private ? may_not_of_secrets : may_not_of_certificates, most));
  if (text.size() > most) return SecretProblem{path + " has more than 64 KiB; name another."};
  return text;
}

Secrets::Secrets(const config::Config& config, config::Severity severity) {
  const auto tell = [&](config::Position at, std::string path, std::string text) {
    messages_.push_back({.file = config.file,
                         .at = at,
                         .path = std::move(path),
                         .text = std::move(text),
                         .severity = severity});
  };
  const auto read = [&](const config::Located<config::SecretRef>& ref, std::string path) {
    auto secret = read_secret(ref.value);
    if (!secret) return tell(ref.at, std::move(path), secret.error().text);
    secrets_.insert_or_assign(ref.value, std::move(secret).value());
  };
  for_each_tls_key(config, [&](const auto& ref, const std::string& path) {
    read(ref, path);
    const auto text = secrets_.find(ref.value);
    if (text == secrets_.end()) return;
    const auto key = protocol::tls::parse_key_text(text->second);
    const auto* const fault = std::get_if<protocol::tls::KeyTextFault>(&key);
    if (fault != nullptr) tell(ref.at, path, std::string(protocol::tls::text_of(*fault)));
  });
  for_each_chap(config, [&](const config::Chap& chap, const std::string& path) {
    read(chap.secret, path + ".secret");
    if (!chap.mutual_secret) return;
    read(*chap.mutual_secret, path + ".mutual_secret");
    const auto one = secrets_.find(chap.secret.value);
    const auto other = secrets_.find(chap.mutual_secret->value);
    if (one == secrets_.end() || other == secrets_.end() || one->second != other->second) return;
    tell(chap.mutual_secret->at, path + ".mutual_secret",
         "is the secret of the other direction, with which a host could have the target answer for "
         "it; make another.");
  });
  const auto read_key = [&](const config::Located<config::SecretRef>& ref,
                            const std::string& path) {
    read(ref, path);
    const auto text = secrets_.find(ref.value);
    if (text == secrets_.end()) return;
    const auto key = protocol::auth::parse_dhchap_secret(text->second);
    if (key) return;
    tell(ref.at, path, "the secret " + std::string(protocol::auth::text_of(key.error())));
  };
  for_each_dhchap(config, [&](const config::DhchapKeys& keys, const std::string& path) {
    read_key(keys.key, path + ".key");
    if (!keys.controller_key) return;
    read_key(*keys.controller_key, path + ".controller_key");
    const auto one = secrets_.find(keys.key.value);
    const auto other = secrets_.find(keys.controller_key->value);
    if (one == secrets_.end() || other == secrets_.end() || one->second != other->second) return;
    tell(keys.controller_key->at, path + ".controller_key",
         "is the key of the other direction: who has stolen one has both; make another.");
  });
  read_control_identity(config, severity);
}

void Secrets::read_control_identity(const config::Config& config, config::Severity severity) {
  const auto& certificate = config.control.certificate;
  const auto& key = config.control.key;
  if (!certificate || !key) return;
  const auto tell = [&](bool is_of_key, std::string text) {
    messages_.push_back({.file = config.file,
                         .at = is_of_key ? key->at : certificate->at,
                         .path = is_of_key ? "control.key" : "control.certificate",
                         .text = std::move(text),
                         .severity = severity});
  };
  const auto shown = read_pem(certificate->value, /*is_private=*/false);
  if (!shown) tell(false, shown.error().text);
  const auto kept = read_pem(key->value, /*is_private=*/true);
  if (!kept) tell(true, kept.error().text);
  if (!shown || !kept) return;
  auto identity = control::TlsIdentity::parse(shown.value(), kept.value());
  if (!identity) {
    const auto& problem = identity.error();
    const auto& ref = problem.is_of_key ? key->value : certificate->value;
    return tell(problem.is_of_key, fmt::format("{} {}.", ref.name, problem.text));
  }
  control_identity_ = std::move(identity).value();
}

protocol::auth::DhchapSecret Secrets::dhchap_of(const config::SecretRef& ref) const {
  auto key = protocol::auth::parse_dhchap_secret(of(ref));
  CHECK(key.has_value());
  return std::move(key).value();
}

}  // namespace target
