// The target's side of a TLS 1.3 handshake with a PSK, as a machine: bytes in, bytes out, by
// OpenSSL over memory. What it agrees on is given out as secrets; records are RecordCipher's from
// there on, so that OpenSSL never gets to send what hosts cannot take (session tickets).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/tls/hash.h"

struct ssl_ctx_st;
struct ssl_st;

namespace protocol::tls {

// What a listener lets a host choose from.
struct HandshakeOptions {
  std::vector<Hash> suites{Hash::sha256, Hash::sha384};
  std::vector<std::string> groups{"x25519", "secp256r1", "secp384r1"};  // is_group() each
  friend bool operator==(const HandshakeOptions&, const HandshakeOptions&) = default;
};
// A group for the exchange of keys that this machine's cryptography has, by its name in RFC 8446.
[[nodiscard]] bool is_group(std::string_view name);

// Any thread; outlives its handshakes.
class HandshakeContext {
 public:
  explicit HandshakeContext(HandshakeOptions options);
  HandshakeContext(const HandshakeContext&) = delete;
  HandshakeContext& operator=(const HandshakeContext&) = delete;
  ~HandshakeContext();

  [[nodiscard]] const HandshakeOptions& options() const { return options_; }
  [[nodiscard]] bool allows(Hash suite) const;
  [[nodiscard]] ssl_ctx_st* raw() const { return context_; }

 private:
  const HandshakeOptions options_;
  ssl_ctx_st* context_;
};

struct HandshakeResult {
  Hash suite = Hash::sha256;
  std::string group;
  Secret client_secret;  // application traffic, from the first record on
  Secret server_secret;
};

// One thread. Knows the one PSK that the ClientHello's binder has been checked against.
class ServerHandshake {
 public:
  struct Psk {
    std::string identity;
    Hash hash = Hash::sha256;
    Secret key;
  };
  ServerHandshake(const HandshakeContext& context, Psk psk);
  ServerHandshake(const ServerHandshake&) = delete;
  ServerHandshake& operator=(const ServerHandshake&) = delete;
  ~ServerHandshake();

  // Takes what the host has sent, from the ClientHello's first byte on. What shall be sent is
  // appended to `out`, also with an error: an alert. nullopt: more is needed. The error says why,
  // for the log.
  [[nodiscard]] engine::Result<std::optional<HandshakeResult>, std::string> take(
      std::span<const std::byte> in, std::vector<std::byte>& out);
  // What came behind the host's last handshake message: records with application data. Once done.
  [[nodiscard]] std::vector<std::byte> rest();

 private:
  friend class HandshakeContext;
  struct Callbacks;
  [[nodiscard]] HandshakeResult result() const;

  Psk psk_;
  ssl_st* ssl_;
  std::string client_secret_;  // hexadecimal, as OpenSSL tells them
  std::string server_secret_;
};

}  // namespace protocol::tls
