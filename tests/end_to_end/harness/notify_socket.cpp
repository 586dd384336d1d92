#include "tests/end_to_end/harness/notify_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>

#include "engine/foundation/check.h"

namespace end_to_end {

NotifySocket::NotifySocket(const std::string& path)
    : path_(path), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  CHECK(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

NotifySocket::~NotifySocket() {
  ::close(socket_);
  ::unlink(path_.c_str());
}

std::size_t NotifySocket::count(std::string_view assignment) const {
  return static_cast<std::size_t>(std::count(heard_.begin(), heard_.end(), assignment));
}

bool NotifySocket::await(std::string_view assignment, const Process& process, Milliseconds time_out,
                         std::size_t wanted) {
  const auto deadline = SteadyClock::now() + time_out;
  bool ended = false;
  for (;;) {
    receive();
    if (count(assignment) >= wanted) return true;
    const auto left = std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now()).count();
    if (ended || left <= 0) return false;
    std::array<pollfd, 2> waiting{
        pollfd{.fd = socket_, .events = POLLIN, .revents = 0},
        pollfd{.fd = process.end_descriptor(), .events = POLLIN, .revents = 0}};
    (void)::poll(waiting.data(), waiting.size(), static_cast<int>(left));
    ended = (waiting[1].revents & POLLIN) != 0;
  }
}

void NotifySocket::receive() {
  std::array<char, 4096> message{};
  for (;;) {
    const ssize_t got = ::recv(socket_, message.data(), message.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    std::istringstream lines(std::string(message.data(), static_cast<std::size_t>(got)));
    for (std::string line; std::getline(lines, line);) heard_.push_back(line);
  }
}

}  // namespace end_to_end
