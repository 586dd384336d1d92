// A TCP connection that sends any bytes and hands back whole PDUs: the raw layer for hostile tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/client/bytes.h"
#include "tests/client/error.h"
#include "tests/client/pdu.h"

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

// One blocking connection; every call has a time-out. Use from one thread at a time. Closing is the
// destructor's.
class RawConnection {
 public:
  // Connects; `receive_buffer_bytes` sets SO_RCVBUF (a tiny one makes a slow reader).
  static Result<std::unique_ptr<RawConnection>> connect(
      const Endpoint& endpoint, Milliseconds time_out = default_time_out,
      std::optional<int> receive_buffer_bytes = {});
  // Owns a connected socket from now on (an accepted one, say).
  explicit RawConnection(int socket);
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  ~RawConnection();

  // Framing used by send(Pdu) and receive(); set it after ICReq/ICResp. Plain at first.
  Framing outgoing;
  Framing incoming;

  // Sends every byte. Errors: time_out (how much went out is then unknown), closed, reset, system.
  [[nodiscard]] Result<void> send(std::span<const std::byte> bytes,
                                  Milliseconds time_out = default_time_out);
  [[nodiscard]] Result<void> send(const Pdu& pdu, Milliseconds time_out = default_time_out);

  // The next PDU, whatever it is. Errors: time_out, closed (also in the middle of a PDU; the text
  // says so), reset, violation (a PDU whose end cannot be found).
  [[nodiscard]] Result<ReceivedPdu> receive(Milliseconds time_out = default_time_out);

  // Reads until the peer ends the connection; PDUs that come before are appended to `before` when
  // given. Errors: time_out when the connection is still open then.
  [[nodiscard]] Result<Ending> await_end(Milliseconds time_out = default_time_out,
                                         std::vector<ReceivedPdu>* before = nullptr);

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

 private:
  // Waits for bytes and appends them to buffer_.
  [[nodiscard]] Result<void> fill(std::chrono::steady_clock::time_point deadline);

  int socket_;
  Bytes buffer_;
};

}  // namespace client
