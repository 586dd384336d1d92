// RecordSocket: what a connection's socket can do about records of TLS by itself (Linux: TCP_ULP
// "tls"). Knows no cryptography: keys are bytes as the kernel takes them.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/result.h"
#include "target/net/byte_stream.h"

namespace target {

// One reactor's thread only, like the stream that has it.
class RecordSocket {
 public:
  enum class Direction : std::uint8_t { send, receive };

  RecordSocket() = default;
  RecordSocket(const RecordSocket&) = delete;
  RecordSocket& operator=(const RecordSocket&) = delete;
  virtual ~RecordSocket() = default;

  // Asks for TLS on this connection; bytes go on as they were until there are keys. False: the
  // kernel has none, and nothing has changed.
  [[nodiscard]] virtual bool attach() = 0;
  // From here on write() of the stream sends content that the kernel seals, or receive() gives out
  // what it has opened: the next byte in that direction is the first of a record. `info` is a
  // struct of <linux/tls.h>. Again: for another generation of keys. False: nothing has changed.
  [[nodiscard]] virtual bool set_keys(Direction direction, std::span<const std::byte> info) = 0;

  struct Received {
    std::size_t bytes = 0;    // at the front of `into`, all of one type
    std::uint8_t type = 0;    // of the content
    bool is_whole = true;     // not data: the record has ended with them
    bool is_damaged = false;  // a record could not be opened, or is none; nothing follows
  };
  // Instead of read() of the stream, once there are keys for receiving.
  [[nodiscard]] virtual engine::Result<Received, StreamError> receive(
      std::span<const iovec> into) = 0;
  // A record that is not data. Nothing of it was sent if it would block.
  [[nodiscard]] virtual engine::Result<void, StreamError> send(
      std::uint8_t type, std::span<const std::byte> content) = 0;
};

}  // namespace target
