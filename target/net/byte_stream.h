// ByteStream: a non-blocking, connected stream of bytes. The seam between the protocols and sockets
// (or TLS), with a simulated twin in tests/sim.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/foundation/result.h"
#include "target/net/stream_security.h"

namespace target {

class RecordSocket;

enum class StreamError : std::uint8_t {
  would_block,  // nothing to read, or no room to write, right now
  closed,       // the peer ended the stream in order
  broken,       // reset, timed out or otherwise unusable
  evicted,      // its place was needed, and the peer had not settled
  unreadable,   // what was to be written lies in memory that has gone bad
  refused,      // the peer has not proved what it must; who found that has said it
};

// Readiness, not completion: a reactor turn reads and writes what it can without waiting, and asks
// to be told when there is more. One reactor's thread only.
class ByteStream {
 public:
  ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  virtual ~ByteStream() = default;

  // Bytes read (at least 1) into the front of `into`.
  [[nodiscard]] virtual engine::Result<std::size_t, StreamError> read(
      std::span<const iovec> into) = 0;
  // Bytes written (at least 1, maybe fewer than given).
  [[nodiscard]] virtual engine::Result<std::size_t, StreamError> write(
      std::span<const iovec> from) = 0;
  // Calls back once, from the reactor, when read() or write() is worth trying; not if closed first.
  virtual void when_readable(std::function<void()> callback) = 0;
  virtual void when_writable(std::function<void()> callback) = 0;
  // Nothing more will be written: the peer sees the end of the stream behind what was. read() goes
  // on.
  virtual void finish_writing() = 0;
  // The peer has shown what it came for: its place is not taken away for another's.
  virtual void settle() = 0;
  // Ends the stream now; pending callbacks are dropped. Safe to call twice.
  virtual void close() = 0;

  // What the peer has proved, once something has been read; nullptr: nothing.
  [[nodiscard]] virtual std::shared_ptr<const StreamSecurity> security() const { return nullptr; }

  // What its socket can do about records of TLS; nullptr: it has none. Belongs to the stream.
  [[nodiscard]] virtual RecordSocket* record_socket() { return nullptr; }

  // "192.0.2.1:4420", "[2001:db8::1]:4420".
  [[nodiscard]] virtual const std::string& peer_address() const = 0;
  [[nodiscard]] virtual const std::string& local_address() const = 0;
};

}  // namespace target
