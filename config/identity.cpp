#include "config/identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
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

constexpr string_view iscsi_name_form =
    "write iqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example iqn.2026-11.com.example:store1.vm";

std::string in_small_letters(string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

bool is_hex(string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

// What follows "iqn.", in small letters. As the names of the field are, "_" included, which RFC
// 3722 does not have.
bool is_iqn_rest(string_view rest) {
  constexpr std::size_t max_label_bytes = 63;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.' || c == ':' || c == '_';
  };
  if (!std::ranges::all_of(rest, is_allowed)) return false;
  if (rest.size() < 9 || !is_year_and_month(rest.substr(0, 7)) || rest[7] != '.') return false;
  const std::size_t colon = rest.find(':');
  if (colon != string_view::npos && colon + 1 == rest.size()) return false;
  string_view domain = rest.substr(8, colon == string_view::npos ? colon : colon - 8);
  while (true) {
    const std::size_t dot = domain.find('.');
    const std::size_t label_bytes = std::min(dot, domain.size());
    if (label_bytes == 0 || label_bytes > max_label_bytes) return false;
    if (dot == string_view::npos) return true;
    domain.remove_prefix(dot + 1);
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

Parsed<std::string> parse_iscsi_name(string_view text) {
  if (text.size() > max_iscsi_name_bytes) {
    return refuse("the name has {} bytes; at most {} are allowed.", text.size(),
                  max_iscsi_name_bytes);
  }
  const std::string name = in_small_letters(text);
  const string_view rest = string_view(name).substr(std::min<std::size_t>(4, name.size()));
  const bool is_good =
      (name.starts_with("iqn.") && is_iqn_rest(rest)) ||
      (name.starts_with("eui.") && rest.size() == 16 && is_hex(rest)) ||
      (name.starts_with("naa.") && (rest.size() == 16 || rest.size() == 32) && is_hex(rest));
  if (!is_good) return refuse("{} is not an iSCSI name; {}.", in_quotes(text), iscsi_name_form);
  return name;
}

Parsed<SecretRef> parse_secret(string_view text) {
  constexpr string_view file_prefix = "file:";
  constexpr string_view credential_prefix = "credential:";
  constexpr std::size_t max_path_bytes = 4095;       // PATH_MAX less its NUL
  constexpr std::size_t max_credential_bytes = 255;  // a file's name
  if (text.starts_with(file_prefix)) {
    const auto path = parse_path(text.substr(file_prefix.size()), max_path_bytes);
    if (!path) return path.error();
    return SecretRef{.source = SecretRef::Source::file, .name = path.value()};
  }
  if (text.starts_with(credential_prefix)) {
    const string_view name = text.substr(credential_prefix.size());
    const bool is_good =
        !name.empty() && name.size() <= max_credential_bytes && name != "." && name != ".." &&
        std::ranges::all_of(name, [](char c) { return is_graphic(c) && c != '/' && c != ':'; });
    if (is_good) {
      return SecretRef{.source = SecretRef::Source::credential, .name = std::string(name)};
    }
    return refuse(
        "no credential has such a name; write credential:NAME as in LoadCredential=NAME:PATH of "
        "the "
        "unit.");
  }
  return refuse(
      "is no place of a secret, which never stands in this file itself; write file:/PATH, or "
      "credential:NAME for one of $CREDENTIALS_DIRECTORY.");
}

Parsed<IpNetwork> parse_network(string_view text) {
  const std::size_t slash = text.find('/');
  const string_view literal = text.substr(0, slash);
  IpNetwork network;
  const int family = literal.find(':') == string_view::npos ? AF_INET : AF_INET6;
  network.family = family == AF_INET ? IpAddress::Family::ipv4 : IpAddress::Family::ipv6;
  // A NUL would end the text early for inet_pton.
  if (!std::ranges::all_of(text, is_graphic) ||
      inet_pton(family, std::string(literal).c_str(), network.bytes.data()) != 1) {
    return refuse("{} is not a network; write one as 10.0.0.0/8 or fd00::/8.", in_quotes(text));
  }
  const std::uint32_t bits = family == AF_INET ? 32 : 128;
  network.prefix = bits;
  if (slash != string_view::npos) {
    const string_view digits = text.substr(slash + 1);
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix);
    if (digits.empty() || problem != std::errc{} || end != digits.data() + digits.size() ||
        network.prefix > bits) {
      return refuse("{}: the prefix is not a whole number from 0 to {}.", in_quotes(text), bits);
    }
  }
  auto bytes = network.bytes;
  for (std::uint32_t bit = network.prefix; bit < bits; ++bit) {
    bytes[bit / 8] &= ~(std::byte{0x80} >> (bit % 8));
  }
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  inet_ntop(family, bytes.data(), canonical.data(), canonical.size());
  network.text = fmt::format("{}/{}", canonical.data(), network.prefix);
  if (bytes != network.bytes) {
    return refuse("{} has bits behind its prefix; write {}.", in_quotes(text), network.text);
  }
  return network;
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

Parsed<IpEndpoint> parse_endpoint(string_view text) {
  const std::size_t colon = text.rfind(':');
  string_view literal = text.substr(0, colon);
  const bool is_in_brackets = literal.starts_with('[') && literal.ends_with(']');
  if (is_in_brackets) literal = literal.substr(1, literal.size() - 2);
  const bool is_ipv6 = literal.find(':') != string_view::npos;
  if (colon == string_view::npos || literal.empty() || is_ipv6 != is_in_brackets) {
    return refuse("{} is no address with a port; write one as 10.0.0.5:9931 or [fd00::5]:9931.",
                  in_quotes(text));
  }
  TRY(auto address, parse_address(literal));
  const string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || problem != std::errc{} || end != digits.data() + digits.size() ||
      port == 0) {
    return refuse("{}: the port is not a whole number from 1 to 65535.", in_quotes(text));
  }
  IpEndpoint endpoint{.address = std::move(address), .port = port, .text = {}};
  endpoint.text = endpoint.address.family == IpAddress::Family::ipv6
                      ? fmt::format("[{}]:{}", endpoint.address.text, port)
                      : fmt::format("{}:{}", endpoint.address.text, port);
  return endpoint;
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
