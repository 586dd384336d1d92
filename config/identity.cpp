#include "config/identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "config/character.h"
#include "config/report.h"
#include "engine/foundation/uuid.h"

namespace config {
namespace {

using std::string_view;

constexpr string_view uuid_prefix = "nqn.2014-08.org.nvmexpress:uuid:";
constexpr string_view nqn_form =
    "write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example nqn.2026-11.com.example:store1.db";

bool is_year_and_month(string_view text) {
  return text.size() == 7 && std::ranges::all_of(text.substr(0, 4), is_digit) && text[4] == '-' &&
         std::ranges::all_of(text.substr(5), is_digit) && text.substr(5) >= "01" &&
         text.substr(5) <= "12";
}

// Labels of letters, digits and inner hyphens, joined by dots.
bool is_domain(string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    const string_view label = text.substr(0, dot);
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label,
                             [](char c) { return is_letter(c) || is_digit(c) || c == '-'; })) {
      return false;
    }
    if (dot == string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Parsed<IpAddress> parse_ipv4(string_view text) {
  IpAddress address{.family = IpAddress::Family::ipv4, .bytes = {}, .scope = {}, .text = {}};
  const std::string terminated(text);
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) != 1) {
    return refuse(
        "{} is not an IP address; write an IPv4 or IPv6 address, or \"*\" for every address.",
        in_quotes(text));
  }
  const auto first = std::to_integer<unsigned>(address.bytes[0]);
  if (first >= 224) {
    return refuse(
        "{} is multicast, broadcast or reserved and nothing can listen there; use a unicast "
        "address.",
        in_quotes(text));
  }
  address.text = terminated;
  return address;
}

Parsed<IpAddress> parse_ipv6(string_view text) {
  IpAddress address{.family = IpAddress::Family::ipv6, .bytes = {}, .scope = {}, .text = {}};
  const std::size_t percent = text.find('%');
  const std::string literal(text.substr(0, percent));
  if (percent != string_view::npos) address.scope = text.substr(percent + 1);
  if (inet_pton(AF_INET6, literal.c_str(), address.bytes.data()) != 1) {
    return refuse("{} is not an IPv6 address; write it without brackets, port or prefix length.",
                  in_quotes(text));
  }
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(address.bytes[i]); };
  if (at(0) == 0xff) {
    return refuse("{} is multicast and nothing can listen there; use a unicast address.",
                  in_quotes(text));
  }
  in6_addr raw;
  std::memcpy(&raw, address.bytes.data(), sizeof raw);
  if (IN6_IS_ADDR_V4MAPPED(&raw)) {
    return refuse("{} is an IPv4 address in IPv6 form; write {}.{}.{}.{}.", in_quotes(text), at(12),
                  at(13), at(14), at(15));
  }
  const bool link_local = IN6_IS_ADDR_LINKLOCAL(&raw);
  if (link_local && address.scope.empty()) {
    return refuse("{} is link-local; write its interface too, for example {}%eth0.",
                  in_quotes(text), literal);
  }
  constexpr std::size_t max_interface_bytes = 15;  // IFNAMSIZ - 1
  if (percent != string_view::npos &&
      (!link_local || address.scope.size() > max_interface_bytes ||
       !std::ranges::all_of(address.scope, [](char c) { return is_graphic(c) && c != '/'; }))) {
    return refuse(
        "{}: only a link-local address (fe80::/10) has an interface, of at most {} "
        "characters; remove the part from % on.",
        in_quotes(text), max_interface_bytes);
  }
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  inet_ntop(AF_INET6, address.bytes.data(), canonical.data(), canonical.size());
  address.text = canonical.data();
  if (link_local) address.text += '%' + address.scope;
  return address;
}

}  // namespace

bool IpAddress::is_loopback() const {
  if (family == Family::ipv4) return bytes[0] == std::byte{127};
  if (family == Family::any) return false;
  return bytes[15] == std::byte{1} &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](std::byte b) { return b == std::byte{0}; });
}

Parsed<std::string> parse_name(string_view text) {
  if (text.size() > max_name_bytes) {
    return refuse("the name {} has {} characters; at most {} are allowed.", in_quotes(text),
                  text.size(), max_name_bytes);
  }
  const auto allowed = [](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
  };
  if (text.empty() || !is_letter(text[0]) || !std::ranges::all_of(text, allowed)) {
    return refuse(
        "{} is not a name; begin with a letter and use only letters, digits, \".\", \"_\" and "
        "\"-\".",
        in_quotes(text));
  }
  return std::string(text);
}

Parsed<std::string> parse_nqn(string_view text) {
  if (text.size() > max_nqn_bytes) {
    return refuse("the NQN has {} bytes; at most {} are allowed.", text.size(), max_nqn_bytes);
  }
  if (!text.starts_with("nqn.") || !std::ranges::all_of(text, is_graphic)) {
    return refuse("{} is not an NQN; {}.", in_quotes(text), nqn_form);
  }
  if (text == discovery_nqn) {
    return refuse("{} is the discovery NQN, which every target serves by itself; choose another.",
                  in_quotes(text));
  }
  if (text.starts_with(uuid_prefix)) {
    if (!engine::Uuid::parse(text.substr(uuid_prefix.size()))) {
      return refuse("{} does not end in a UUID; write 36 characters, as in {}{}.", in_quotes(text),
                    uuid_prefix, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    }
    return std::string(text);
  }
  const string_view rest = text.substr(4);
  const string_view date = rest.substr(0, 7);
  if (!is_year_and_month(date) || rest.size() < 9 || rest[7] != '.') {
    return refuse("{} has no year and month after \"nqn.\"; {}.", in_quotes(text), nqn_form);
  }
  const std::size_t colon = rest.find(':');
  const bool empty_name = colon != string_view::npos && colon + 1 == rest.size();
  if (!is_domain(rest.substr(8, colon == string_view::npos ? colon : colon - 8)) || empty_name) {
    return refuse("{} has no reversed domain name after the date, or no name after \":\"; {}.",
                  in_quotes(text), nqn_form);
  }
  return std::string(text);
}

std::string uuid_nqn_in_lower_case(string_view nqn) {
  const auto uuid = nqn.starts_with(uuid_prefix)
                        ? engine::Uuid::parse(nqn.substr(uuid_prefix.size()))
                        : std::nullopt;
  return uuid ? std::string(uuid_prefix) + uuid->text() : std::string(nqn);
}

Parsed<IpAddress> parse_address(string_view text) {
  if (text == "*") {
    return IpAddress{.family = IpAddress::Family::any, .bytes = {}, .scope = {}, .text = "*"};
  }
  // A NUL would end the text early for inet_pton.
  if (!std::ranges::all_of(text, is_graphic)) {
    return refuse("{} is not an IP address; write only the address.", in_quotes(text));
  }
  return text.find(':') == string_view::npos ? parse_ipv4(text) : parse_ipv6(text);
}

bool overlap(const IpAddress& a, const IpAddress& b) {
  using Family = IpAddress::Family;
  if (a.family == Family::any || b.family == Family::any) return true;
  if (a.family != b.family) return false;
  return a.is_wildcard() || b.is_wildcard() || (a.bytes == b.bytes && a.scope == b.scope);
}

Parsed<std::string> parse_path(string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) {
    return refuse("the path has {} bytes; at most {} are allowed.", text.size(), max_bytes);
  }
  const bool has_control =
      std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  if (!text.starts_with('/') || has_control) {
    return refuse("{} is not an absolute path; begin with \"/\".", in_quotes(text));
  }
  const std::filesystem::path path(text);
  if (std::ranges::find(path, "..") != path.end()) {
    return refuse("{} goes back with \"..\"; write the path without it.", in_quotes(text));
  }
  std::string normal = path.lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  if (normal.starts_with("//")) normal.erase(0, 1);
  return normal;
}

Parsed<engine::Uuid> parse_uuid(string_view text) {
  const auto uuid = engine::Uuid::parse(text);
  if (!uuid) {
    return refuse("{} is not a UUID; write one like 1b4e28ba-2fa1-11d2-883f-0016d3cca427.",
                  in_quotes(text));
  }
  return *uuid;
}

Parsed<std::string> parse_ascii(string_view text, std::size_t max_bytes) {
  const bool fits = !text.empty() && text.size() <= max_bytes && text.front() != ' ' &&
                    text.back() != ' ' &&
                    std::ranges::all_of(text, [](char c) { return c == ' ' || is_graphic(c); });
  if (!fits) {
    return refuse(
        "{} does not fit; write 1 to {} printable ASCII characters, no blank at either end.",
        in_quotes(text), max_bytes);
  }
  return std::string(text);
}

Parsed<std::string> parse_group(string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-';
  };
  if (text.empty() || text.size() > 32 || is_digit(text[0]) || text[0] == '-' ||
      !std::ranges::all_of(text, allowed)) {
    return refuse("{} is not a group's name; write one from /etc/group, for example forebay.",
                  in_quotes(text));
  }
  return std::string(text);
}

}  // namespace config
