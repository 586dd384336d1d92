#include "tests/client/tls_tunnel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace client {

// Gives access to what has been received, whatever it is.
class TlsTunnel::Wire final : public ByteConnection {
 public:
  using ByteConnection::ByteConnection;

  [[nodiscard]] Result<Bytes> receive(std::chrono::steady_clock::time_point deadline) {
    // Sending may have taken something in already.
    if (buffer_.empty()) {
      TRY(fill(deadline));
    }
    return std::exchange(buffer_, {});
  }
};

Result<std::unique_ptr<TlsTunnel>> TlsTunnel::open(const Endpoint& endpoint,
                                                   const TlsOptions& options,
                                                   Milliseconds time_out) {
  const auto deadline = std::chrono::steady_clock::now() + time_out;
  TRY(const int socket, ByteConnection::connect_socket(endpoint, time_out));
  auto wire = std::make_unique<Wire>(socket);
  auto tls = std::make_unique<TlsClient>(options);
  for (;;) {
    const auto done = tls->shake_hands();
    const Bytes sent = tls->to_send();
    const std::size_t step = options.cut_bytes == 0 ? sent.size() : options.cut_bytes;
    for (std::size_t at = 0; at < sent.size(); at += step) {
      TRY(wire->send(std::span(sent).subspan(at, std::min(step, sent.size() - at))));
    }
    if (!done) return done.error();
    if (done.value()) break;
    TRY(const Bytes came, wire->receive(deadline));
    tls->feed(came);
  }
  return std::unique_ptr<TlsTunnel>(new TlsTunnel(std::move(wire), std::move(tls)));
}

TlsTunnel::TlsTunnel(std::unique_ptr<Wire> wire, std::unique_ptr<TlsClient> tls)
    : wire_(std::move(wire)), tls_(std::move(tls)), suite_(tls_->suite()) {
  std::array<int, 2> ends{};
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  plain_ = ends[0];
  inner_ = ends[1];
  carrier_ = std::thread([this] { carry(); });
}

TlsTunnel::~TlsTunnel() {
  stop_ = true;
  ::shutdown(inner_, SHUT_RDWR);
  ::shutdown(wire_->socket(), SHUT_RDWR);
  if (carrier_.joinable()) carrier_.join();
  ::close(inner_);
  if (plain_ >= 0) ::close(plain_);
}

int TlsTunnel::take_socket() { return std::exchange(plain_, -1); }

TlsTunnel::Direct TlsTunnel::take_over() {
  stop_ = true;
  ::shutdown(inner_, SHUT_RDWR);
  carrier_.join();
  CHECK(wire_->buffered_bytes() == 0);
  const int socket = wire_->release();
  tls_->use_socket(socket);
  return {.socket = socket, .tls = std::move(tls_)};
}

void TlsTunnel::update_keys(bool also_peer) {
  Bytes sent;
  const std::lock_guard lock(mutex_);
  tls_->update_keys(also_peer);
  (void)wire_->send(tls_->to_send());
}

std::optional<Error> TlsTunnel::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void TlsTunnel::finish(const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    end_ = why;
  }
  ::shutdown(inner_, SHUT_WR);
}

void TlsTunnel::carry() {
  std::array<std::byte, 65536> piece;
  bool is_talking = true;
  while (!stop_) {
    std::array<pollfd, 2> waiting{
        pollfd{.fd = wire_->socket(), .events = POLLIN, .revents = 0},
        pollfd{.fd = is_talking ? inner_ : -1, .events = POLLIN, .revents = 0}};
    const bool has_more = wire_->buffered_bytes() != 0;
    if (::poll(waiting.data(), waiting.size(), has_more ? 0 : -1) < 0 && errno != EINTR) return;
    if (stop_) return;
    if (waiting[1].revents != 0) {
      const ssize_t got = ::recv(inner_, piece.data(), piece.size(), MSG_DONTWAIT);
      const std::lock_guard lock(mutex_);
      if (got <= 0) {
        is_talking = false;
        tls_->say_goodbye();
      } else {
        (void)tls_->write(std::span(piece).first(static_cast<std::size_t>(got)));
      }
      (void)wire_->send(tls_->to_send());
      if (!is_talking) wire_->half_close();
    }
    if (waiting[0].revents == 0 && wire_->buffered_bytes() == 0) continue;
    auto came = wire_->receive(std::chrono::steady_clock::now());
    if (!came) return finish(came.error());
    Result<Bytes> plain = Bytes{};
    {
      const std::lock_guard lock(mutex_);
      tls_->feed(came.value());
      plain = tls_->read();
      (void)wire_->send(tls_->to_send());
    }
    if (!plain) return finish(plain.error());
    std::span<const std::byte> left = plain.value();
    while (!left.empty()) {
      const ssize_t put = ::send(inner_, left.data(), left.size(), MSG_NOSIGNAL);
      if (put <= 0) return finish({ErrorKind::misuse, "nobody reads"});
      left = left.subspan(static_cast<std::size_t>(put));
    }
  }
}

}  // namespace client
