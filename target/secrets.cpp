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

}  // namespace

engine::Result<std::string, SecretProblem> read_secret(const config::SecretRef& ref) {
  TRY(const std::string path, path_of(ref));
  // O_NONBLOCK: a FIFO would be waited for.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) return problem_of(path, errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return problem_of(path, errno);
  if (!S_ISREG(about.st_mode)) return SecretProblem{path + " is no plain file; name one."};
  constexpr mode_t forbidden = S_IWGRP | S_IROTH | S_IWOTH;
  if ((about.st_mode & forbidden) != 0) {
    return SecretProblem{
        fmt::format("{} has mode {:04o}: others may read or change it; chmod 0600 it.", path,
                    about.st_mode & 07777U)};
  }
  constexpr std::size_t newline_bytes = 1;
  TRY(std::string secret, read_all(file.get(), path, max_secret_bytes + newline_bytes));
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
}

}  // namespace target
