#include "tests/client/byte_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace client {
namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

Error system_error(const char* what) {
  const int number = errno;
  if (number == ECONNRESET || number == EPIPE) {
    return {ErrorKind::reset, fmt::format("{}: {}", what, std::strerror(number))};
  }
  return {ErrorKind::system, fmt::format("{}: {}", what, std::strerror(number))};
}

// Waits for `events` and returns what poll saw; 0 when the deadline passes first.
Result<short> await_socket(int socket, short events, TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now());
    pollfd waiting{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) return waiting.revents;
    if (ready == 0) return short{0};
    if (errno != EINTR) return system_error("poll");
  }
}

Result<int> connect_one(const addrinfo& address, TimePoint deadline,
                        std::optional<int> receive_buffer_bytes) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return system_error("socket");
  const auto fail = [fd](Error error) {
    ::close(fd);
    return error;
  };
  if (receive_buffer_bytes) {
    const int bytes = *receive_buffer_bytes;
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  const int one = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return fail(system_error("connect"));
    auto ready = await_socket(fd, POLLOUT, deadline);
    if (!ready) return fail(ready.error());
    if (ready.value() == 0) return fail({ErrorKind::time_out, "connect"});
    int outcome = 0;
    socklen_t size = sizeof outcome;
    (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &outcome, &size);
    if (outcome != 0) {
      errno = outcome;
      return fail({ErrorKind::system, fmt::format("connect: {}", std::strerror(outcome))});
    }
  }
  return fd;
}

}  // namespace

std::string Endpoint::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

ByteConnection::ByteConnection(int socket) : socket_(socket) {
  const int flags = ::fcntl(socket_, F_GETFL);
  (void)::fcntl(socket_, F_SETFL, flags | O_NONBLOCK);
}

ByteConnection::~ByteConnection() {
  if (socket_ >= 0) ::close(socket_);
}

Result<int> ByteConnection::connect_socket(const Endpoint& endpoint, Milliseconds time_out,
                                           std::optional<int> receive_buffer_bytes) {
  const auto deadline = SteadyClock::now() + time_out;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  const int rc = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found);
  if (rc != 0) {
    return Error{ErrorKind::system,
                 fmt::format("address {}: {}", endpoint.text(), ::gai_strerror(rc))};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Error last{ErrorKind::system, "no address for " + endpoint.text()};
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    auto fd = connect_one(*address, deadline, receive_buffer_bytes);
    if (fd) return fd;
    last = fd.error();
    last.text = fmt::format("{} ({})", last.text, endpoint.text());
  }
  return last;
}

Result<void> ByteConnection::send(std::span<const std::byte> bytes, Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  short events = POLLOUT | POLLIN;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return system_error("send");
    // A target may wait for us to read before it reads on: take in what it has to say meanwhile.
    TRY(const short ready, await_socket(socket_, events, deadline));
    if (ready == 0) {
      return Error{ErrorKind::time_out, fmt::format("send: {} bytes left", bytes.size())};
    }
    if ((ready & POLLIN) != 0 && !fill(deadline)) events = POLLOUT;
  }
  return engine::success();
}

Result<void> ByteConnection::fill(TimePoint deadline) {
  constexpr std::size_t step_bytes = 256 << 10;
  for (;;) {
    const std::size_t had = buffer_.size();
    buffer_.resize(had + step_bytes);
    const ssize_t got = ::recv(socket_, buffer_.data() + had, step_bytes, MSG_DONTWAIT);
    buffer_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got > 0) return engine::success();
    if (got == 0) {
      return Error{ErrorKind::closed, had == 0 ? std::string("by the peer")
                                               : fmt::format("inside a PDU, after {} bytes", had)};
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return system_error("recv");
    TRY(const short ready, await_socket(socket_, POLLIN, deadline));
    if (ready == 0) {
      return Error{ErrorKind::time_out, fmt::format("receive: {} bytes of a PDU so far", had)};
    }
  }
}

bool ByteConnection::stays_silent(Milliseconds duration) {
  const std::size_t had = buffer_.size();
  const auto filled = fill(SteadyClock::now() + duration);
  return !filled && filled.error().kind == ErrorKind::time_out && buffer_.size() == had;
}

void ByteConnection::half_close() { ::shutdown(socket_, SHUT_WR); }

void ByteConnection::abort_close() {
  if (socket_ < 0) return;
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(socket_);
  socket_ = -1;
}

int ByteConnection::release() {
  const int socket = socket_;
  socket_ = -1;
  return socket;
}

}  // namespace client
