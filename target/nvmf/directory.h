// Directory: which subsystems exist, through which listeners and for which hosts: what Connect
// asks, and what the discovery log page shows.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "target/nvmf/host_acl.h"
#include "target/nvmf/options.h"

namespace target::nvmf {

// Guarded by the target's lock.
class Directory {
 public:
  explicit Directory(std::string discovery_nqn) : discovery_nqn_(std::move(discovery_nqn)) {}

  // The unique NQN of the discovery service, or the well-known one.
  [[nodiscard]] bool is_discovery_nqn(std::string_view nqn) const;
  [[nodiscard]] const std::string& discovery_nqn() const { return discovery_nqn_; }

  // False: the name exists, or does not.
  bool add_listener(const ListenerOptions& listener);
  // Other options of one that is there: for those who connect from now on.
  bool update_listener(const ListenerOptions& listener);
  bool remove_listener(std::string_view name);
  // Shown in the log (as at first), or not while it cannot listen. False: nothing changed.
  bool announce_listener(std::string_view name, bool listening);
  bool add_subsystem(const SubsystemOptions& subsystem);
  bool remove_subsystem(std::string_view nqn);
  bool set_hosts(std::string_view nqn, const HostRule& hosts);
  bool set_listeners(std::string_view nqn, const std::vector<std::string>& listeners);

  // nullptr: no such listener.
  [[nodiscard]] const ListenerOptions* listener(std::string_view name) const;
  // PORTID, as the discovery log has it; 0: no such listener.
  [[nodiscard]] std::uint16_t port_id(std::string_view name) const;
  struct Export {
    HostAcl hosts;
    std::set<std::string, std::less<>> listeners;
    std::uint64_t changed_at = 0;
  };
  // nullptr: no such subsystem.
  [[nodiscard]] const Export* find(std::string_view nqn) const;

  // GENCTR for this host: grows with every change of what the host would be shown, and with no
  // other.
  [[nodiscard]] std::uint64_t generation_for(std::string_view host_nqn) const;
  // Log page 70h for a host that has reached us at `local_address` ("192.0.2.10:8009",
  // "[2001:db8::1]:8009").
  [[nodiscard]] std::vector<std::byte> discovery_log(std::string_view host_nqn,
                                                     std::string_view local_address) const;

 private:
  struct Port {
    ListenerOptions options;
    std::uint16_t id = 0;  // PORTID
    bool announced = true;
  };
  void listener_changed(const ListenerOptions& listener);

  const std::string discovery_nqn_;
  std::map<std::string, Port, std::less<>> ports_;
  std::map<std::string, Export, std::less<>> exports_;
  std::uint16_t next_port_id_ = 1;

  // The count of changes, and its value when each part last changed; what went is remembered for
  // those who saw it. Grows only with names in the configuration, never with names that hosts make
  // up.
  std::uint64_t generation_ = 0;
  std::uint64_t everyone_changed_at_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> host_changed_at_;
};

}  // namespace target::nvmf
