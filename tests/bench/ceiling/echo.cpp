#include "tests/bench/ceiling/echo.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/bench/load/histogram.h"

namespace bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t receive_bytes = 1 << 20;
constexpr std::size_t most_reply_bytes = 4 << 20;  // gathered in one send

void pin(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

// A listening or connected loopback socket that is closed with its owner.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

bool send_all(int fd, const std::byte* data, std::size_t bytes) {
  while (bytes != 0) {
    const ssize_t sent = ::send(fd, data, bytes, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

// How many whole messages of `message_bytes` have arrived; spins once. -1 when the peer is gone.
class Counter {
 public:
  Counter(int fd, std::size_t message_bytes)
      : fd_(fd), message_bytes_(message_bytes), buffer_(receive_bytes) {}

  long poll() {
    const ssize_t got = ::recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0) return -1;
    pending_ += static_cast<std::size_t>(got);
    const std::size_t whole = pending_ / message_bytes_;
    pending_ -= whole * message_bytes_;
    return static_cast<long>(whole);
  }

 private:
  int fd_;
  std::size_t message_bytes_;
  std::size_t pending_ = 0;
  std::vector<std::byte> buffer_;
};

void serve(int fd, const EchoPlan& plan, const std::atomic<bool>& stop) {
  pin(plan.server_cpu);
  const std::size_t reply = plan.shape.response_bytes;
  const std::size_t at_once = std::max<std::size_t>(1, most_reply_bytes / reply);
  const std::vector<std::byte> out(at_once * reply, std::byte{3});
  Counter counter(fd, plan.shape.request_bytes);
  while (!stop.load(std::memory_order_relaxed)) {
    long requests = counter.poll();
    if (requests < 0) return;
    while (requests > 0) {
      const std::size_t now = std::min<std::size_t>(at_once, static_cast<std::size_t>(requests));
      if (!send_all(fd, out.data(), now * reply)) return;
      requests -= static_cast<long>(now);
    }
  }
}

// The client's side: keeps `depth` requests in flight.
bool drive(int fd, const EchoPlan& plan, EchoFigures& figures) {
  pin(plan.client_cpu);
  const std::vector<std::byte> out(std::size_t{plan.shape.request_bytes} * plan.depth,
                                   std::byte{1});
  Counter counter(fd, plan.shape.response_bytes);
  Histogram latency;
  std::uint64_t done = 0;
  if (!send_all(fd, out.data(), out.size())) return false;
  auto sent_at = SteadyClock::now();
  const auto from = sent_at + std::chrono::duration<double>(plan.warmup_seconds);
  const auto until = from + std::chrono::duration<double>(plan.seconds);
  auto now = sent_at;
  // A machine that is busy elsewhere may need longer for the first.
  while (now < until || done == 0) {
    const long replies = counter.poll();
    if (replies < 0) return false;
    now = SteadyClock::now();
    if (replies == 0) continue;
    if (now >= from) {
      done += static_cast<std::uint64_t>(replies);
      if (plan.depth == 1) {
        latency.record(static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(now - sent_at).count()));
      }
    }
    sent_at = now;
    const std::size_t bytes = static_cast<std::size_t>(replies) * plan.shape.request_bytes;
    if (!send_all(fd, out.data(), bytes)) return false;
  }
  figures.per_second =
      static_cast<double>(done) / std::chrono::duration<double>(now - from).count();
  figures.p50_us = static_cast<double>(latency.percentile(0.5)) / 1000;
  figures.p99_us = static_cast<double>(latency.percentile(0.99)) / 1000;
  return true;
}

}  // namespace

std::optional<EchoFigures> run_echo(const EchoPlan& plan, std::string& error) {
  const auto failed = [&error](const char* what) -> std::optional<EchoFigures> {
    error = std::string(what) + ": " + std::strerror(errno);
    return std::nullopt;
  };
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (::bind(listener.fd(), generic, length) != 0 || ::listen(listener.fd(), 1) != 0 ||
      ::getsockname(listener.fd(), generic, &length) != 0) {
    return failed("listen");
  }
  const Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.fd(), generic, length) != 0) return failed("connect");
  const Socket server(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (server.fd() < 0) return failed("accept");
  const int one = 1;
  (void)::setsockopt(client.fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  (void)::setsockopt(server.fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

  std::atomic<bool> stop{false};
  std::thread serving([&] { serve(server.fd(), plan, stop); });
  EchoFigures figures;
  const bool driven = drive(client.fd(), plan, figures);
  stop = true;
  (void)::shutdown(client.fd(), SHUT_RDWR);
  serving.join();
  if (!driven) return failed("echo");
  return figures;
}

}  // namespace bench
