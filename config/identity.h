// The forms of names: of things in the file, of hosts and subsystems on the wire, of addresses.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "config/values.h"

namespace config {

inline constexpr std::size_t max_name_bytes = 63;
inline constexpr std::size_t max_nqn_bytes = 223;         // NVMe Base 2.0, section 4.5
inline constexpr std::size_t max_iscsi_name_bytes = 223;  // RFC 7143, section 4.2.7.1
inline constexpr std::string_view discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery";

// A letter, then letters, digits, '.', '_' and '-': fit for a file name, a metric label and a path
// in messages. The error's text names the rule that is broken.
[[nodiscard]] Parsed<std::string> parse_name(std::string_view text);

// nqn.YYYY-MM.REVERSED.DOMAIN[:ANYTHING], or the UUID form nqn.2014-08.org.nvmexpress:uuid:UUID;
// not the discovery NQN, which belongs to no single subsystem and no host.
[[nodiscard]] Parsed<std::string> parse_nqn(std::string_view text);

// The UUID form with the UUID as Linux writes it; any other NQN as it is.
[[nodiscard]] std::string uuid_nqn_in_lower_case(std::string_view nqn);

// An iSCSI node name in small letters, which is how names are compared (RFC 7143, sections 4.2.7
// and 4.2.7.2): iqn.YYYY-MM.REVERSED.DOMAIN[:NAME], eui. and 16 hexadecimal digits, naa. and 16 or
// 32.
[[nodiscard]] Parsed<std::string> parse_iscsi_name(std::string_view text);

// Where a secret lies: file:/ABSOLUTE/PATH or credential:NAME. The error's text does not show a
// value that is no place: it may be the secret.
[[nodiscard]] Parsed<SecretRef> parse_secret(std::string_view text);

// A literal IPv4 or IPv6 address (link-local with its interface: fe80::1%eth0), or "*" for every
// address.
[[nodiscard]] Parsed<IpAddress> parse_address(std::string_view text);

// The same bytes on the wire's side: would two sockets bound to them (and one port) get in each
// other's way?
[[nodiscard]] bool overlap(const IpAddress& a, const IpAddress& b);

// ADDRESS:PORT, where an IPv6 address stands in brackets.
[[nodiscard]] Parsed<IpEndpoint> parse_endpoint(std::string_view text);

// ADDRESS/PREFIX, or one address alone.
[[nodiscard]] Parsed<IpNetwork> parse_network(std::string_view text);

// An absolute path without ".." in it, made normal ("/srv//pool/" is "/srv/pool").
[[nodiscard]] Parsed<std::string> parse_path(std::string_view text, std::size_t max_bytes);

// The 36-character form, either case.
[[nodiscard]] Parsed<engine::Uuid> parse_uuid(std::string_view text);

// Printable ASCII, as serial and model number must be (NVMe Base 2.0, section 1.6).
[[nodiscard]] Parsed<std::string> parse_ascii(std::string_view text, std::size_t max_bytes);

// A name as groupadd accepts it.
[[nodiscard]] Parsed<std::string> parse_group(std::string_view text);

}  // namespace config
