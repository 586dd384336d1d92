#include "target/net/tcp_stream.h"

#include <linux/tls.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>

#include "target/net/socket_address.h"

namespace target {

namespace asio = boost::asio;

namespace {

// Of <linux/tls.h> since 6.0.
constexpr int tls_rx_expect_no_pad = 4;

}  // namespace

struct TcpStream::Readiness {
  explicit Readiness(asio::io_context& context) : descriptor(context) {}

  asio::posix::stream_descriptor descriptor;
  std::function<void()> readable;  // empty: nobody waits
  std::function<void()> writable;
  bool evicted = false;
};

TcpStream::TcpStream(Reactor& reactor, UniqueFd socket, ConnectionLimit::Place place)
    : place_(std::move(place)),
      peer_address_(SocketAddress::peer_of(socket.get()).text()),
      local_address_(SocketAddress::local_of(socket.get()).text()),
      socket_(socket.get()),
      readiness_(std::make_shared<Readiness>(reactor.context())) {
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  boost::system::error_code failed;
  readiness_->descriptor.assign(socket_, failed);
  if (!failed) {
    (void)socket.release();
  } else {
    socket_ = -1;  // no room for it in the kernel's set: the first read says that it is broken
  }
  place_.when_evicted([&reactor, stream = std::weak_ptr(readiness_)] {
    reactor.post([stream] {
      const auto evicted = stream.lock();
      if (evicted == nullptr) return;
      // Whoever waits finds out by trying.
      evicted->evicted = true;
      if (const auto call = std::exchange(evicted->readable, {})) call();
      if (const auto call = std::exchange(evicted->writable, {})) call();
    });
  });
}

TcpStream::~TcpStream() { close(); }

engine::Result<std::size_t, StreamError> TcpStream::read(std::span<const iovec> into) {
  if (readiness_->evicted) return StreamError::evicted;
  if (socket_ < 0) return StreamError::broken;
  for (;;) {
    ssize_t got = 0;
    if (into.size() == 1) {
      got = ::recv(socket_, into[0].iov_base, into[0].iov_len, MSG_DONTWAIT);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(into.data());
      message.msg_iovlen = into.size();
      got = ::recvmsg(socket_, &message, MSG_DONTWAIT);
    }
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return StreamError::closed;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return StreamError::would_block;
    if (errno != EINTR) return StreamError::broken;
  }
}

engine::Result<std::size_t, StreamError> TcpStream::write(std::span<const iovec> from) {
  if (readiness_->evicted) return StreamError::evicted;
  if (socket_ < 0) return StreamError::broken;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = from.size();
  for (;;) {
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return StreamError::would_block;
    if (errno == EFAULT) return StreamError::unreadable;
    if (errno != EINTR) return StreamError::broken;
  }
}

// Linux, Documentation/networking/tls.rst.
bool TcpStream::attach() {
  static constexpr char name[] = "tls";
  return ::setsockopt(socket_, IPPROTO_TCP, TCP_ULP, name, sizeof(name)) == 0;
}

bool TcpStream::set_keys(Direction direction, std::span<const std::byte> info) {
  const bool sends = direction == Direction::send;
  if (::setsockopt(socket_, SOL_TLS, sends ? TLS_TX : TLS_RX, info.data(),
                   static_cast<socklen_t>(info.size())) != 0) {
    return false;
  }
  // Hosts pad nothing: data is opened straight to where it belongs. A kernel that does not know
  // this (before 6.0) copies it.
  const int on = 1;
  if (!sends) ::setsockopt(socket_, SOL_TLS, tls_rx_expect_no_pad, &on, sizeof(on));
  return true;
}

engine::Result<RecordSocket::Received, StreamError> TcpStream::receive(
    std::span<const iovec> into) {
  if (readiness_->evicted) return StreamError::evicted;
  if (socket_ < 0) return StreamError::broken;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint8_t))];
  for (;;) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(into.data());
    message.msg_iovlen = into.size();
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = ::recvmsg(socket_, &message, MSG_DONTWAIT);
    if (got == 0) return StreamError::closed;
    if (got > 0) {
      Received received{.bytes = static_cast<std::size_t>(got)};
      const cmsghdr* const told = CMSG_FIRSTHDR(&message);
      if (told == nullptr || told->cmsg_level != SOL_TLS ||
          told->cmsg_type != TLS_GET_RECORD_TYPE) {
        return StreamError::broken;
      }
      received.type = *CMSG_DATA(told);
      received.is_whole = (message.msg_flags & MSG_EOR) != 0;
      return received;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return StreamError::would_block;
    if (errno == EBADMSG || errno == EMSGSIZE || errno == EINVAL) {
      return Received{.is_damaged = true};
    }
    if (errno != EINTR) return StreamError::broken;
  }
}

engine::Result<void, StreamError> TcpStream::send(std::uint8_t type,
                                                  std::span<const std::byte> content) {
  if (readiness_->evicted) return StreamError::evicted;
  if (socket_ < 0) return StreamError::broken;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(type))]{};
  iovec piece{.iov_base = const_cast<std::byte*>(content.data()), .iov_len = content.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const told = CMSG_FIRSTHDR(&message);
  told->cmsg_level = SOL_TLS;
  told->cmsg_type = TLS_SET_RECORD_TYPE;
  told->cmsg_len = CMSG_LEN(sizeof(type));
  *CMSG_DATA(told) = type;
  for (;;) {
    if (::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return engine::success();
    if (errno == EAGAIN || errno == EWOULDBLOCK) return StreamError::would_block;
    if (errno != EINTR) return StreamError::broken;
  }
}

void TcpStream::when_readable(std::function<void()> callback) {
  readiness_->readable = std::move(callback);
  readiness_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                    [readiness = readiness_](const boost::system::error_code&) {
                                      // An error shows in the next read; close() has taken the
                                      // callback away.
                                      if (const auto call = std::exchange(readiness->readable, {}))
                                        call();
                                    });
}

void TcpStream::when_writable(std::function<void()> callback) {
  readiness_->writable = std::move(callback);
  readiness_->descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                                    [readiness = readiness_](const boost::system::error_code&) {
                                      if (const auto call = std::exchange(readiness->writable, {}))
                                        call();
                                    });
}

void TcpStream::finish_writing() {
  if (socket_ >= 0) ::shutdown(socket_, SHUT_WR);
}

void TcpStream::close() {
  socket_ = -1;
  readiness_->readable = {};
  readiness_->writable = {};
  boost::system::error_code ignored;
  readiness_->descriptor.close(ignored);
  // Now, not when the stream is destroyed: commands of a connection that has ended may keep it for
  // long.
  place_.give_back();
}

}  // namespace target
