#include "target/nvmf/admin_queue.h"

#include <algorithm>
#include <cstring>

#include "protocol/nvme/discovery_log.h"
#include "target/nvmf/host_data.h"
#include "target/nvmf/identify.h"
#include "target/nvmf/limits.h"
#include "target/nvmf/log_pages.h"
#include "target/nvmf/session.h"
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::Parsed;
using nvme::Refusal;

namespace {

bool is_of_volume(std::uint8_t feature_id) {
  const auto feature = static_cast<nvme::FeatureId>(feature_id);
  return feature == nvme::FeatureId::reservation_persistence ||
         feature == nvme::FeatureId::write_protection;
}

}  // namespace

AdminQueue::AdminQueue(NvmfTarget& target, std::shared_ptr<Controller> controller,
                       std::shared_ptr<SessionHandle> session, CommandPort& port)
    : target_(target),
      controller_(std::move(controller)),
      session_(std::move(session)),
      port_(port),
      timer_([this] { time_passed(); }) {
  watch_association();
}

AdminQueue::~AdminQueue() { CHECK(event_requests_.empty() && format_ == nullptr); }

void AdminQueue::execute(CommandPermit permit) {
  admin_traffic_ = true;
  run(std::move(permit), /*data_is_ready=*/false);
}

void AdminQueue::data_ready(CommandPermit permit) {
  run(std::move(permit), /*data_is_ready=*/true);
}

struct AdminQueue::Visitor {
  AdminQueue& queue;
  CommandPermit& permit;
  bool data_is_ready;

  void operator()(const nvme::GetLogPage& c) {
    queue.get_log_page(std::move(permit), c, data_is_ready);
  }
  void operator()(const nvme::Identify& c) { queue.identify(std::move(permit), c, data_is_ready); }
  void operator()(const nvme::GetLbaStatus& c) {
    queue.get_lba_status(std::move(permit), c, data_is_ready);
  }
  void operator()(const nvme::FormatNvm& c) { queue.format_nvm(std::move(permit), c); }
  void operator()(const nvme::Abort& c) { queue.abort(std::move(permit), c); }
  void operator()(const nvme::SetFeatures& c) {
    queue.set_features(std::move(permit), c, data_is_ready);
  }
  void operator()(const nvme::GetFeatures& c) {
    queue.get_features(std::move(permit), c, data_is_ready);
  }
  void operator()(const nvme::AsyncEventRequest&) { queue.request_event(std::move(permit)); }
  void operator()(const nvme::KeepAlive&) {
    queue.keep_alive_.renew(queue.port_.reactor().clock().now());
    permit.respond(nvme::status::success);
  }
};

void AdminQueue::run(CommandPermit permit, bool data_is_ready) {
  const nvme::SubmissionEntry& entry = permit.command().entry;
  if (ended_) return permit.respond(nvme::status::aborted_queue_deleted);
  if (entry.opcode == nvme::fabrics_opcode) return run_fabrics(std::move(permit));
  if (!controller_->ready())
    return refuse(std::move(permit), {nvme::status::command_sequence_error});
  // Whatever its fields are: a discovery controller has no such command.
  const bool is_of_namespaces =
      entry.opcode == static_cast<std::uint8_t>(nvme::AdminOpcode::get_lba_status) ||
      entry.opcode == static_cast<std::uint8_t>(nvme::AdminOpcode::format_nvm);
  if (controller_->is_discovery() && is_of_namespaces) {
    return refuse(std::move(permit), {nvme::status::invalid_opcode, nvme::at_byte(0)});
  }
  const auto parsed = nvme::parse_admin_command(entry);
  if (!parsed) return refuse(std::move(permit), parsed.error());
  std::visit(Visitor{*this, permit, data_is_ready}, parsed.value());
}

void AdminQueue::run_fabrics(CommandPermit permit) {
  const auto parsed = nvme::parse_fabrics_command(permit.command().entry);
  if (!parsed) return refuse(std::move(permit), parsed.error());
  const nvme::FabricsCommand& command = parsed.value();
  if (const auto* get = std::get_if<nvme::PropertyGet>(&command)) {
    const auto value = controller_->get_property(*get);
    if (!value) return refuse(std::move(permit), value.error());
    return permit.respond(nvme::status::success, value.value());
  }
  if (const auto* set = std::get_if<nvme::PropertySet>(&command)) {
    return set_property(std::move(permit), *set);
  }
  if (std::holds_alternative<nvme::Connect>(command)) {
    // Connect leaves no entry in the error log (Base 2.2, "Connect Command and Response").
    return permit.respond(nvme::status::command_sequence_error);
  }
  if (std::holds_alternative<nvme::Disconnect>(command)) {
    return refuse(std::move(permit), {nvme::status::invalid_queue_type});
  }
  // Authentication was not asked for (AUTHREQ 0), and there is none.
  refuse(std::move(permit), {nvme::status::invalid_opcode, nvme::at_byte(4)});
}

void AdminQueue::set_property(CommandPermit permit, const nvme::PropertySet& command) {
  const auto effect = controller_->set_property(command, port_.reactor().clock().now());
  if (!effect) return refuse(std::move(permit), effect.error());
  switch (effect.value()) {
    case Properties::Effect::none:
      break;
    case Properties::Effect::failed:
      log_warn("controller configuration refused host={} subsystem={} cntlid={} value={:#x}",
               controller_->association().host_nqn, controller_->subsystem().nqn(),
               controller_->id().value, command.value);
      watch_association();
      break;
    case Properties::Effect::disabled:
    case Properties::Effect::shut_down:
      abort_event_requests();
      leave_format(nvme::status::abort_requested);
      discovery_page_.clear();
      watch_association();
      break;
    case Properties::Effect::enabled:
      watch_association();
      break;
  }
  permit.respond(nvme::status::success);
}

Parsed<std::span<const std::byte>> AdminQueue::read_log(const nvme::GetLogPage& command,
                                                        bool data_is_ready,
                                                        std::vector<std::byte>& own) {
  using Page = std::span<const std::byte>;
  const bool discovery = static_cast<nvme::LogPage>(command.log_id) == nvme::LogPage::discovery &&
                         controller_->is_discovery();
  const bool clears = data_is_ready && !command.retain_async_event;
  if (!discovery) {
    if (static_cast<nvme::LogPage>(command.log_id) == nvme::LogPage::ana) {
      controller_->note_ana_log_read();
    }
    if (clears) controller_->log_page_read(command.log_id);
    TRY(own,
        log_page(*controller_, command, !data_is_ready, clears, port_.reactor().clock().now()));
    return Page(own);
  }
  // A read from the start takes a new snapshot, those at other offsets are of the same page: what a
  // host puts together from several reads belongs to the generation in its first bytes.
  if (!data_is_ready && (command.offset == 0 || discovery_page_.empty())) {
    const Association& association = controller_->association();
    discovery_page_ = target_.discovery_log(association.host_nqn, association.link.local_address);
  }
  if (clears) controller_->discovery_log_read(nvme::discovery_log_generation(discovery_page_));
  return Page(discovery_page_);
}

void AdminQueue::get_log_page(CommandPermit permit, const nvme::GetLogPage& command,
                              bool data_is_ready) {
  if (command.offset_is_index) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(14, 23)});
  }
  if (command.length > controller_->subsystem().limits().max_transfer) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(10, 16)});
  }
  std::vector<std::byte> own;
  const auto page = read_log(command, data_is_ready, own);
  if (!page) return refuse(std::move(permit), page.error());
  if (command.offset > page.value().size()) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(12)});
  }
  const auto length = static_cast<std::uint32_t>(command.length.value);
  if (!data_is_ready) return permit.lease_for_host(length);

  const auto part = nvme::log_page_part(page.value(), command.offset, length);
  const auto buffer = permit.command().buffer.bytes().first(length);
  if (!part.empty()) std::memcpy(buffer.data(), part.data(), part.size());
  if (part.size() < length) std::memset(buffer.data() + part.size(), 0, length - part.size());
  permit.respond_with_data(length);
  deliver_events();
}

void AdminQueue::identify(CommandPermit permit, const nvme::Identify& command, bool data_is_ready) {
  const auto page = nvmf::identify(*controller_, command);
  if (!page) return refuse(std::move(permit), page.error());
  if (!data_is_ready) return permit.lease_for_host(nvme::identify_page_bytes);
  std::memcpy(permit.command().buffer.bytes().data(), page.value().data(), page.value().size());
  permit.respond_with_data(nvme::identify_page_bytes);
}

bool AdminQueue::abort_event_request(std::uint16_t command_id) {
  const auto found =
      std::find_if(event_requests_.begin(), event_requests_.end(),
                   [&](const Command* request) { return request->entry.command_id == command_id; });
  if (found == event_requests_.end()) return false;
  Command& request = **found;
  event_requests_.erase(found);
  CommandPermit::resume(request).respond(nvme::status::abort_requested);
  return true;
}

void AdminQueue::abort_event_requests() {
  std::vector<Command*> requests;
  requests.swap(event_requests_);
  for (Command* request : requests) {
    CommandPermit::resume(*request).respond(nvme::status::abort_requested);
  }
}

// Only the queue's own reactor knows whether the command has started; the answer waits for it.
void AdminQueue::abort(CommandPermit permit, const nvme::Abort& command) {
  if (command.queue_id == 0) {
    const bool done =
        abort_event_request(command.command_id) || port_.abort_waiting(command.command_id);
    return permit.respond(nvme::status::success, done ? nvme::abort_done : nvme::abort_not_done);
  }
  const auto queue = controller_->queue(command.queue_id);
  if (!queue) return permit.respond(nvme::status::success, nvme::abort_not_done);
  if (aborts_ == abort_limit)
    return refuse(std::move(permit), {nvme::status::abort_limit_exceeded});
  ++aborts_;
  Command& parked = permit.park();
  queue->post([admin = session_, &parked, id = command.command_id](Session* io) {
    const bool done = io != nullptr && io->abort(id);
    admin->post([&parked, done](Session* session) {
      if (session != nullptr) session->abort_finished();
      CommandPermit::resume(parked).respond(nvme::status::success,
                                            done ? nvme::abort_done : nvme::abort_not_done);
    });
  });
}

Parsed<void> AdminQueue::check_feature_namespace(std::uint8_t feature_id,
                                                 nvme::NamespaceId nsid) const {
  if (!FeatureValues::is_namespace_specific(feature_id)) return engine::success();
  if (nsid.value == 0 || nsid == nvme::every_namespace) return engine::success();
  if (!controller_->subsystem().describe(nsid.value, controller_->association().host_nqn)) {
    return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
  }
  return engine::success();
}

void AdminQueue::set_features(CommandPermit permit, const nvme::SetFeatures& command,
                              bool data_is_ready) {
  if (const auto found = check_feature_namespace(command.feature_id, command.nsid); !found) {
    return refuse(std::move(permit), found.error());
  }
  std::span<const std::byte> data;
  if (command.data) {
    const auto found =
        host_data(permit.command(), *command.data,
                  nvme::feature_data_bytes(command.feature_id, command.dword11), data_is_ready);
    if (!found) return refuse(std::move(permit), found.error());
    if (!found.value()) {
      return permit.receive_from_host(
          static_cast<std::uint32_t>(nvme::length_of(*command.data).value));
    }
    data = *found.value();
  }
  if (is_of_volume(command.feature_id) && !controller_->is_discovery()) {
    return set_volume_feature(std::move(permit), command);
  }
  const auto dword0 = controller_->set_feature(command, data, port_.reactor().clock().now());
  if (!dword0) return refuse(std::move(permit), dword0.error());
  if (static_cast<nvme::FeatureId>(command.feature_id) == nvme::FeatureId::keep_alive_timer) {
    watch_association();
  }
  permit.respond(nvme::status::success, dword0.value());
}

void AdminQueue::get_features(CommandPermit permit, const nvme::GetFeatures& command,
                              bool data_is_ready) {
  if (const auto found = check_feature_namespace(command.feature_id, command.nsid); !found) {
    return refuse(std::move(permit), found.error());
  }
  if (is_of_volume(command.feature_id) && command.select == nvme::FeatureSelect::current &&
      !controller_->is_discovery()) {
    const auto value = volume_feature(command);
    if (!value) return refuse(std::move(permit), value.error());
    return permit.respond(nvme::status::success, value.value());
  }
  const auto reply = controller_->get_feature(command, port_.reactor().clock().now());
  if (!reply) return refuse(std::move(permit), reply.error());
  const auto& data = reply.value().data;
  if (data.empty()) return permit.respond(nvme::status::success, reply.value().dword0);
  const auto length = static_cast<std::uint32_t>(data.size());
  if (!data_is_ready) return permit.lease_for_host(length);
  std::memcpy(permit.command().buffer.bytes().data(), data.data(), data.size());
  permit.respond_with_data(length, reply.value().dword0);
}

void AdminQueue::request_event(CommandPermit permit) {
  if (event_requests_.size() == async_event_limit) {
    return refuse(std::move(permit), {nvme::status::async_event_limit_exceeded});
  }
  event_requests_.push_back(&permit.park());
  deliver_events();
}

void AdminQueue::deliver_events() {
  while (!event_requests_.empty()) {
    const auto event = controller_->take_event();
    if (!event) return;
    Command& request = *event_requests_.front();
    event_requests_.erase(event_requests_.begin());
    CommandPermit::resume(request).respond(nvme::status::success, event->dword0());
  }
}

void AdminQueue::refuse(CommandPermit permit, const Refusal& refusal) {
  const nvme::SubmissionEntry& entry = permit.command().entry;
  controller_->command_failed(
      {.qid = 0,
       .cid = entry.command_id,
       .status = refusal.status,
       .lba = 0,
       .nsid = entry.opcode == nvme::fabrics_opcode ? 0 : entry.nsid.value(),
       .parameter_location = refusal.location.value,
       .opcode = entry.opcode});
  permit.respond(refusal.status.with_more(), refusal.dword0);
}

void AdminQueue::watch_association() {
  const engine::Instant now = port_.reactor().clock().now();
  engine::Duration timeout{};
  watching_idle_ = !controller_->ready();
  if (watching_idle_) {
    timeout = idle_association_timeout;
  } else if (const auto keep_alive_ms = controller_->keep_alive_ms(); keep_alive_ms != 0) {
    timeout = std::chrono::milliseconds(keep_alive_ms);
  } else if (controller_->is_discovery()) {
    timeout = discovery_activity_timeout;
  }
  keep_alive_.set_timeout(timeout, now);
  admin_traffic_ = false;
  checked_at_ = now;
  arm_timer();
}

void AdminQueue::arm_timer() {
  if (const auto deadline = keep_alive_.deadline()) {
    port_.reactor().timers().arm(timer_, *deadline);
  } else {
    timer_.disarm();
  }
}

void AdminQueue::time_passed() {
  const engine::Instant now = port_.reactor().clock().now();
  const bool io = controller_->take_io_traffic();
  if (io) controller_->add_busy(now - checked_at_);
  checked_at_ = now;
  const bool traffic = !watching_idle_ && (io || admin_traffic_);
  admin_traffic_ = false;
  if (keep_alive_.check(now, traffic) == KeepAlive::Verdict::alive) return arm_timer();
  if (watching_idle_) return controller_->end(EndReason::controller_reset);
  target_.count_keep_alive_timeout();
  controller_->fail();
  controller_->end(EndReason::keep_alive_timeout);
}

void AdminQueue::end(EndReason reason) {
  ended_ = true;
  timer_.disarm();
  abort_event_requests();
  leave_format(nvme::status::aborted_queue_deleted);
  controller_->end(reason);
}

}  // namespace target::nvmf
