#include "target/iscsi/target.h"

#include <utility>

#include "engine/foundation/check.h"
#include "protocol/iscsi/discovery.h"
#include "target/iscsi/connection.h"

namespace target::iscsi {

using protocol::iscsi::LoginAdmission;
using protocol::iscsi::LoginStatus;
using protocol::iscsi::SessionType;
using Guard = std::lock_guard<std::mutex>;

namespace {

constexpr std::uint32_t refusal_burst = 60;
constexpr engine::Duration refusal_interval = std::chrono::minutes(1);

protocol::auth::ChapCredentials credentials_of(const ChapOptions& options) {
  protocol::auth::ChapCredentials credentials;
  credentials.initiator = {options.initiator.user, options.initiator.secret};
  if (options.mutual) {
    credentials.target = protocol::auth::ChapAccount{options.mutual->user, options.mutual->secret};
  }
  return credentials;
}

// RFC 7143, 11.13.5.
LoginStatus status_of(Access access) {
  switch (access) {
    case Access::granted:
      return LoginStatus::success;
    case Access::no_listener:
      return LoginStatus::service_unavailable;
    case Access::no_target:
    case Access::not_here:
      return LoginStatus::not_found;
    case Access::not_admitted:
    case Access::foreign_network:
      return LoginStatus::authorization_failure;
  }
  return LoginStatus::target_error;
}

LunError error_of(scsi::LunError error) {
  switch (error) {
    case scsi::LunError::bad_lun:
      return LunError::bad_lun;
    case scsi::LunError::in_use:
      return LunError::in_use;
    case scsi::LunError::table_full:
      return LunError::table_full;
    case scsi::LunError::not_found:
      break;
  }
  return LunError::not_found;
}

HostCounts work_of(const scsi::TaskCounts& counts) {
  return {.reads = counts.read_commands,
          .writes = counts.write_commands,
          .read_bytes = counts.bytes_read,
          .written_bytes = counts.bytes_written,
          .media_errors = counts.media_errors};
}

}  // namespace

IscsiTarget::IscsiTarget(const TargetOptions& options, const engine::Clock& clock)
    : clock_(clock),
      observe_hosts_(options.observe_hosts),
      discovery_chap_(options.discovery_chap),
      sessions_(options.max_sessions),
      refusal_log_(refusal_burst, refusal_interval) {
  for (const auto& listener : options.listeners) CHECK(directory_.add_listener(listener));
  for (const auto& initiator : options.initiators) directory_.set_initiator(initiator);
  for (const auto& node : options.nodes) {
    CHECK(directory_.add_node(node));
    insert(node);
  }
}

IscsiTarget::~IscsiTarget() { CHECK(sessions_.size() == 0); }

void IscsiTarget::serve(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                        const ConnectionOptions& options) {
  registry.add(std::make_unique<Connection>(registry, std::move(stream), *this, options)).begin();
}

void IscsiTarget::insert(const NodeOptions& options) {
  scsi::DeviceOptions device;
  device.name = options.name;
  device.target_ports = directory_.portal_groups(options.name);
  device.luns = options.luns;
  devices_.emplace(options.name, std::make_shared<scsi::TargetDevice>(device));
}

void IscsiTarget::refresh_volumes() {
  const Guard guard(mutex_);
  for (const auto& [name, device] : devices_) device->refresh_volumes();
}

// Portal groups are the target ports of every device that is reached through them.
void IscsiTarget::set_target_ports() {
  for (const auto& [name, device] : devices_) {
    device->set_target_ports(directory_.portal_groups(name));
  }
  set_port_states();
}

void IscsiTarget::set_port_states() {
  for (const auto& [name, device] : devices_) {
    const Directory::Node* const node = directory_.node(name);
    if (node == nullptr) continue;
    scsi::TargetDevice::PortStates states;
    for (const auto& [listener, state] : path_states_) {
      const ListenerOptions* const options = directory_.listener(listener);
      if (options == nullptr || !node->listeners.contains(listener)) continue;
      auto& of_port =
          states.try_emplace(options->portal_group, block::AccessState::optimized).first->second;
      of_port = block::worse_of(of_port, state);
    }
    device->set_port_states(std::move(states));
  }
}

void IscsiTarget::set_path_state(std::string_view listener, block::AccessState state) {
  const Guard guard(mutex_);
  const auto found = path_states_.find(listener);
  if (state != block::AccessState::optimized) {
    path_states_.insert_or_assign(std::string(listener), state);
  } else if (found != path_states_.end()) {
    path_states_.erase(found);
  }
  set_port_states();
}

bool IscsiTarget::add_listener(const ListenerOptions& listener) {
  const Guard guard(mutex_);
  if (!directory_.add_listener(listener)) return false;
  set_target_ports();
  return true;
}

bool IscsiTarget::remove_listener(std::string_view name) {
  const Guard guard(mutex_);
  if (!directory_.remove_listener(name)) return false;
  ask_for_logout(EndReason::removed,
                 [&](const SessionEntry& entry) { return entry.listener == name; });
  set_target_ports();
  return true;
}

void IscsiTarget::announce_listener(std::string_view name, bool listening) {
  const Guard guard(mutex_);
  directory_.announce_listener(name, listening);
}

bool IscsiTarget::add_node(const NodeOptions& options) {
  const Guard guard(mutex_);
  if (!directory_.add_node(options)) return false;
  insert(options);
  set_port_states();
  return true;
}

bool IscsiTarget::remove_node(std::string_view name) {
  const Guard guard(mutex_);
  if (!directory_.remove_node(name)) return false;
  devices_.erase(devices_.find(name));  // nexuses keep theirs until they have ended
  ask_for_logout(EndReason::removed,
                 [&](const SessionEntry& entry) { return entry.key.target == name; });
  return true;
}

bool IscsiTarget::set_initiators(std::string_view node, const InitiatorRule& initiators) {
  const Guard guard(mutex_);
  if (!directory_.set_initiators(node, initiators)) return false;
  ask_for_logout(EndReason::removed, [&](const SessionEntry& entry) {
    return entry.key.target == node && directory_.access(node, entry.key.initiator, entry.listener,
                                                         entry.peer_address) != Access::granted;
  });
  return true;
}

bool IscsiTarget::set_node(const NodeOptions& node) {
  const Guard guard(mutex_);
  if (!directory_.set_node(node)) return false;
  devices_.find(node.name)->second->set_target_ports(directory_.portal_groups(node.name));
  set_port_states();
  ask_for_logout(EndReason::removed, [&](const SessionEntry& entry) {
    return entry.key.target == node.name &&
           directory_.access(node.name, entry.key.initiator, entry.listener, entry.peer_address) ==
               Access::not_here;
  });
  return true;
}

void IscsiTarget::set_discovery_chap(const std::optional<ChapOptions>& chap) {
  const Guard guard(mutex_);
  discovery_chap_ = chap;
}

void IscsiTarget::set_max_sessions(std::uint32_t max_sessions) {
  const Guard guard(mutex_);
  sessions_.set_most(max_sessions);
}

void IscsiTarget::set_initiator(const InitiatorOptions& initiator) {
  const Guard guard(mutex_);
  directory_.set_initiator(initiator);
  ask_for_logout(EndReason::removed, [&](const SessionEntry& entry) {
    return entry.key.initiator == initiator.name && !entry.key.target.empty() &&
           directory_.access(entry.key.target, initiator.name, entry.listener,
                             entry.peer_address) == Access::foreign_network;
  });
}

bool IscsiTarget::remove_initiator(std::string_view name) {
  const Guard guard(mutex_);
  return directory_.remove_initiator(name);
}

engine::Result<void, LunError> IscsiTarget::add_lun(std::string_view node,
                                                    const scsi::LunOptions& options) {
  const auto device = device_of(node);
  if (!device) return LunError::no_node;
  const auto added = device->add_lun(options);
  if (!added) return error_of(added.error());
  return engine::success();
}

engine::Result<void, LunError> IscsiTarget::remove_lun(std::string_view node, std::uint16_t lun) {
  const auto device = device_of(node);
  if (!device) return LunError::no_node;
  const auto removed = device->remove_lun(lun);
  if (!removed) return error_of(removed.error());
  return engine::success();
}

engine::Result<void, LunError> IscsiTarget::replace_lun(std::string_view node,
                                                        const scsi::LunOptions& options) {
  const auto device = device_of(node);
  if (!device) return LunError::no_node;
  const auto replaced = device->replace_lun(options);
  if (!replaced) return error_of(replaced.error());
  return engine::success();
}

engine::Result<void, LunError> IscsiTarget::set_lun_initiators(
    std::string_view node, std::uint16_t lun,
    const std::optional<std::vector<std::string>>& initiators) {
  const auto device = device_of(node);
  if (!device) return LunError::no_node;
  const auto set = device->set_lun_initiators(lun, initiators);
  if (!set) return error_of(set.error());
  return engine::success();
}

void IscsiTarget::ask_for_logout(EndReason reason,
                                 const std::function<bool(const SessionEntry&)>& which) {
  sessions_.for_each([&](const SessionEntry& entry) {
    if (!which(entry)) return;
    entry.handle->post([reason](Connection* connection) {
      if (connection != nullptr) connection->ask_for_logout(reason);
    });
  });
}

void IscsiTarget::end_sessions() {
  const Guard guard(mutex_);
  ask_for_logout(EndReason::stopping, [](const SessionEntry&) { return true; });
}

void IscsiTarget::end_sessions_of(std::string_view node, EndReason reason) {
  const Guard guard(mutex_);
  sessions_.for_each([&](const SessionEntry& entry) {
    if (entry.key.target != node) return;
    entry.handle->post([reason](Connection* connection) {
      if (connection != nullptr) connection->session_ends(reason);
    });
  });
}

LoginAdmission IscsiTarget::admit(const protocol::iscsi::LoginIdentity& identity,
                                  const LinkInfo& link, std::string& why) const {
  const Guard guard(mutex_);
  LoginAdmission admission;
  const ListenerOptions* listener = directory_.listener(link.listener);
  if (listener == nullptr) {
    why = text(Access::no_listener);
    admission.status = status_of(Access::no_listener);
    return admission;
  }
  admission.portal_group = listener->portal_group;
  if (identity.type == SessionType::discovery) {
    if (discovery_chap_) admission.chap = credentials_of(*discovery_chap_);
    return admission;
  }
  const Access access = directory_.access(identity.target_name, identity.initiator_name,
                                          link.listener, link.peer_address);
  admission.status = status_of(access);
  if (access != Access::granted) {
    why = text(access);
    return admission;
  }
  admission.target_alias = directory_.node(identity.target_name)->alias;
  if (const auto* chap = directory_.chap_of(identity.target_name, identity.initiator_name)) {
    admission.chap = credentials_of(*chap);
  }
  return admission;
}

LoginStatus IscsiTarget::refuse_to_join(const SessionKey& key, std::uint16_t tsih) const {
  const Guard guard(mutex_);
  const auto entry = sessions_.find(tsih);
  return entry != nullptr && entry->key == key ? LoginStatus::too_many_connections
                                               : LoginStatus::session_does_not_exist;
}

IscsiTarget::Start IscsiTarget::begin_session(const std::shared_ptr<SessionEntry>& entry,
                                              const LinkInfo& link, std::string& why) {
  const Guard guard(mutex_);
  const SessionKey& key = entry->key;
  if (!key.target.empty()) {
    // The configuration may have changed since the login began.
    const Access access =
        directory_.access(key.target, key.initiator, link.listener, link.peer_address);
    if (access != Access::granted) {
      why = text(access);
      return {.status =
                  access == Access::no_target ? LoginStatus::target_removed : status_of(access)};
    }
  }
  const SessionTable::Outcome outcome = sessions_.add(entry);
  if (outcome.admission == SessionTable::Admission::full) {
    why = "there are as many sessions as there may be";
    return {.status = LoginStatus::out_of_resources};
  }
  if (outcome.displaced != nullptr) {
    ++reinstated_sessions_;
    outcome.displaced->handle->post([](Connection* connection) {
      if (connection != nullptr) connection->session_ends(EndReason::reinstated);
    });
  }
  return {.waits = outcome.admission == SessionTable::Admission::waits};
}

void IscsiTarget::session_opened(SessionEntry& entry, std::function<SessionSnapshot()> snapshot) {
  const Guard guard(mutex_);
  entry.snapshot = std::move(snapshot);
  ++logins_;
  if (!entry.key.target.empty()) hosts_.of(entry.key.initiator).begin_session();
}

void IscsiTarget::session_ended(const std::shared_ptr<SessionEntry>& entry) {
  const Guard guard(mutex_);
  if (entry->snapshot && !entry->key.target.empty()) {
    HostCounts& host = hosts_.of(entry->key.initiator);
    host += work_of(entry->snapshot().counts);
    host.end_session();
  }
  const auto next = sessions_.remove(entry);
  if (next == nullptr) return;
  next->handle->post([](Connection* connection) {
    if (connection != nullptr) connection->session_admitted();
  });
}

std::shared_ptr<scsi::TargetDevice> IscsiTarget::device_of(std::string_view node) const {
  const Guard guard(mutex_);
  const auto found = devices_.find(node);
  return found == devices_.end() ? nullptr : found->second;
}

void IscsiTarget::write_targets(protocol::iscsi::TextWriter& answer, std::string_view initiator,
                                const LinkInfo& link, std::string_view only) const {
  const Guard guard(mutex_);
  for (const TargetRecord& record :
       directory_.targets_for(initiator, link.peer_address, link.local_address, only)) {
    protocol::iscsi::add_target(answer, record.name);
    for (const TargetRecord::Portal& portal : record.portals) {
      protocol::iscsi::add_address(
          answer, {.host = portal.host, .port = portal.port, .portal_group = portal.group});
    }
  }
}

void IscsiTarget::count_refusal(LoginStatus status, const std::string& initiator) {
  const Guard guard(mutex_);
  ++refused_logins_;
  if (status != LoginStatus::authentication_failure) return;
  ++failed_authentications_;
  if (!initiator.empty()) ++hosts_.of(initiator).authentication_failures;
}

void IscsiTarget::count_digest_error(const std::string& initiator) {
  const Guard guard(mutex_);
  ++hosts_.of(initiator).digest_errors;
}

void IscsiTarget::count_nop_timeout(const std::string& initiator) {
  const Guard guard(mutex_);
  ++nop_timeouts_;
  ++hosts_.of(initiator).keep_alive_expiries;
}

bool IscsiTarget::may_log_refusal(std::uint64_t& left_out) {
  const Guard guard(mutex_);
  if (!refusal_log_.allows(clock_.now())) return false;
  left_out = refusal_log_.suppressed();
  return true;
}

TargetStatus IscsiTarget::status() const {
  const Guard guard(mutex_);
  TargetStatus status;
  for (const auto& [name, device] : devices_) {
    const Directory::Node& node = *directory_.node(name);
    status.nodes.push_back({.name = name,
                            .alias = node.alias,
                            .allow_any_initiator = node.allow_any,
                            .initiators = {node.initiators.begin(), node.initiators.end()},
                            .listeners = {node.listeners.begin(), node.listeners.end()},
                            .luns = device->luns()});
  }
  sessions_.for_each([&](const SessionEntry& entry) {
    if (entry.snapshot) status.sessions.push_back(entry.snapshot());
  });
  status.hosts = hosts_;
  for (const SessionSnapshot& session : status.sessions) {
    if (session.discovery) continue;
    HostCounts& host = status.hosts.of(session.initiator_name);
    host += work_of(session.counts);
    ++host.connections;  // a session has one
  }
  status.logins = logins_;
  status.refused_logins = refused_logins_;
  status.failed_authentications = failed_authentications_;
  status.reinstated_sessions = reinstated_sessions_;
  status.nop_timeouts = nop_timeouts_;
  return status;
}

}  // namespace target::iscsi
