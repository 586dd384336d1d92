// TcpStream: the ByteStream over a TCP socket. Reads and writes go straight to the kernel; the
// reactor's io_context only tells of readiness.
#pragma once

#include <functional>
#include <memory>

#include "target/net/byte_stream.h"
#include "target/net/connection_limit.h"
#include "target/net/record_socket.h"
#include "target/net/unique_fd.h"
#include "target/reactor/reactor.h"

namespace target {

class TcpStream final : public ByteStream, private RecordSocket {
 public:
  // `socket` is connected and non-blocking. On the reactor's thread; it must outlive the stream.
  TcpStream(Reactor& reactor, UniqueFd socket, ConnectionLimit::Place place = {});
  ~TcpStream() override;

  [[nodiscard]] engine::Result<std::size_t, StreamError> read(std::span<const iovec> into) override;
  [[nodiscard]] engine::Result<std::size_t, StreamError> write(
      std::span<const iovec> from) override;
  void when_readable(std::function<void()> callback) override;
  void when_writable(std::function<void()> callback) override;
  void finish_writing() override;
  void settle() override { place_.settle(); }
  void close() override;
  [[nodiscard]] RecordSocket* record_socket() override { return this; }
  [[nodiscard]] const std::string& peer_address() const override { return peer_address_; }
  [[nodiscard]] const std::string& local_address() const override { return local_address_; }

 private:
  // Of RecordSocket.
  [[nodiscard]] bool attach() override;
  [[nodiscard]] bool set_keys(Direction direction, std::span<const std::byte> info) override;
  [[nodiscard]] engine::Result<Received, StreamError> receive(std::span<const iovec> into) override;
  [[nodiscard]] engine::Result<void, StreamError> send(std::uint8_t type,
                                                       std::span<const std::byte> content) override;

  struct Readiness;  // shared with waits under way, which may end after the stream

  ConnectionLimit::Place place_;
  std::string peer_address_;
  std::string local_address_;
  int socket_ = -1;
  std::shared_ptr<Readiness> readiness_;
};

}  // namespace target
