#include "target/nvmf/controller.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/uuid.h"
#include "protocol/nvme/log_pages.h"
#include "target/nvmf/session.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using Guard = std::lock_guard<std::mutex>;

namespace {

nvme::ControllerCapabilities capabilities_of(const Subsystem& subsystem) {
  nvme::ControllerCapabilities capabilities;
  capabilities.max_queue_entries = subsystem.limits().max_queue_entries;
  if (subsystem.is_discovery()) {
    capabilities.max_queue_entries = admin_queue_entries;
    capabilities.all_io_command_sets = false;
    capabilities.no_io_command_set = true;
  }
  return capabilities;
}

FeatureValues::Settings settings_of(const Subsystem& subsystem, const Association& association) {
  return {.discovery = subsystem.is_discovery(),
          .max_io_queues = subsystem.limits().max_io_queues,
          .keep_alive_ms = association.keep_alive_ms,
          .host_id = association.host_id,
          .now = association.connected_at};
}

}  // namespace

Controller::Controller(std::shared_ptr<Subsystem> subsystem, nvme::ControllerId id,
                       Association association, std::shared_ptr<SessionHandle> admin)
    : subsystem_(std::move(subsystem)),
      id_(id),
      association_(std::move(association)),
      admin_(std::move(admin)),
      party_(block::PartyId::nvme_host(association_.host_id)),
      path_state_(association_.path_state),
      properties_(capabilities_of(*subsystem_)),
      features_(settings_of(*subsystem_, association_)),
      reset_at_(association_.connected_at),
      health_at_(association_.connected_at),
      watch_(*this) {
  events_.configure(features_.event_bits());
}

Controller::~Controller() = default;

bool Controller::is_discovery() const { return subsystem_->is_discovery(); }

void Controller::command_failed(const CommandFailure& failure) {
  remember_failure(failure);
  const Guard guard(mutex_);
  errors_.add({.count = 0,
               .queue_id = failure.qid,
               .command_id = failure.cid,
               .status = failure.status,
               .location = {failure.parameter_location},
               .first_bad_block = {failure.lba},
               .nsid = {failure.nsid},
               .opcode = failure.opcode});
}

// Base 2.2, "Connect Command and Response" for every status here. What only time has made wrong (an
// association that has just ended, a reset, an old connection whose end we have not seen yet)
// leaves Do Not Retry clear: with it a Linux host gives its controller up.
nvme::Parsed<void> Controller::attach_queue(std::uint16_t qid, QueueRecord queue,
                                            std::string& why) {
  const Guard guard(mutex_);
  if (ended_.load(std::memory_order_relaxed)) {
    why = "the association has ended";
    return nvme::may_try_again(
        nvme::connect_invalid_parameter(nvme::ConnectParameter::controller_id));
  }
  if (!properties_.ready()) {
    why = "the controller is not enabled";
    return nvme::may_try_again(nvme::connect_invalid_parameter(nvme::ConnectParameter::queue_id));
  }
  if (qid > features_.granted_queues()) {
    why = "the queue identifier is above the number of queues granted";
    return nvme::connect_invalid_parameter(nvme::ConnectParameter::queue_id);
  }
  if (queue.shown.entries > properties_.capabilities().max_queue_entries) {
    why = "the queue is too deep";
    return nvme::connect_invalid_parameter(nvme::ConnectParameter::queue_size);
  }
  if (queues_.contains(qid)) {
    why = "the queue identifier is in use";
    return nvme::may_try_again({nvme::status::invalid_queue_identifier});
  }
  queues_.emplace(qid, std::move(queue));
  most_queues_ = std::max(most_queues_, queues_.size());
  return engine::success();
}

void Controller::detach_queue(std::uint16_t qid, const SessionHandle& session) {
  const Guard guard(mutex_);
  const auto found = queues_.find(qid);
  // After a reset the identifier may be another connection's already.
  if (found != queues_.end() && found->second.session.get() == &session) queues_.erase(found);
}

std::shared_ptr<SessionHandle> Controller::queue(std::uint16_t qid) const {
  const Guard guard(mutex_);
  const auto found = queues_.find(qid);
  return found == queues_.end() ? nullptr : found->second.session;
}

std::uint64_t Controller::enable_of(std::uint16_t qid, const SessionHandle& session) const {
  const Guard guard(mutex_);
  const auto found = queues_.find(qid);
  return found != queues_.end() && found->second.session.get() == &session ? enables_ : 0;
}

void Controller::update_serving() {
  const bool ready = properties_.ready() && !ended_.load(std::memory_order_relaxed);
  serving_.store(ready ? enables_ : 0, std::memory_order_release);
}

nvme::Parsed<std::uint64_t> Controller::get_property(const nvme::PropertyGet& command) const {
  const Guard guard(mutex_);
  return properties_.get(command);
}

nvme::Parsed<Properties::Effect> Controller::set_property(const nvme::PropertySet& command,
                                                          engine::Instant now) {
  Queues ended;
  nvme::TimestampData timestamp{};
  const auto effect = [&]() -> nvme::Parsed<Properties::Effect> {
    const Guard guard(mutex_);
    TRY(const auto done, properties_.set(command));
    timestamp = features_.timestamp(now);
    if (done == Properties::Effect::enabled) ++enables_;
    update_serving();
    if (done == Properties::Effect::disabled) {
      ended.swap(queues_);
      features_.reset(now);
      reset_at_ = now;
      report_.reset();
      knows_access_states_.store(false, std::memory_order_relaxed);
      delays_retries_.store(features_.delays_retries(), std::memory_order_relaxed);
      copies_between_namespaces_.store(features_.copies_between_namespaces(),
                                       std::memory_order_relaxed);
      events_.reset();
      events_.configure(features_.event_bits());
      changed_.clear();
      reservations_.clear();
    }
    return done;
  }();
  end_queues(ended, EndReason::controller_reset);
  if (effect && effect.value() == Properties::Effect::disabled && subsystem_->events() != nullptr) {
    subsystem_->events()->controller_reset(event_place(), now - association_.connected_at,
                                           timestamp);
  }
  return effect;
}

nvme::Parsed<std::uint32_t> Controller::set_feature(const nvme::SetFeatures& command,
                                                    std::span<const std::byte> data,
                                                    engine::Instant now) {
  bool tell = false;
  nvme::TimestampData timestamp{};
  engine::Duration since_reset{};
  const auto result = [&]() -> nvme::Parsed<std::uint32_t> {
    const Guard guard(mutex_);
    const bool warned = features_.temperature_warning();
    timestamp = features_.timestamp(now);
    since_reset = now - reset_at_;
    TRY(const auto dword0, features_.set(command, data, !queues_.empty(), now));
    delays_retries_.store(features_.delays_retries(), std::memory_order_relaxed);
    copies_between_namespaces_.store(features_.copies_between_namespaces(),
                                     std::memory_order_relaxed);
    if (static_cast<nvme::FeatureId>(command.feature_id) ==
        nvme::FeatureId::async_event_configuration) {
      events_.configure(features_.event_bits());
      tell = events_.waiting();
    }
    if (!features_.temperature_warning()) {
      events_.settle(AsyncEvents::Kind::temperature);
    } else if (!warned) {
      tell = events_.raise(AsyncEvents::Kind::temperature);
    }
    return dword0;
  }();
  if (tell) tell_admin();
  if (result && subsystem_->events() != nullptr &&
      static_cast<nvme::FeatureId>(command.feature_id) == nvme::FeatureId::timestamp) {
    subsystem_->events()->timestamp_changed(event_place(), timestamp, since_reset);
  }
  return result;
}

nvme::Parsed<FeatureReply> Controller::get_feature(const nvme::GetFeatures& command,
                                                   engine::Instant now) const {
  const Guard guard(mutex_);
  return features_.get(command, now);
}

std::uint32_t Controller::keep_alive_ms() const {
  const Guard guard(mutex_);
  return features_.keep_alive_ms();
}

bool Controller::temperature_warning() const {
  const Guard guard(mutex_);
  return features_.temperature_warning();
}

void Controller::namespaces_changed(std::span<const NamespaceChange> changes) {
  bool tell = false;
  {
    const Guard guard(mutex_);
    if (ended_.load(std::memory_order_relaxed)) return;
    for (const NamespaceChange& change : changes) {
      if (!change.visible_to->admits(association_.host_nqn)) continue;
      if (change.attributes) {
        changed_.insert(change.nsid);
        tell |= events_.raise(AsyncEvents::Kind::namespace_attribute);
      }
      // Base 2.1, "Asymmetric Namespace Access Change": not besides the other.
      if (change.ana && !change.presence) tell |= events_.raise(AsyncEvents::Kind::ana_change);
      if (change.failing) tell |= events_.raise(AsyncEvents::Kind::reliability);
    }
  }
  if (tell) tell_admin();
}

void Controller::set_path_state(AnaState state, std::uint64_t changes) {
  path_changes_.store(changes, std::memory_order_relaxed);
  path_state_.store(state, std::memory_order_release);
  bool tell = false;
  {
    const Guard guard(mutex_);
    if (ended_.load(std::memory_order_relaxed)) return;
    tell = events_.raise(AsyncEvents::Kind::ana_change);
  }
  if (tell) tell_admin();
  refuse_unreachable();
}

void Controller::refuse_unreachable() {
  const Guard guard(mutex_);
  for (const auto& [qid, queue] : queues_) {
    queue.session->post([](Session* session) {
      if (session != nullptr) session->access_changed();
    });
  }
}

void Controller::forget_removed_namespaces() {
  watch_.forget_removed();
  const Guard guard(mutex_);
  for (const auto& [qid, queue] : queues_) {
    queue.session->post([](Session* session) {
      if (session != nullptr) session->forget_removed_namespaces();
    });
  }
}

void Controller::discovery_log_is(std::uint64_t generation) {
  bool tell = false;
  {
    const Guard guard(mutex_);
    if (ended_.load(std::memory_order_relaxed)) return;
    tell = events_.raise_to(AsyncEvents::Kind::discovery_log, generation);
    // The first one is what the host found when it came.
    if (!std::exchange(discovery_known_, true)) {
      events_.settle(AsyncEvents::Kind::discovery_log);
      tell = false;
    }
  }
  if (tell) tell_admin();
}

void Controller::reservation_changed(std::uint32_t nsid,
                                     nvme::ReservationNotification notification) noexcept {
  bool tell = false;
  {
    const Guard guard(mutex_);
    if (ended_.load(std::memory_order_relaxed) || !properties_.ready()) return;
    if ((features_.reservation_mask(nsid) & nvme::mask_bit(notification)) != 0) return;
    reservations_.add(nsid, notification);
    tell = events_.raise(AsyncEvents::Kind::reservation);
  }
  if (tell) tell_admin();
}

std::vector<std::byte> Controller::reservation_page(bool clears) {
  const Guard guard(mutex_);
  auto page = reservations_.page();
  if (!clears) return page;
  reservations_.take();
  events_.settle(AsyncEvents::Kind::reservation);
  // Each notification is an event of its own.
  if (!reservations_.empty()) (void)events_.raise(AsyncEvents::Kind::reservation);
  return page;
}

std::optional<nvme::AsyncEvent> Controller::take_event() {
  const Guard guard(mutex_);
  return events_.take();
}

void Controller::log_page_read(std::uint8_t log_id) {
  const Guard guard(mutex_);
  events_.log_page_read(log_id);
}

void Controller::discovery_log_read(std::uint64_t generation) {
  const Guard guard(mutex_);
  events_.log_page_read(AsyncEvents::Kind::discovery_log, generation);
}

std::vector<std::byte> Controller::error_page() const {
  const Guard guard(mutex_);
  return errors_.page();
}

std::uint64_t Controller::error_count() const {
  const Guard guard(mutex_);
  return errors_.count();
}

namespace {

std::vector<nvme::NamespaceId> list_of(const std::set<std::uint32_t>& changed) {
  std::vector<nvme::NamespaceId> ascending;
  for (const std::uint32_t nsid : changed) ascending.push_back({nsid});
  return ascending;
}

}  // namespace

std::vector<nvme::NamespaceId> Controller::changed_namespaces() const {
  const Guard guard(mutex_);
  return list_of(changed_);
}

std::vector<nvme::NamespaceId> Controller::take_changed_namespaces() {
  const Guard guard(mutex_);
  events_.settle(AsyncEvents::Kind::namespace_attribute);
  return list_of(std::exchange(changed_, {}));
}

void Controller::tell_admin() {
  admin_->post([](Session* session) {
    if (session != nullptr) session->deliver_events();
  });
}

void Controller::end_queues(const Queues& queues, EndReason reason) {
  for (const auto& [qid, queue] : queues) {
    queue.session->post([reason](Session* session) {
      if (session != nullptr) session->end(reason);
    });
  }
}

void Controller::end(EndReason reason) {
  Queues queues;
  std::unique_ptr<GeneratedKeys::Hold> key;
  if (!ended()) remember_health(/*daily=*/false);
  {
    const Guard guard(mutex_);
    if (ended_.exchange(true, std::memory_order_acq_rel)) return;
    update_serving();
    queues.swap(queues_);
    key.swap(generated_key_);
    if (reason == EndReason::stopping) (void)events_.raise(AsyncEvents::Kind::shutdown);
  }
  key.reset();
  end_queues(queues, reason);
  admin_->post([reason](Session* session) {
    if (session == nullptr) return;
    session->deliver_events();
    session->end(reason);
  });
  subsystem_->release(*this, reason);
}

void Controller::fail() {
  {
    const Guard guard(mutex_);
    properties_.fail();
    update_serving();
  }
  if (subsystem_->events() != nullptr) subsystem_->events()->controller_failed(event_place());
}

std::string Controller::security() const {
  const std::string_view of_link = association_.link.security;
  const Guard guard(mutex_);
  if (authentication_.empty()) return std::string(of_link);
  return of_link == "none" ? authentication_ : authentication_ + ", " + std::string(of_link);
}

void Controller::set_authentication(std::string_view by) {
  const Guard guard(mutex_);
  authentication_ = by;
}

void Controller::hold_key(std::unique_ptr<GeneratedKeys::Hold> key) {
  const Guard guard(mutex_);
  // Who has ended meanwhile holds none.
  if (!ended_) generated_key_.swap(key);
}

bool Controller::admits_key(std::string_view generated_identity) const {
  const Guard guard(mutex_);
  if (generated_key_ == nullptr) return generated_identity.empty();
  return generated_key_->identity() == generated_identity;
}

std::size_t Controller::most_io_queues() const {
  const Guard guard(mutex_);
  return most_queues_;
}

QueueSnapshot Controller::admin_snapshot() const {
  return {.qid = 0,
          .entries = association_.admin_entries,
          .peer_address = association_.link.peer_address,
          .local_address = association_.link.local_address,
          .header_digest = association_.link.header_digest,
          .data_digest = association_.link.data_digest};
}

HostCounts Controller::work() const {
  return {.reads = counters_.read_commands.load(std::memory_order_relaxed),
          .writes = counters_.write_commands.load(std::memory_order_relaxed),
          .read_bytes = counters_.bytes_read.load(std::memory_order_relaxed),
          .written_bytes = counters_.bytes_written.load(std::memory_order_relaxed),
          .media_errors = counters_.media_errors.load(std::memory_order_relaxed),
          .digest_errors = counters_.digest_errors.load(std::memory_order_relaxed)};
}

std::size_t Controller::io_queues() const {
  const Guard guard(mutex_);
  return queues_.size();
}

ControllerSnapshot Controller::snapshot(engine::Instant now) const {
  ControllerSnapshot shown;
  shown.subsystem_nqn = subsystem_->nqn();
  shown.discovery = is_discovery();
  shown.cntlid = id_.value;
  shown.host_nqn = association_.host_nqn;
  engine::Uuid host_id;
  std::copy(association_.host_id.begin(), association_.host_id.end(), host_id.bytes.begin());
  shown.host_id = host_id.text();
  shown.listener = association_.link.listener;
  shown.security = security();
  shown.ready = ready();
  shown.connected_for = now - association_.connected_at;
  shown.read_commands = counters_.read_commands.load(std::memory_order_relaxed);
  shown.write_commands = counters_.write_commands.load(std::memory_order_relaxed);
  shown.bytes_read = counters_.bytes_read.load(std::memory_order_relaxed);
  shown.bytes_written = counters_.bytes_written.load(std::memory_order_relaxed);
  shown.media_errors = counters_.media_errors.load(std::memory_order_relaxed);
  shown.queues.push_back(admin_snapshot());
  const Guard guard(mutex_);
  shown.keep_alive_ms = features_.keep_alive_ms();
  for (const auto& [qid, queue] : queues_) shown.queues.push_back(queue.shown);
  return shown;
}

}  // namespace target::nvmf
