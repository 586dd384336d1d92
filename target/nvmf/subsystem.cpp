#include "target/nvmf/subsystem.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/foundation/check.h"

namespace target::nvmf {

using Guard = std::lock_guard<std::mutex>;

Subsystem::Subsystem(const SubsystemOptions& options, Kind kind, std::string firmware_revision,
                     std::shared_ptr<PersistentLog> events)
    : nqn_(options.nqn),
      serial_(options.serial.empty() ? make_serial(options.nqn) : options.serial),
      model_(options.model),
      firmware_revision_(std::move(firmware_revision)),
      kind_(kind),
      limits_{.max_io_queues = options.max_io_queues,
              .max_queue_entries = options.max_queue_entries,
              .max_transfer = options.max_transfer,
              .cntlid_min = options.cntlid_min,
              .cntlid_max = options.cntlid_max},
      events_(std::move(events)),
      next_controller_(options.cntlid_min) {
  CHECK(options.cntlid_min != 0 && options.cntlid_min <= options.cntlid_max);
  for (const NamespaceOptions& space : options.namespaces)
    CHECK(namespaces_.add(space).has_value());
  if (events_) events_->begin(firmware_revision_);
}

Subsystem::~Subsystem() = default;

std::shared_ptr<Controller> Subsystem::make_controller(Association association,
                                                       std::shared_ptr<SessionHandle> admin) {
  const Guard guard(mutex_);
  const std::size_t capacity = std::size_t{limits_.cntlid_max} - limits_.cntlid_min + 1;
  if (controllers_.size() >= capacity) return nullptr;
  const auto following = [this](std::uint16_t id) {
    return id == limits_.cntlid_max ? limits_.cntlid_min : static_cast<std::uint16_t>(id + 1);
  };
  while (controllers_.contains(next_controller_)) next_controller_ = following(next_controller_);
  const std::uint16_t id = next_controller_;
  next_controller_ = following(id);
  auto controller =
      std::make_shared<Controller>(shared_from_this(), protocol::nvme::ControllerId{id},
                                   std::move(association), std::move(admin));
  controllers_.emplace(id, controller);
  if (!is_discovery()) hosts_.of(controller->association().host_nqn).begin_session();
  return controller;
}

std::shared_ptr<Controller> Subsystem::find_controller(protocol::nvme::ControllerId id) const {
  const Guard guard(mutex_);
  const auto found = controllers_.find(id.value);
  return found == controllers_.end() ? nullptr : found->second;
}

void Subsystem::release(const Controller& controller, EndReason reason) {
  std::shared_ptr<Controller> last;  // dropped without the lock
  const Guard guard(mutex_);
  const auto found = controllers_.find(controller.id().value);
  if (found == controllers_.end() || found->second.get() != &controller) return;
  last = std::move(found->second);
  controllers_.erase(found);
  if (is_discovery()) return;
  HostCounts& host = hosts_.of(controller.association().host_nqn);
  host += controller.work();
  host.end_session();
  if (reason == EndReason::keep_alive_timeout) ++host.keep_alive_expiries;
}

HostLedger Subsystem::hosts() const {
  const Guard guard(mutex_);
  HostLedger all = hosts_;
  if (is_discovery()) return all;
  for (const auto& [id, controller] : controllers_) {
    HostCounts& host = all.of(controller->association().host_nqn);
    host += controller->work();
    host.connections += 1 + controller->io_queues();
  }
  return all;
}

std::vector<std::shared_ptr<Controller>> Subsystem::controllers() const {
  const Guard guard(mutex_);
  std::vector<std::shared_ptr<Controller>> all;
  for (const auto& [id, controller] : controllers_) all.push_back(controller);
  return all;
}

void Subsystem::tell(std::span<const NamespaceChange> changes) const {
  if (changes.empty()) return;
  const bool ana = std::ranges::any_of(changes, [](const auto& change) { return change.ana; });
  for (const auto& [id, controller] : controllers_) {
    controller->namespaces_changed(changes);
    if (ana) controller->refuse_unreachable();
  }
}

// As Namespace Management would have it, which is the configuration's here.
void Subsystem::record_namespace(std::uint32_t nsid, bool deleted) const {
  if (!events_) return;
  protocol::nvme::ChangeNamespaceEvent change{};
  change.management_dword10 = deleted ? 1 : 0;
  change.nsid = nsid;
  namespaces_.for_each([&](const NamespaceFacts& facts, const block::BlockVolume&) {
    if (facts.nsid != nsid) return;
    change.size = facts.size.value;
    change.capacity = facts.size.value;
    change.sharing = 1;
    change.ana_group = facts.ana_group;
  });
  events_->namespace_changed(change);
}

engine::Result<void, NamespaceError> Subsystem::add_namespace(const NamespaceOptions& options) {
  const Guard guard(mutex_);
  TRY(const auto change, namespaces_.add(options));
  record_namespace(options.nsid, /*deleted=*/false);
  tell({&change, 1});
  return engine::success();
}

engine::Result<void, NamespaceError> Subsystem::remove_namespace(std::uint32_t nsid) {
  const Guard guard(mutex_);
  TRY(const auto change, namespaces_.remove(nsid));
  record_namespace(nsid, /*deleted=*/true);
  tell({&change, 1});
  return engine::success();
}

engine::Result<void, NamespaceError> Subsystem::replace_namespace(const NamespaceOptions& options) {
  const Guard guard(mutex_);
  TRY(const auto change, namespaces_.replace(options));
  tell({&change, 1});
  return engine::success();
}

engine::Result<void, NamespaceError> Subsystem::set_namespace_hosts(
    std::uint32_t nsid, const std::optional<std::vector<std::string>>& hosts) {
  const Guard guard(mutex_);
  TRY(const auto reach, namespaces_.set_hosts(nsid, hosts));
  const NamespaceChange change{
      .nsid = nsid, .attributes = true, .ana = true, .presence = true, .visible_to = &reach.now};
  for (const auto& [id, controller] : controllers_) {
    const std::string_view host = controller->association().host_nqn;
    if (reach.before.admits(host) == reach.now.admits(host)) continue;
    // One that has lost it is told as one that sees it, so that it asks and finds it gone.
    NamespaceChange told = change;
    if (!reach.now.admits(host)) told.visible_to = &reach.before;
    controller->namespaces_changed({&told, 1});
  }
  return engine::success();
}

void Subsystem::refresh_volumes() {
  const Guard guard(mutex_);
  tell(namespaces_.refresh());
}

// Without the lock: what goes may be the last of something.
void Subsystem::forget_removed_namespaces() {
  {
    const Guard guard(mutex_);
    if (!namespaces_.has_removed()) return;
  }
  for (const auto& controller : controllers()) controller->forget_removed_namespaces();
}

std::shared_ptr<const NamespaceView> Subsystem::view_for(std::string_view host_nqn) const {
  const Guard guard(mutex_);
  return namespaces_.view_for(host_nqn);
}

std::vector<std::uint32_t> Subsystem::namespaces_of(std::string_view host_nqn) const {
  const Guard guard(mutex_);
  return namespaces_.visible_to(host_nqn);
}

std::optional<NamespaceFacts> Subsystem::describe(std::uint32_t nsid,
                                                  std::string_view host_nqn) const {
  const Guard guard(mutex_);
  return namespaces_.describe(nsid, host_nqn);
}

void Subsystem::set_path_state(std::string_view listener, AnaState state) {
  const Guard guard(mutex_);
  for (const auto& [id, controller] : controllers_) {
    if (controller->association().link.listener != listener || controller->path_state() == state) {
      continue;
    }
    controller->set_path_state(state, namespaces_.count_ana_change());
  }
}

AnaReport Subsystem::ana_report(const Controller& controller) const {
  const Guard guard(mutex_);
  return namespaces_.ana_report(controller.association().host_nqn, controller.path_state(),
                                controller.path_changes());
}

bool Subsystem::has_failing(std::string_view host_nqn) const {
  const Guard guard(mutex_);
  return namespaces_.has_failing(host_nqn);
}

std::uint32_t Subsystem::highest_nsid() const {
  const Guard guard(mutex_);
  return namespaces_.highest_nsid();
}

std::vector<NamespaceSnapshot> Subsystem::namespaces() const {
  const Guard guard(mutex_);
  std::vector<NamespaceSnapshot> all;
  namespaces_.for_each([&](const NamespaceFacts& facts, block::BlockVolume& volume) {
    all.push_back({.nsid = facts.nsid,
                   .volume = volume.volume().identity().name,
                   .ana_state = facts.ana_state,
                   .size_blocks = facts.size.value,
                   .block_bytes = facts.block_size.bytes});
  });
  return all;
}

}  // namespace target::nvmf
