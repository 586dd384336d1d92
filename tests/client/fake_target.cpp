#include "tests/client/fake_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/client/fake_connection.h"

namespace client {

FakeTarget::FakeTarget(const FakeTargetOptions& options)
    : options_(options), storage_(options.blocks * options.block_bytes) {
  const bool v6 = options_.address.find(':') != std::string::npos;
  listener_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(listener_ >= 0);
  const int one = 1;
  (void)::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_storage address{};
  socklen_t length = 0;
  if (v6) {
    auto* v6_address = reinterpret_cast<sockaddr_in6*>(&address);
    v6_address->sin6_family = AF_INET6;
    v6_address->sin6_addr = in6addr_loopback;
    v6_address->sin6_port = htons(options_.port);
    length = sizeof(sockaddr_in6);
  } else {
    auto* v4_address = reinterpret_cast<sockaddr_in*>(&address);
    v4_address->sin_family = AF_INET;
    v4_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4_address->sin_port = htons(options_.port);
    length = sizeof(sockaddr_in);
  }
  CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
  CHECK(::listen(listener_, 256) == 0);
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port_ = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeTarget::~FakeTarget() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(sockets_mutex_);
    for (const int socket : sockets_) {
      if (socket >= 0) ::shutdown(socket, SHUT_RDWR);
    }
  }
  for (std::thread& thread : threads_) thread.join();
}

void FakeTarget::accept_loop() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(sockets_mutex_);
    const std::size_t slot = sockets_.size();
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, slot] {
      auto connection = std::make_unique<FakeConnection>(*this, socket);
      connection->serve();
      const std::lock_guard own_lock(sockets_mutex_);
      sockets_[slot] = -1;
      connection.reset();  // closes the socket; the number may be used again from here on
    });
  }
}

}  // namespace client
