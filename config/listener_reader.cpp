#include "config/listener_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "config/identity.h"

namespace config {
namespace {

using std::string_view;

constexpr std::uint16_t iscsi_port = 3260;

constexpr std::array<string_view, 13> only_of_nvme_tcp{
    "discovery",    "c2h_success",   "digests",         "in_capsule_data", "max_r2t",
    "max_h2c_data", "icreq_timeout", "connect_timeout", "auth_timeout",    "tls",
    "tls_suites",   "tls_groups",    "tls_kernel"};

// By their names in RFC 8446.
constexpr std::array<string_view, 2> tls_suites{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"};
constexpr std::array<string_view, 8> tls_groups{"x25519",    "x448",      "secp256r1", "secp384r1",
                                                "secp521r1", "ffdhe2048", "ffdhe3072", "ffdhe4096"};

void read_known(std::vector<std::string>& option, string_view key,
                std::span<const string_view> known, SectionReader& reader) {
  const auto names = reader.names(key);
  if (!names) return;
  if (names->empty()) {
    reader.report().error(reader.at(key), reader.path_of(key),
                          fmt::format("is empty; write some of {}.", fmt::join(known, ", ")));
    return;
  }
  option.clear();
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto& name = (*names)[i];
    option.push_back(name.value);
    if (name.at.line == 0 || std::ranges::count(known, name.value) != 0) continue;
    reader.report().error(name.at, fmt::format("{}[{}]", reader.path_of(key), i),
                          fmt::format("{} is not known; write some of {}.", in_quotes(name.value),
                                      fmt::join(known, ", ")));
  }
}

void read_tls(NvmeTcpOptions& options, SectionReader& reader) {
  if (const auto tls = reader.choice("tls")) {
    options.tls = tls->value == "required"    ? Tls::required
                  : tls->value == "permitted" ? Tls::permitted
                                              : Tls::none;
  }
  read_known(options.tls_suites, "tls_suites", tls_suites, reader);
  read_known(options.tls_groups, "tls_groups", tls_groups, reader);
  if (const auto kernel = reader.boolean("tls_kernel")) options.tls_kernel = kernel->value;
}
constexpr std::array<string_view, 2> only_of_iscsi{"portal_group", "iscsi"};

void read_digests(Digests& option, string_view key, SectionReader& reader) {
  const auto digests = reader.choice(key);
  if (!digests) return;
  option = digests->value == "required"  ? Digests::required
           : digests->value == "refused" ? Digests::refused
                                         : Digests::permitted;
}

void read_size(engine::ByteCount& option, string_view key, SectionReader& reader) {
  const auto size = reader.size(key);
  check_multiple(reader, key, size);
  assign(option, size);
}

void read_port(Located<std::uint16_t>& port, SectionReader& reader) {
  if (!reader.has("port")) return;
  const auto number = reader.integer("port");
  port = number ? Located<std::uint16_t>{static_cast<std::uint16_t>(number->value), number->at}
                : Located<std::uint16_t>{};
}

void read_nvme_tcp(Listener& listener, SectionReader& reader) {
  if (const auto discovery = reader.choice("discovery")) {
    listener.discovery = discovery->value == "only"   ? Discovery::only
                         : discovery->value == "none" ? Discovery::none
                                                      : Discovery::also;
  }
  NvmeTcpOptions& options = listener.nvme_tcp;
  assign(options.c2h_success, reader.boolean("c2h_success"));
  read_digests(options.digests, "digests", reader);
  read_size(options.in_capsule_data, "in_capsule_data", reader);
  read_size(options.max_h2c_data, "max_h2c_data", reader);
  assign(options.max_r2t, reader.integer("max_r2t"));
  assign(options.icreq_timeout, reader.duration("icreq_timeout"));
  assign(options.connect_timeout, reader.duration("connect_timeout"));
  read_tls(options, reader);
  assign(options.auth_timeout, reader.duration("auth_timeout"));
}

// RFC 7143, section 13.14: FirstBurstLength is at most MaxBurstLength.
void check_bursts(const IscsiOptions& options, SectionReader& reader) {
  if (options.first_burst <= options.max_burst) return;
  const string_view written = reader.has("first_burst") ? "first_burst" : "max_burst";
  reader.report().error(
      reader.at(written), reader.path(),
      fmt::format("first_burst ({}{}) is more than max_burst ({}{}); lower the one, or raise the "
                  "other.",
                  size_text(options.first_burst), reader.has("first_burst") ? "" : " by default",
                  size_text(options.max_burst), reader.has("max_burst") ? "" : " by default"));
}

void read_iscsi(Listener& listener, SectionReader& of_listener) {
  assign(listener.portal_group, of_listener.integer("portal_group"));
  if (!of_listener.has("iscsi")) return;
  SectionReader reader = of_listener.below("iscsi", "listeners.*.iscsi");
  reader.check_keys();
  IscsiOptions& options = listener.iscsi;
  read_digests(options.header_digest, "header_digest", reader);
  read_digests(options.data_digest, "data_digest", reader);
  assign(options.initial_r2t, reader.boolean("initial_r2t"));
  assign(options.immediate_data, reader.boolean("immediate_data"));
  read_size(options.first_burst, "first_burst", reader);
  read_size(options.max_burst, "max_burst", reader);
  read_size(options.max_recv_data_segment, "max_recv_data_segment", reader);
  check_bursts(options, reader);
  assign(options.max_outstanding_r2t, reader.integer("max_outstanding_r2t"));
  assign(options.queue_depth, reader.integer("queue_depth"));
  assign(options.login_timeout, reader.duration("login_timeout"));
  assign(options.nop_interval, reader.duration("nop_interval"));
  assign(options.nop_timeout, reader.duration("nop_timeout"));
}

}  // namespace

Listener read_listener(const std::string& name, SectionReader& reader) {
  const auto protocol = reader.choice("protocol");
  reader.check_keys();
  Listener listener;
  listener.name = name;
  listener.at = reader.at();
  listener.group = name;
  if (const auto group = reader.text("group")) listener.group = group->value;
  assign(listener.address, reader.parsed("address", parse_address));
  assign(listener.max_connections, reader.integer("max_connections"));
  assign(listener.idle_timeout, reader.duration("idle_timeout"));
  if (protocol && protocol->value == "iscsi") {
    listener.protocol = Protocol::iscsi;
    listener.port.value = iscsi_port;
    reader.refuse("a listener of protocol iscsi", only_of_nvme_tcp);
    read_iscsi(listener, reader);
  } else {
    if (protocol) reader.refuse("a listener of protocol nvme-tcp", only_of_iscsi);
    read_nvme_tcp(listener, reader);
  }
  read_port(listener.port, reader);
  return listener;
}

}  // namespace config
