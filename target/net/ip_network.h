// IP addresses without a port, and the networks they lie in: for access rules and for telling a
// host where it has reached us.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace target {

// Value. An IPv4 address that is written ::ffff:a.b.c.d is IPv4; a zone ("%eth0") is dropped.
class IpAddress {
 public:
  // "192.0.2.1", "2001:db8::1"; nullopt for anything else.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  // "192.0.2.1:4420", "[2001:db8::1]:4420", as ByteStream shows its ends.
  [[nodiscard]] static std::optional<IpAddress> of_endpoint(std::string_view text);

  [[nodiscard]] bool is_ipv6() const { return is_ipv6_; }
  // Without brackets.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  friend class IpNetwork;
  bool is_ipv6_ = false;
  std::array<std::uint8_t, 16> bytes_{};  // IPv4: the first four
  std::string text_;
};

class IpNetwork {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or an address alone; bits behind the prefix count for nothing.
  [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& address) const;

 private:
  IpAddress address_;
  unsigned prefix_bits_ = 0;
};

}  // namespace target
