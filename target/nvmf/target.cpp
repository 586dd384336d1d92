#include "target/nvmf/target.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "engine/foundation/check.h"
#include "target/nvmf/session.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using Guard = std::lock_guard<std::mutex>;
using nvme::ConnectParameter;
using nvme::Parsed;

namespace {

SubsystemOptions discovery_subsystem(const TargetOptions& options) {
  SubsystemOptions discovery;
  discovery.nqn = options.discovery_nqn;
  discovery.hosts.allow_any = true;
  discovery.max_io_queues = 0;
  discovery.max_queue_entries = admin_queue_entries;
  return discovery;
}

void end_all(const std::vector<std::shared_ptr<Controller>>& controllers, EndReason reason,
             const std::function<bool(const Controller&)>& which) {
  for (const auto& controller : controllers) {
    if (which(*controller)) controller->end(reason);
  }
}

constexpr std::uint32_t refusal_log_burst = 60;
constexpr engine::Duration refusal_log_interval = std::chrono::minutes(1);

}  // namespace

NvmfTarget::NvmfTarget(const TargetOptions& options, const engine::Clock& clock)
    : clock_(clock),
      firmware_revision_(options.firmware_revision),
      observe_hosts_(options.observe_hosts),
      event_logs_(options.event_logs),
      discovery_(std::make_shared<Subsystem>(
          discovery_subsystem(options), Subsystem::Kind::discovery, firmware_revision_, nullptr)),
      worker_(options.worker != nullptr ? *options.worker : own_worker_),
      generated_keys_(options.generated_keys),
      formatter_(options.formatter),
      directory_(options.discovery_nqn),
      refusal_log_(refusal_log_burst, refusal_log_interval) {
  for (const auto& listener : options.listeners) CHECK(directory_.add_listener(listener));
  for (const auto& subsystem : options.subsystems) {
    CHECK(directory_.add_subsystem(subsystem));
    insert(subsystem, events_of(subsystem.nqn));
  }
  for (const auto& keys : options.host_keys) set_host_keys(keys);
}

NvmfTarget::~NvmfTarget() = default;

std::shared_ptr<PersistentLog> NvmfTarget::events_of(const std::string& nqn) const {
  if (event_logs_ == nullptr) return std::make_shared<PersistentLog>(clock_);
  return event_logs_->log_of(nqn);
}

void NvmfTarget::insert(const SubsystemOptions& options, std::shared_ptr<PersistentLog> events) {
  subsystems_.emplace(options.nqn,
                      std::make_shared<Subsystem>(options, Subsystem::Kind::nvm, firmware_revision_,
                                                  std::move(events)));
}

void NvmfTarget::remember_health() const {
  std::vector<std::shared_ptr<Controller>> all;
  {
    const Guard guard(mutex_);
    all = all_controllers();
  }
  for (const auto& controller : all) controller->remember_health(/*daily=*/true);
}

std::set<std::string> NvmfTarget::hosts_of(const block::BlockVolume& volume) const {
  std::set<std::string> hosts;
  const Guard guard(mutex_);
  for (const auto& [nqn, subsystem] : subsystems_) {
    for (const auto& controller : subsystem->controllers()) {
      const std::string& host = controller->association().host_nqn;
      const auto view = subsystem->view_for(host);
      const auto sees = [&](std::uint32_t nsid) {
        const Namespace* const found = view->find(nsid);
        return found != nullptr && found->volume == &volume;
      };
      if (std::ranges::any_of(subsystem->namespaces_of(host), sees)) hosts.insert(host);
    }
  }
  return hosts;
}

std::unique_ptr<CommandExecutor> NvmfTarget::make_session(CommandPort& port) {
  return std::make_unique<Session>(*this, port);
}

void NvmfTarget::refresh_volumes() {
  const Guard guard(mutex_);
  for (const auto& [nqn, subsystem] : subsystems_) subsystem->refresh_volumes();
}

// Without the lock: what goes may be the last of something.
void NvmfTarget::forget_removed_namespaces() {
  std::vector<std::shared_ptr<Subsystem>> all;
  {
    const Guard guard(mutex_);
    for (const auto& [nqn, subsystem] : subsystems_) all.push_back(subsystem);
  }
  for (const auto& subsystem : all) subsystem->forget_removed_namespaces();
}

void NvmfTarget::tell_discovery() const {
  for (const auto& controller : discovery_->controllers()) {
    controller->discovery_log_is(directory_.generation_for(controller->association().host_nqn));
  }
}

std::vector<std::shared_ptr<Controller>> NvmfTarget::all_controllers() const {
  auto all = discovery_->controllers();
  for (const auto& [nqn, subsystem] : subsystems_) {
    const auto own = subsystem->controllers();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

bool NvmfTarget::add_listener(const ListenerOptions& listener) {
  const Guard guard(mutex_);
  if (!directory_.add_listener(listener)) return false;
  tell_discovery();
  return true;
}

bool NvmfTarget::remove_listener(std::string_view name) {
  const Guard guard(mutex_);
  if (!directory_.remove_listener(name)) return false;
  end_all(all_controllers(), EndReason::removed, [&](const Controller& controller) {
    return controller.association().link.listener == name;
  });
  tell_discovery();
  return true;
}

bool NvmfTarget::update_listener(const ListenerOptions& listener) {
  const Guard guard(mutex_);
  if (!directory_.update_listener(listener)) return false;
  tell_discovery();
  return true;
}

void NvmfTarget::set_path_state(std::string_view listener, AnaState state) {
  const Guard guard(mutex_);
  if (state == AnaState::optimized) {
    const auto found = path_states_.find(listener);
    if (found == path_states_.end()) return;
    path_states_.erase(found);
  } else {
    path_states_.insert_or_assign(std::string(listener), state);
  }
  for (const auto& [nqn, subsystem] : subsystems_) subsystem->set_path_state(listener, state);
}

void NvmfTarget::announce_listener(std::string_view name, bool listening) {
  const Guard guard(mutex_);
  if (directory_.announce_listener(name, listening)) tell_discovery();
}

bool NvmfTarget::add_subsystem(const SubsystemOptions& options) {
  auto events = events_of(options.nqn);
  const Guard guard(mutex_);
  if (!directory_.add_subsystem(options)) return false;
  insert(options, std::move(events));
  tell_discovery();
  return true;
}

bool NvmfTarget::remove_subsystem(std::string_view nqn) {
  const Guard guard(mutex_);
  if (!directory_.remove_subsystem(nqn)) return false;
  const auto found = subsystems_.find(nqn);
  const auto subsystem = std::move(found->second);
  subsystems_.erase(found);
  end_all(subsystem->controllers(), EndReason::removed, [](const Controller&) { return true; });
  tell_discovery();
  return true;
}

bool NvmfTarget::set_hosts(std::string_view nqn, const HostRule& hosts) {
  const Guard guard(mutex_);
  if (!directory_.set_hosts(nqn, hosts)) return false;
  const HostAcl& admitted = directory_.find(nqn)->hosts;
  end_all(find(nqn)->controllers(), EndReason::removed, [&](const Controller& controller) {
    return !admitted.admits(controller.association().host_nqn);
  });
  tell_discovery();
  return true;
}

bool NvmfTarget::set_listeners(std::string_view nqn, const std::vector<std::string>& listeners) {
  const Guard guard(mutex_);
  if (!directory_.set_listeners(nqn, listeners)) return false;
  const auto& reached_by = directory_.find(nqn)->listeners;
  end_all(find(nqn)->controllers(), EndReason::removed, [&](const Controller& controller) {
    return !reached_by.contains(controller.association().link.listener);
  });
  tell_discovery();
  return true;
}

bool NvmfTarget::replace_subsystem(const SubsystemOptions& options) {
  auto events = events_of(options.nqn);
  const Guard guard(mutex_);
  if (!directory_.remove_subsystem(options.nqn)) return false;
  CHECK(directory_.add_subsystem(options));
  const auto found = subsystems_.find(options.nqn);
  const auto before = std::move(found->second);
  subsystems_.erase(found);
  insert(options, std::move(events));
  end_all(before->controllers(), EndReason::removed, [](const Controller&) { return true; });
  tell_discovery();
  return true;
}

std::shared_ptr<Subsystem> NvmfTarget::find(std::string_view nqn) const {
  const auto found = subsystems_.find(nqn);
  return found == subsystems_.end() ? nullptr : found->second;
}

engine::Result<void, NamespaceError> NvmfTarget::add_namespace(std::string_view nqn,
                                                               const NamespaceOptions& options) {
  const Guard guard(mutex_);
  const auto subsystem = find(nqn);
  if (!subsystem) return NamespaceError::no_subsystem;
  return subsystem->add_namespace(options);
}

engine::Result<void, NamespaceError> NvmfTarget::remove_namespace(std::string_view nqn,
                                                                  std::uint32_t nsid) {
  const Guard guard(mutex_);
  const auto subsystem = find(nqn);
  if (!subsystem) return NamespaceError::no_subsystem;
  return subsystem->remove_namespace(nsid);
}

engine::Result<void, NamespaceError> NvmfTarget::replace_namespace(
    std::string_view nqn, const NamespaceOptions& options) {
  const Guard guard(mutex_);
  const auto subsystem = find(nqn);
  if (!subsystem) return NamespaceError::no_subsystem;
  return subsystem->replace_namespace(options);
}

engine::Result<void, NamespaceError> NvmfTarget::set_namespace_hosts(
    std::string_view nqn, std::uint32_t nsid,
    const std::optional<std::vector<std::string>>& hosts) {
  const Guard guard(mutex_);
  const auto subsystem = find(nqn);
  if (!subsystem) return NamespaceError::no_subsystem;
  return subsystem->set_namespace_hosts(nsid, hosts);
}

void NvmfTarget::end_associations(EndReason reason) {
  const Guard guard(mutex_);
  end_all(all_controllers(), reason, [](const Controller&) { return true; });
}

Parsed<std::shared_ptr<Subsystem>> NvmfTarget::reachable(const ConnectRequest& request,
                                                         std::string& why) const {
  const std::string_view nqn = request.data.subsystem_nqn;
  // A key is one host's, for one subsystem.
  if (const auto& proved = request.link.proved) {
    if (proved->host_nqn != request.data.host_nqn) {
      why = "the TLS key is another host's";
      return nvme::connect_invalid_host();
    }
    if (proved->subsystem_nqn != nqn) {
      why = "the TLS key is for another subsystem";
      return nvme::connect_invalid_parameter(ConnectParameter::subsystem_nqn);
    }
  }
  const auto unknown = nvme::connect_invalid_parameter(ConnectParameter::subsystem_nqn);
  const ListenerOptions* listener = directory_.listener(request.link.listener);
  if (listener == nullptr) {
    why = "the listener is not configured any more";
    return unknown;
  }
  if (const auto missing = misses_concatenation(request, *listener); !missing.empty()) {
    why = missing;
    return nvme::connect_invalid_host();
  }
  if (directory_.is_discovery_nqn(nqn)) {
    if (listener->discovery != ListenerOptions::Discovery::none) return discovery_;
    why = "the listener has no discovery service";
    return unknown;
  }
  const Directory::Export* exported = directory_.find(nqn);
  if (exported == nullptr || !exported->listeners.contains(request.link.listener)) {
    why = exported == nullptr ? "there is no such subsystem"
                              : "the subsystem is not reached through this listener";
    return unknown;
  }
  if (!exported->hosts.admits(request.data.host_nqn)) {
    why = "the host is not among the subsystem's hosts";
    return nvme::connect_invalid_host();
  }
  return find(nqn);
}

// Base 2.2, "Connect Command and Response", for every status here.
Parsed<std::shared_ptr<Controller>> NvmfTarget::admit_admin(const ConnectRequest& request,
                                                            Subsystem& subsystem,
                                                            std::shared_ptr<SessionHandle> session,
                                                            std::string& why) {
  if (request.data.controller != nvme::dynamic_controller) {
    why = "only the dynamic controller model is supported: CNTLID must be FFFFh";
    return nvme::connect_invalid_parameter(ConnectParameter::controller_id);
  }
  if (request.command.queue_entries > admin_queue_entries) {
    why = "the Admin queue is too deep";
    return nvme::connect_invalid_parameter(ConnectParameter::queue_size);
  }
  // A generated PSK is one controller's: who knows it later gets nowhere.
  std::unique_ptr<GeneratedKeys::Hold> key;
  if (const auto& proved = request.link.proved; proved && !proved->generated_identity.empty()) {
    key = generated_keys_->hold(proved->generated_identity, clock_.now());
    if (!key) {
      why = "the generated TLS key is another controller's";
      return nvme::connect_invalid_host();
    }
  }
  Association association{
      .host_nqn = std::string(request.data.host_nqn),
      .host_id = request.data.host_id,
      .keep_alive_ms = round_keep_alive_ms(request.command.keep_alive_ms),
      .admin_entries = request.command.queue_entries,
      .link = request.link,
      .in_capsule_data = directory_.listener(request.link.listener)->in_capsule_data,
      .port_id = directory_.port_id(request.link.listener),
      .connected_at = clock_.now()};
  if (const auto path = path_states_.find(request.link.listener); path != path_states_.end()) {
    association.path_state = path->second;
  }
  auto controller = subsystem.make_controller(std::move(association), std::move(session));
  if (!controller) {
    why = "every controller identifier of the subsystem is taken";
    return nvme::Refusal{nvme::status::connect_controller_busy};
  }
  if (key) controller->hold_key(std::move(key));
  if (controller->is_discovery()) {
    controller->discovery_log_is(directory_.generation_for(request.data.host_nqn));
  }
  return controller;
}

namespace {

// Base 2.2: the values of an I/O queue's Connect must be those of the Admin queue's.
Parsed<std::shared_ptr<Controller>> admit_io(const ConnectRequest& request, Subsystem& subsystem,
                                             std::shared_ptr<SessionHandle> session,
                                             std::string& why) {
  if (subsystem.is_discovery()) {
    why = "a discovery controller has no I/O queues";
    return nvme::connect_invalid_parameter(ConnectParameter::queue_id);
  }
  auto controller = subsystem.find_controller(request.data.controller);
  if (!controller) {
    why = "there is no such controller";
    return nvme::may_try_again(nvme::connect_invalid_parameter(ConnectParameter::controller_id));
  }
  const Association& association = controller->association();
  if (association.host_nqn != request.data.host_nqn) {
    why = "the controller is another host's";
    return nvme::connect_invalid_parameter(ConnectParameter::host_nqn);
  }
  if (association.host_id != request.data.host_id) {
    why = "the host identifier is not the Admin queue's";
    return nvme::connect_invalid_parameter(ConnectParameter::host_id);
  }
  // What Identify has told (IOCCSZ) is the Admin queue's listener's.
  if (association.link.listener != request.link.listener) {
    why = "the controller was reached through another listener";
    return nvme::connect_invalid_parameter(ConnectParameter::controller_id);
  }
  if ((association.link.proved == nullptr) != (request.link.proved == nullptr)) {
    why = "the Admin queue is inside TLS and this is not, or the other way round";
    return nvme::connect_invalid_parameter(ConnectParameter::controller_id);
  }
  if (request.link.proved && !controller->admits_key(request.link.proved->generated_identity)) {
    why = "the generated TLS key is another controller's, or was replaced";
    return nvme::connect_invalid_parameter(ConnectParameter::controller_id);
  }
  const QueueSnapshot shown{.qid = request.command.queue_id,
                            .entries = request.command.queue_entries,
                            .peer_address = request.link.peer_address,
                            .local_address = request.link.local_address,
                            .header_digest = request.link.header_digest,
                            .data_digest = request.link.data_digest};
  TRY(controller->attach_queue(request.command.queue_id,
                               {.session = std::move(session), .shown = shown}, why));
  return controller;
}

}  // namespace

Parsed<std::shared_ptr<Controller>> NvmfTarget::admit(const ConnectRequest& request,
                                                      std::shared_ptr<SessionHandle> session,
                                                      std::string& why) {
  const Guard guard(mutex_);
  auto admitted = [&]() -> Parsed<std::shared_ptr<Controller>> {
    if (!attempts_.allows(request.data.host_nqn, request.link.peer_address, clock_.now())) {
      why = "it has failed to authenticate too often; it may try again in a minute";
      return nvme::Refusal{nvme::status::connect_controller_busy};
    }
    TRY(const auto subsystem, reachable(request, why));
    return request.command.queue_id == 0 ? admit_admin(request, *subsystem, std::move(session), why)
                                         : admit_io(request, *subsystem, std::move(session), why);
  }();
  if (!admitted) ++refused_connects_;
  if (admitted && request.command.queue_id == 0) ++connects_;
  return admitted;
}

std::vector<std::byte> NvmfTarget::discovery_log(std::string_view host_nqn,
                                                 std::string_view local_address) const {
  const Guard guard(mutex_);
  return directory_.discovery_log(host_nqn, local_address);
}

bool NvmfTarget::may_log_refusal(std::uint64_t& left_out) {
  const Guard guard(mutex_);
  if (!refusal_log_.allows(clock_.now())) return false;
  left_out = refusal_log_.suppressed();
  return true;
}

void NvmfTarget::count_keep_alive_timeout() {
  const Guard guard(mutex_);
  ++keep_alive_timeouts_;
}

TargetStatus NvmfTarget::status() const {
  const Guard guard(mutex_);
  const engine::Instant now = clock_.now();
  TargetStatus status;
  for (const auto& [nqn, subsystem] : subsystems_) {
    const Directory::Export& exported = *directory_.find(nqn);
    status.subsystems.push_back(
        {.nqn = nqn,
         .serial = subsystem->serial(),
         .allow_any_host = exported.hosts.admits_any(),
         .hosts = {exported.hosts.names().begin(), exported.hosts.names().end()},
         .listeners = {exported.listeners.begin(), exported.listeners.end()},
         .namespaces = subsystem->namespaces()});
  }
  for (const auto& controller : all_controllers()) {
    status.controllers.push_back(controller->snapshot(now));
  }
  for (const auto& [nqn, subsystem] : subsystems_) status.hosts.add(subsystem->hosts());
  status.hosts.add(failed_hosts_);
  status.connects = connects_;
  status.refused_connects = refused_connects_;
  status.keep_alive_timeouts = keep_alive_timeouts_;
  status.authentications = authentications_;
  status.authentication_failures = authentication_failures_;
  return status;
}

}  // namespace target::nvmf
