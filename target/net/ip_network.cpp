#include "target/net/ip_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace target {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  constexpr std::string_view mapped = "::ffff:";
  text = text.substr(0, text.find('%'));
  if (text.starts_with(mapped) && text.find('.') != std::string_view::npos) {
    text.remove_prefix(mapped.size());
  }
  IpAddress address;
  address.is_ipv6_ = text.find(':') != std::string_view::npos;
  const int family = address.is_ipv6_ ? AF_INET6 : AF_INET;
  const std::string terminated(text);
  if (::inet_pton(family, terminated.c_str(), address.bytes_.data()) != 1) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  ::inet_ntop(family, address.bytes_.data(), canonical.data(), canonical.size());
  address.text_ = canonical.data();
  return address;
}

std::optional<IpAddress> IpAddress::of_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return parse(host);
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  IpNetwork network;
  network.address_ = *address;
  const unsigned most = address->is_ipv6() ? 128 : 32;
  network.prefix_bits_ = most;
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix_bits_);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (network.prefix_bits_ > most) return std::nullopt;
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  if (address.is_ipv6() != address_.is_ipv6()) return false;
  const unsigned whole = prefix_bits_ / 8;
  if (!std::equal(address_.bytes_.begin(), address_.bytes_.begin() + whole,
                  address.bytes_.begin())) {
    return false;
  }
  const unsigned rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  return (address_.bytes_[whole] ^ address.bytes_[whole]) >> (8 - rest) == 0;
}

}  // namespace target
