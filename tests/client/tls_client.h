// A TLS 1.3 client with a PSK over memory, by OpenSSL: bytes in, bytes out. Nothing of the target's
// own TLS is in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/client/bytes.h"
#include "tests/client/error.h"

struct ssl_st;
struct ssl_ctx_st;

namespace client {

struct TlsOptions {
  std::string identity;
  Bytes psk;
  bool is_sha384 = false;         // the suite of the PSK; else SHA-256
  std::string groups = "X25519";  // in OpenSSL's words; the first is tried at once
  bool is_tls_1_2 = false;        // offers that alone
  Bytes early_data = {};          // sent behind the hello, before the peer has said anything
  std::size_t cut_bytes = 0;  // the handshake goes out in so many bytes at a time; 0: as it comes
};

class TlsClient {
 public:
  explicit TlsClient(TlsOptions options);
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient();

  // What has come from the peer.
  void feed(std::span<const std::byte> bytes);
  // What shall be sent to it; it is not given out twice.
  [[nodiscard]] Bytes to_send();

  // True once the handshake is done. Errors: refused, with OpenSSL's words for the peer's alert.
  [[nodiscard]] Result<bool> shake_hands();
  [[nodiscard]] std::string suite() const;

  // After the handshake.
  [[nodiscard]] Result<void> write(std::span<const std::byte> plain);
  // All that can be read now; may be empty. Errors: closed (close_notify), refused (an alert, or
  // records that cannot be opened).
  [[nodiscard]] Result<Bytes> read();
  // Changes the keys of this side, and asks for the same of the peer's.
  void update_keys(bool also_peer);
  void say_goodbye();  // close_notify

  // Instead of feed(), to_send(), write() and read() from here on: OpenSSL reads and writes
  // `socket` (non-blocking, the caller's) by itself, and nothing is copied for it. What was to be
  // sent has been sent.
  void use_socket(int socket);
  // What comes next, at the front of `into`; 0: nothing now. Errors as of read().
  [[nodiscard]] Result<std::size_t> read_some(std::span<std::byte> into);
  // OpenSSL has read more of the socket than it has given out.
  [[nodiscard]] bool has_more() const;
  // At most a record; 0: the socket is full, and the same bytes must come next (maybe with more).
  [[nodiscard]] Result<std::size_t> write_some(std::span<const std::byte> from);

 private:
  struct Callbacks;
  [[nodiscard]] Error last_error(const char* what) const;

  const TlsOptions options_;
  ssl_ctx_st* context_;
  ssl_st* ssl_;
};

}  // namespace client
