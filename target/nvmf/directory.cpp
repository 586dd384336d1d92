#include "target/nvmf/directory.h"

#include <algorithm>
#include <optional>

#include "protocol/nvme/discovery_log.h"
#include "protocol/nvme/nqn.h"
#include "target/net/ip_network.h"
#include "target/nvmf/limits.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

namespace {

struct ReachedAddress {
  nvme::AddressFamily family = nvme::AddressFamily::ipv4;
  std::string_view text;  // without port, brackets and zone
};

// Where a host finds this listener; nullopt if that cannot be told (a wildcard of the other
// family).
std::optional<ReachedAddress> address_of(const ListenerOptions& listener,
                                         const std::optional<IpAddress>& reached) {
  if (!listener.address.empty()) {
    const bool is_ipv6 = listener.family == ListenerOptions::Family::ipv6;
    return ReachedAddress{is_ipv6 ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4,
                          listener.address};
  }
  if (!reached) return std::nullopt;
  const bool fits = listener.family == ListenerOptions::Family::any ||
                    (listener.family == ListenerOptions::Family::ipv6) == reached->is_ipv6();
  if (!fits) return std::nullopt;
  return ReachedAddress{reached->is_ipv6() ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4,
                        reached->text()};
}

nvme::SecureChannel secure_channel_of(ListenerOptions::Tls tls) {
  switch (tls) {
    case ListenerOptions::Tls::none:
      // Not "not required": libnvme before 1.4 takes that as a reason to ask the kernel for TLS,
      // which kernels before 6.7 refuse, so that connect-all would find nothing.
      return nvme::SecureChannel::not_specified;
    case ListenerOptions::Tls::permitted:
      return nvme::SecureChannel::not_required;
    case ListenerOptions::Tls::required:
      return nvme::SecureChannel::required;
  }
  return nvme::SecureChannel::not_specified;
}

}  // namespace

bool Directory::is_discovery_nqn(std::string_view nqn) const {
  return nqn == nvme::discovery_nqn || nqn == discovery_nqn_;
}

void Directory::listener_changed(const ListenerOptions& listener) {
  ++generation_;
  // Each discovery listener is an entry of its own, for everybody.
  if (listener.discovery != ListenerOptions::Discovery::none) everyone_changed_at_ = generation_;
  for (auto& [nqn, exported] : exports_) {
    if (exported.listeners.contains(listener.name)) exported.changed_at = generation_;
  }
}

bool Directory::add_listener(const ListenerOptions& listener) {
  if (ports_.contains(listener.name)) return false;
  ports_.emplace(listener.name, Port{.options = listener, .id = next_port_id_++});
  listener_changed(listener);
  return true;
}

bool Directory::update_listener(const ListenerOptions& listener) {
  const auto found = ports_.find(listener.name);
  if (found == ports_.end()) return false;
  listener_changed(found->second.options);
  found->second.options = listener;
  listener_changed(listener);
  return true;
}

bool Directory::remove_listener(std::string_view name) {
  const auto found = ports_.find(name);
  if (found == ports_.end()) return false;
  listener_changed(found->second.options);
  ports_.erase(found);
  return true;
}

bool Directory::announce_listener(std::string_view name, bool listening) {
  const auto found = ports_.find(name);
  if (found == ports_.end() || found->second.announced == listening) return false;
  found->second.announced = listening;
  listener_changed(found->second.options);
  return true;
}

bool Directory::add_subsystem(const SubsystemOptions& subsystem) {
  if (exports_.contains(subsystem.nqn)) return false;
  exports_.emplace(subsystem.nqn,
                   Export{.hosts = HostAcl(subsystem.hosts),
                          .listeners = {subsystem.listeners.begin(), subsystem.listeners.end()},
                          .changed_at = ++generation_});
  return true;
}

bool Directory::remove_subsystem(std::string_view nqn) {
  const auto found = exports_.find(nqn);
  if (found == exports_.end()) return false;
  ++generation_;
  if (found->second.hosts.admits_any()) everyone_changed_at_ = generation_;
  for (const auto& host : found->second.hosts.names()) host_changed_at_[host] = generation_;
  exports_.erase(found);
  return true;
}

bool Directory::set_hosts(std::string_view nqn, const HostRule& hosts) {
  const auto found = exports_.find(nqn);
  if (found == exports_.end()) return false;
  HostAcl after(hosts);
  const HostAcl& before = found->second.hosts;
  ++generation_;
  if (before.admits_any() != after.admits_any()) everyone_changed_at_ = generation_;
  HostAcl::Names concerned;
  std::set_symmetric_difference(before.names().begin(), before.names().end(), after.names().begin(),
                                after.names().end(), std::inserter(concerned, concerned.end()));
  for (const auto& host : concerned) host_changed_at_[host] = generation_;
  found->second.hosts = std::move(after);
  return true;
}

bool Directory::set_listeners(std::string_view nqn, const std::vector<std::string>& listeners) {
  const auto found = exports_.find(nqn);
  if (found == exports_.end()) return false;
  found->second.listeners = {listeners.begin(), listeners.end()};
  found->second.changed_at = ++generation_;
  return true;
}

const ListenerOptions* Directory::listener(std::string_view name) const {
  const auto found = ports_.find(name);
  return found == ports_.end() ? nullptr : &found->second.options;
}

std::uint16_t Directory::port_id(std::string_view name) const {
  const auto found = ports_.find(name);
  return found == ports_.end() ? 0 : found->second.id;
}

const Directory::Export* Directory::find(std::string_view nqn) const {
  const auto found = exports_.find(nqn);
  return found == exports_.end() ? nullptr : &found->second;
}

std::uint64_t Directory::generation_for(std::string_view host_nqn) const {
  std::uint64_t generation = everyone_changed_at_;
  if (const auto own = host_changed_at_.find(host_nqn); own != host_changed_at_.end()) {
    generation = std::max(generation, own->second);
  }
  for (const auto& [nqn, exported] : exports_) {
    if (exported.hosts.admits(host_nqn)) generation = std::max(generation, exported.changed_at);
  }
  return generation;
}

std::vector<std::byte> Directory::discovery_log(std::string_view host_nqn,
                                                std::string_view local_address) const {
  const auto reached = IpAddress::of_endpoint(local_address);
  std::vector<nvme::DiscoveryRecord> records;
  const auto append = [&](const Port& port, nvme::SubsystemType type, std::string_view nqn,
                          std::uint16_t flags) {
    if (!port.announced) return;
    const auto address = address_of(port.options, reached);
    if (!address) return;
    records.push_back({.type = type,
                       .family = address->family,
                       .address = address->text,
                       .port = port.options.port,
                       .port_id = port.id,
                       .controller = nvme::dynamic_controller,
                       .subsystem_nqn = nqn,
                       .admin_queue_entries = admin_queue_entries,
                       .flags = flags,
                       .secure_channel = secure_channel_of(port.options.tls),
                       .security = port.options.tls == ListenerOptions::Tls::none
                                       ? nvme::SecurityType::none
                                       : nvme::SecurityType::tls_1_3,
                       .sq_flow_control_may_be_disabled = true});
  };
  for (const auto& [name, port] : ports_) {
    if (port.options.discovery == ListenerOptions::Discovery::none) continue;
    append(
        port, nvme::SubsystemType::current_discovery, discovery_nqn_,
        nvme::discovery_flag::duplicate_information | nvme::discovery_flag::persistent_connections);
  }
  for (const auto& [nqn, exported] : exports_) {
    if (!exported.hosts.admits(host_nqn)) continue;
    for (const auto& name : exported.listeners) {
      const auto port = ports_.find(name);
      if (port != ports_.end()) append(port->second, nvme::SubsystemType::nvm, nqn, 0);
    }
  }
  return nvme::build_discovery_log(generation_for(host_nqn), records);
}

}  // namespace target::nvmf
