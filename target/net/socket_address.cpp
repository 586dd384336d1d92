#include "target/net/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>

#include <array>
#include <cstring>

namespace target {

namespace {

sockaddr_in& as_ipv4(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in&>(storage); }
const sockaddr_in& as_ipv4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in&>(storage);
}
sockaddr_in6& as_ipv6(sockaddr_storage& storage) {
  return reinterpret_cast<sockaddr_in6&>(storage);
}
const sockaddr_in6& as_ipv6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(const std::string& address, std::uint16_t port) {
  SocketAddress result;
  if (address == "*") {
    result.every_address_ = true;
    as_ipv6(result.storage_).sin6_family = AF_INET6;
    as_ipv6(result.storage_).sin6_port = htons(port);
    return result;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  if (::getaddrinfo(address.c_str(), service.c_str(), &hints, &found) != 0) return std::nullopt;
  std::memcpy(&result.storage_, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return result;
}

SocketAddress SocketAddress::of(int socket, GetName get_name) {
  SocketAddress result;
  socklen_t length = sizeof(result.storage_);
  if (get_name(socket, reinterpret_cast<sockaddr*>(&result.storage_), &length) != 0) {
    result.storage_ = {};
    result.storage_.ss_family = AF_INET;
    return result;
  }
  if (result.family() != AF_INET6) return result;
  const sockaddr_in6 mapped = as_ipv6(result.storage_);
  if (!IN6_IS_ADDR_V4MAPPED(&mapped.sin6_addr)) return result;
  result.storage_ = {};
  sockaddr_in& plain = as_ipv4(result.storage_);
  plain.sin_family = AF_INET;
  plain.sin_port = mapped.sin6_port;
  std::memcpy(&plain.sin_addr, mapped.sin6_addr.s6_addr + 12, sizeof(plain.sin_addr));
  return result;
}

SocketAddress SocketAddress::peer_of(int socket) { return of(socket, &::getpeername); }
SocketAddress SocketAddress::local_of(int socket) { return of(socket, &::getsockname); }

SocketAddress SocketAddress::only_ipv4() const {
  SocketAddress result;
  result.every_address_ = every_address_;
  as_ipv4(result.storage_).sin_family = AF_INET;
  as_ipv4(result.storage_).sin_port = htons(port());
  return result;
}

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? as_ipv6(storage_).sin6_port : as_ipv4(storage_).sin_port);
}

std::string SocketAddress::text() const {
  const std::string behind = ":" + std::to_string(port());
  if (every_address_) return "*" + behind;
  std::array<char, NI_MAXHOST> host{};
  if (::getnameinfo(data(), size(), host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "unknown" + behind;
  }
  return family() == AF_INET6 ? "[" + std::string(host.data()) + "]" + behind
                              : std::string(host.data()) + behind;
}

}  // namespace target
