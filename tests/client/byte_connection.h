// A TCP connection that sends any bytes and keeps those that arrive: what every protocol's
// connection stands on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/client/bytes.h"
#include "tests/client/error.h"

namespace client {

using Milliseconds = std::chrono::milliseconds;

// Generous: a guest or a sanitizer build may be ten times slower than usual.
constexpr Milliseconds default_time_out{20'000};

struct Endpoint {
  std::string host = "127.0.0.1";  // numeric IPv4 or IPv6 address, or a name
  std::uint16_t port = 4420;

  [[nodiscard]] std::string text() const;  // "127.0.0.1:4420", "[::1]:4420"
};

// How the peer ended a connection.
enum class Ending { closed, reset };

// Blocking; every call has a time-out. Use from one thread at a time. Closing is the destructor's.
class ByteConnection {
 public:
  // A connected socket; `receive_buffer_bytes` sets SO_RCVBUF (a tiny one makes a slow reader).
  static Result<int> connect_socket(const Endpoint& endpoint, Milliseconds time_out,
                                    std::optional<int> receive_buffer_bytes = {});
  // Owns a connected socket from now on (an accepted one, say).
  explicit ByteConnection(int socket);
  ByteConnection(const ByteConnection&) = delete;
  ByteConnection& operator=(const ByteConnection&) = delete;
  ~ByteConnection();

  // Sends every byte. Errors: time_out (how much went out is then unknown), closed, reset, system.
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes,
                                  Milliseconds time_out = default_time_out);

  // True when nothing arrived for `duration` and the connection is still up.
  [[nodiscard]] bool stays_silent(Milliseconds duration);

  void half_close();   // FIN, still reading
  void abort_close();  // RST
  // Gives the socket away (with no byte received and unread, or they are lost); the object is then
  // closed.
  [[nodiscard]] int release();
  [[nodiscard]] int socket() const { return socket_; }
  // Bytes received that make no whole PDU yet.
  [[nodiscard]] std::size_t buffered_bytes() const { return buffer_.size(); }

 protected:
  // Waits for bytes and appends them to buffer_.
  [[nodiscard]] Result<void> fill(std::chrono::steady_clock::time_point deadline);

  Bytes buffer_;

 private:
  int socket_;
};

}  // namespace client
