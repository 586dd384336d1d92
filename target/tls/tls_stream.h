// TlsStream: the ByteStream over a connection whose peer speaks TLS, or may. The handshake runs
// inside read(); a protocol above sees would_block until it is done, and its own time-outs watch
// over it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/tls/client_hello.h"
#include "protocol/tls/server_handshake.h"
#include "target/net/byte_stream.h"
#include "target/reactor/reactor.h"
#include "target/tls/door.h"
#include "target/tls/kernel_records.h"
#include "target/tls/tls_records.h"

namespace target::tls {

// One reactor's thread. Until the peer has proved that it has a key, a connection holds its
// ClientHello (at most 8 KiB) and nothing of OpenSSL; from the end of the handshake on, two ciphers
// and what is on its way.
class TlsStream final : public ByteStream {
 public:
  // `inner` is connected.
  TlsStream(Reactor& reactor, std::unique_ptr<ByteStream> inner, std::shared_ptr<Door> door);
  ~TlsStream() override;

  [[nodiscard]] engine::Result<std::size_t, StreamError> read(std::span<const iovec> into) override;
  [[nodiscard]] engine::Result<std::size_t, StreamError> write(
      std::span<const iovec> from) override;
  void when_readable(std::function<void()> callback) override;
  void when_writable(std::function<void()> callback) override;
  void finish_writing() override;
  void settle() override { inner_->settle(); }
  void close() override;
  [[nodiscard]] std::shared_ptr<const StreamSecurity> security() const override {
    return security_;
  }
  [[nodiscard]] const std::string& peer_address() const override { return inner_->peer_address(); }
  [[nodiscard]] const std::string& local_address() const override {
    return inner_->local_address();
  }

 private:
  enum class Stage : std::uint8_t {
    hello,      // the first byte, then the ClientHello
    handshake,  // the peer has proved its key, and finishes
    secure,
    plain,  // it does not speak TLS, and need not
    failed,
  };
  using Read = engine::Result<std::size_t, StreamError>;

  [[nodiscard]] engine::Result<void, StreamError> agree();
  [[nodiscard]] engine::Result<void, StreamError> take_hello(std::span<const std::byte> bytes);
  [[nodiscard]] engine::Result<void, StreamError> begin_handshake(
      const protocol::tls::ClientHello& hello);
  [[nodiscard]] engine::Result<void, StreamError> take_handshake(std::span<const std::byte> bytes);
  [[nodiscard]] StreamError refuse(TlsFault fault, Alert alert, const std::string& detail = {});
  [[nodiscard]] StreamError fail(TlsFault fault, const std::string& detail = {});
  [[nodiscard]] Read read_secure(std::span<const iovec> into);
  [[nodiscard]] Read read_plain(std::span<const iovec> into);
  [[nodiscard]] Read read_kernel(std::span<const iovec> into);
  // Gives the kernel what it can have by now.
  void hand_over();
  void say_goodbye();
  [[nodiscard]] StreamError lost(StreamError error);
  // Sends what waits in pending_, and asks to be told when it could not.
  void flush();
  void watch_writable();

  Reactor& reactor_;
  const std::unique_ptr<ByteStream> inner_;
  const std::shared_ptr<Door> door_;
  Stage stage_ = Stage::hello;
  StreamError error_ = StreamError::broken;  // once failed
  bool is_closed_ = false;
  bool finishes_ = false;      // nothing more is written, but for what is pending
  bool owes_goodbye_ = false;  // the kernel sends, and had no room for close_notify

  // Up to the end of the handshake.
  protocol::tls::HelloGatherer hello_;
  std::string host_nqn_;  // as the peer says
  std::optional<ChosenKey> key_;
  std::unique_ptr<protocol::tls::ServerHandshake> handshake_;

  std::vector<std::byte> first_bytes_;  // plain: read, and not taken yet
  std::unique_ptr<TlsRecords> records_;
  std::unique_ptr<KernelRecords> kernel_;  // nullptr: all records are our own
  std::shared_ptr<const StreamSecurity> security_;

  std::vector<std::byte> pending_;  // sealed, and not sent yet
  bool watches_writable_ = false;
  StreamError write_error_ = StreamError::would_block;  // anything else: what became of pending_
  std::function<void()> writable_;
  // Whoever waits for what is here already; shared with the call that is on its way.
  std::shared_ptr<std::function<void()>> readable_;
};

}  // namespace target::tls
