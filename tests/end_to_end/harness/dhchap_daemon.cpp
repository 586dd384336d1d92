#include "tests/end_to_end/harness/dhchap_daemon.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/end_to_end/harness/tls_proof.h"

namespace end_to_end {

DhchapDaemon::DhchapDaemon() : daemon_(workplace_, config_text()) {
  daemon_.config().metrics_port = workplace_.free_port();
}

std::string DhchapDaemon::place(const std::string& name, std::string_view secret) {
  write_file(workplace_.path(name), std::string(secret) + "\n");
  ::chmod(workplace_.path(name).c_str(), 0600);
  return fmt::format("\"file:{}\"", workplace_.path(name));
}

ConfigText DhchapDaemon::config_text() {
  ConfigText text = memory_config();
  text.listeners.push_back({.name = "plain", .port = workplace_.free_port()});
  text.listeners.push_back(
      {.name = "hasty", .port = workplace_.free_port(), .options = "auth_timeout: 1s"});
  text.listeners.push_back(
      {.name = "tls", .port = workplace_.free_port(), .options = "tls: permitted"});
  text.subsystems[0].listeners = "[plain, hasty, tls]";
  const std::string keys = fmt::format(
      "key: {}, controller_key: {}, dhgroup: [ffdhe2048, ffdhe3072, ffdhe4096, "
      "ffdhe6144, ffdhe8192, none]",
      place("host", host_secret), place("controller", controller_secret));
  text.hosts.push_back({.name = "proves",
                        .nqn = nqn_with_dhchap,
                        .options = fmt::format("tls_psk: [{}]\ndhchap: {{{}}}\n",
                                               place("psk", tls_key_of_a), keys)});
  text.hosts.push_back({.name = "strict",
                        .nqn = nqn_of_strict,
                        .options = fmt::format("dhchap: {{{}, discovery: true}}\n", keys)});
  return text;
}

void DhchapDaemon::configure(const std::string& section) {
  daemon_.config().hosts[0].options = fmt::format("dhchap: {{{}}}\n", section);
}

client::ConnectFields DhchapDaemon::connect_fields() {
  client::ConnectFields fields{.subsystem_nqn = default_subsystem, .host_nqn = nqn_with_dhchap};
  fields.host_id.fill(std::byte{7});
  return fields;
}

HostOptions DhchapDaemon::host_with(client::DhchapOptions keys, const std::string& nqn) {
  return {.host_nqn = nqn,
          .dhchap = std::make_shared<const client::DhchapOptions>(std::move(keys))};
}

std::string DhchapDaemon::attempt(const client::DhchapOptions& keys, const std::string& subsystem,
                                  const std::string& nqn) const {
  client::AttachOptions options{.endpoint = plain(), .subsystem_nqn = subsystem, .host_nqn = nqn};
  if (!keys.secret.empty()) options.dhchap = std::make_shared<const client::DhchapOptions>(keys);
  const auto made = client::Controller::attach(options);
  return made ? std::string("let in") : made.error().describe();
}

}  // namespace end_to_end
