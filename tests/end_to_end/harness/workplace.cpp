#include "tests/end_to_end/harness/workplace.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "engine/foundation/check.h"
#include "tests/end_to_end/harness/process.h"

namespace end_to_end {
namespace {

bool can_bind(std::uint16_t port) {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

// A name in the kernel's abstract namespace: gone with the process, whatever happens to it.
int claim(std::uint16_t port) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("forebay-test-port-{}", port);
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

Workplace::Workplace() {
  std::string name = "/var/tmp/forebay-XXXXXX";
  CHECK(::mkdtemp(name.data()) != nullptr);
  directory_ = name;
}

Workplace::~Workplace() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
  for (const int fd : port_claims_) ::close(fd);
}

std::uint16_t Workplace::free_port() {
  std::random_device random;
  for (;;) {
    const auto port = static_cast<std::uint16_t>(20'000 + random() % 12'000);
    const int fd = claim(port);
    if (fd < 0) continue;
    port_claims_.push_back(fd);
    if (can_bind(port)) return port;
  }
}

std::string Workplace::make_pool(std::string_view name) {
  const std::string pool = path(name);
  std::filesystem::create_directories(pool);
  const Outcome made = run({.arguments = {FOREBAYCTL, "pool", "init", pool}});
  EXPECT_EQ(made.exit.code, 0) << made.output;
  return pool;
}

std::string Workplace::make_cache(std::string_view name, std::string_view size,
                                  const std::vector<std::string>& environment) {
  const std::string cache = path(name);
  const Outcome made = run(
      {.arguments = {FOREBAY_MEDIA, "format", "--size", std::string(size), "--checksums", cache},
       .environment = environment});
  EXPECT_EQ(made.exit.code, 0) << made.output;
  return cache;
}

void write_file(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::trunc) << text;
}

}  // namespace end_to_end
