// SocketAddress: an IP address and a port, as text and as the kernel wants it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace target {

// IPv4 and IPv6 throughout. An IPv4 address that a dual-stack socket shows as ::ffff:a.b.c.d is
// IPv4.
class SocketAddress {
 public:
  // "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; "*" is every address of both families. nullopt for
  // anything else: names are not looked up.
  [[nodiscard]] static std::optional<SocketAddress> parse(const std::string& address,
                                                          std::uint16_t port);
  // Of a socket; 0.0.0.0:0 if it has none any more.
  [[nodiscard]] static SocketAddress peer_of(int socket);
  [[nodiscard]] static SocketAddress local_of(int socket);

  // "192.0.2.1:4420", "[2001:db8::1]:4420", "*:4420".
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] int family() const { return storage_.ss_family; }
  [[nodiscard]] bool every_address() const { return every_address_; }

  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }
  // "*" where the machine has no IPv6.
  [[nodiscard]] SocketAddress only_ipv4() const;

 private:
  using GetName = int (*)(int, sockaddr*, socklen_t*);
  [[nodiscard]] static SocketAddress of(int socket, GetName get_name);

  sockaddr_storage storage_{};
  bool every_address_ = false;
};

}  // namespace target
