#include "target/nvmf/session.h"

#include "target/nvmf/connect_request.h"
#include "target/nvmf/host_data.h"
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

namespace {

const char* digests_of(const LinkInfo& link) {
  if (link.header_digest && link.data_digest) return "header,data";
  if (link.header_digest) return "header";
  return link.data_digest ? "data" : "none";
}

bool is_authentication(const nvme::SubmissionEntry& entry) {
  if (entry.opcode != nvme::fabrics_opcode) [[likely]]
    return false;
  const auto type = static_cast<nvme::FabricsType>(entry.fabrics_type());
  return type == nvme::FabricsType::authentication_send ||
         type == nvme::FabricsType::authentication_receive;
}

// Also of a Connect that does not parse.
std::uint16_t queue_named_by(const nvme::SubmissionEntry& connect) {
  return static_cast<std::uint16_t>(connect.cdw10 >> 16);
}

// What a refusal of a malformed Connect is about, from its IPO and IATTR.
std::string_view malformed_part(const nvme::Refusal& refusal) {
  switch (static_cast<nvme::ConnectParameter>(refusal.dword0)) {
    case nvme::ConnectParameter::queue_size:
      return "the queue size is 0";
    case nvme::ConnectParameter::host_id:
      return "the host identifier is 0";
    case nvme::ConnectParameter::subsystem_nqn:
      return "the subsystem's name is not an NQN";
    case nvme::ConnectParameter::host_nqn:
      return "the host's name is not an NQN";
    case nvme::ConnectParameter::queue_id:
    case nvme::ConnectParameter::attributes:
    case nvme::ConnectParameter::keep_alive:
    case nvme::ConnectParameter::controller_id:
      break;
  }
  return "the command is malformed";
}

}  // namespace

IoQueueView::IoQueueView(Controller& controller, std::uint64_t enable)
    : controller_(controller),
      enable_(enable),
      largest_transfer_(
          static_cast<std::uint32_t>(controller.subsystem().limits().max_transfer.value)),
      view_(controller.subsystem().view_for(controller.association().host_nqn)) {}

Namespace* IoQueueView::find_namespace(std::uint32_t nsid) {
  if (view_->version() != controller_.subsystem().namespaces_version()) [[unlikely]]
    refresh();
  return view_->find(nsid);
}

void IoQueueView::refresh() {
  view_ = controller_.subsystem().view_for(controller_.association().host_nqn);
}

Session::Session(NvmfTarget& target, CommandPort& port)
    : target_(target),
      port_(port),
      handle_(std::make_shared<SessionHandle>(*this, port.reactor())) {}

Session::~Session() { handle_->owner_ended(); }

void Session::execute(CommandPermit permit) {
  if (!open_) [[unlikely]]
    return execute_unproved(std::move(permit));
  if (io_) [[likely]] {
    if (permit.command().entry.opcode == nvme::fabrics_opcode) [[unlikely]] {
      return run_io_fabrics(std::move(permit));
    }
    return io_->execute(std::move(permit));
  }
  if (is_authentication(permit.command().entry)) {
    return authentication_->run(std::move(permit), /*data_is_ready=*/false);
  }
  admin_->execute(std::move(permit));
}

void Session::execute_unproved(CommandPermit permit) {
  if (!authentication_) return connect(std::move(permit), /*data_is_ready=*/false);
  const nvme::SubmissionEntry& entry = permit.command().entry;
  if (is_authentication(entry)) {
    return authentication_->run(std::move(permit), /*data_is_ready=*/false);
  }
  refuse_command(std::move(permit), {nvme::status::authentication_required});
}

// With its entry in the error log.
void Session::refuse_command(CommandPermit permit, const nvme::Refusal& refusal) {
  const nvme::SubmissionEntry& entry = permit.command().entry;
  controller_->command_failed({.qid = binding_.qid,
                               .cid = entry.command_id,
                               .status = refusal.status,
                               .lba = 0,
                               .nsid = 0,
                               .parameter_location = refusal.location.value,
                               .opcode = entry.opcode});
  permit.respond(refusal.status.with_more(), refusal.dword0);
}

void Session::finish_authentication(CommandPermit permit, protocol::auth::DhWork& work) {
  authentication_->finish(std::move(permit), work);
}

void Session::data_ready(CommandPermit permit) {
  if (authentication_ && is_authentication(permit.command().entry)) [[unlikely]] {
    return authentication_->run(std::move(permit), /*data_is_ready=*/true);
  }
  if (io_) [[likely]] {
    return io_->data_ready(std::move(permit));
  }
  if (admin_) return admin_->data_ready(std::move(permit));
  connect(std::move(permit), /*data_is_ready=*/true);
}

void Session::connect(CommandPermit permit, bool data_is_ready) {
  const Command& command = permit.command();
  const bool is_connect =
      command.entry.opcode == nvme::fabrics_opcode &&
      command.entry.fabrics_type() == static_cast<std::uint8_t>(nvme::FabricsType::connect);
  if (!is_connect) return permit.respond(nvme::status::command_sequence_error);

  const auto parsed = nvme::parse_fabrics_command(command.entry);
  if (!parsed) return refuse(std::move(permit), parsed.error(), malformed_part(parsed.error()));
  const auto& connect = std::get<nvme::Connect>(parsed.value());
  const auto bytes = host_data(command, connect.data, {nvme::connect_data_bytes}, data_is_ready);
  if (!bytes) return refuse(std::move(permit), bytes.error(), "its data is not there");
  if (!bytes.value()) {
    return permit.receive_from_host(
        static_cast<std::uint32_t>(nvme::length_of(connect.data).value));
  }
  const auto data = nvme::parse_connect_data(*bytes.value());
  if (!data) return refuse(std::move(permit), data.error(), malformed_part(data.error()));
  host_nqn_ = data.value().host_nqn;
  subsystem_nqn_ = data.value().subsystem_nqn;

  std::string why;
  const ConnectRequest request{.command = connect, .data = data.value(), .link = port_.link()};
  auto admitted = target_.admit(request, handle_, why);
  if (!admitted) return refuse(std::move(permit), admitted.error(), why);
  controller_ = std::move(admitted).value();
  accept(std::move(permit), connect);
}

void Session::accept(CommandPermit permit, const nvme::Connect& connect) {
  binding_ = {.qid = connect.queue_id,
              .entries = connect.queue_entries,
              .sq_flow_control_disabled = connect.sq_flow_control_disabled,
              .host = connect.queue_id == 0 ? nullptr : &controller_->counters()};
  if (connect.queue_id == 0) {
    admin_.emplace(target_, controller_, handle_, port_);
  } else {
    view_.emplace(*controller_, controller_->enable_of(connect.queue_id, *handle_));
    io_.emplace(*view_, port_, connect.queue_id);
  }
  const AuthenticationDemand demand =
      target_.demand_of(host_nqn_, port_.link(), connect.queue_id, *controller_);
  authentication_.emplace(target_, controller_, handle_, port_, connect.queue_id, subsystem_nqn_,
                          demand, [this] { open(); });
  port_.bind(binding_);
  if (!demand.required) open();
  permit.respond(nvme::status::success,
                 nvme::connect_result(controller_->id(), {.transaction_required = demand.required,
                                                          .secure_channel_required =
                                                              demand.concatenation.is_demanded}));
}

void Session::open() {
  open_ = true;
  announced_ = true;
  log_connected();
}

void Session::refuse(CommandPermit permit, const nvme::Refusal& refusal, std::string_view why) {
  log_refusal(queue_named_by(permit.command().entry), refusal, why);
  permit.respond(refusal.status, refusal.dword0);
  port_.end(EndReason::refused);
}

void Session::run_io_fabrics(CommandPermit permit) {
  io_->not_executed(permit.command().entry);
  const auto parsed = nvme::parse_fabrics_command(permit.command().entry);
  if (!parsed) return refuse_command(std::move(permit), parsed.error());
  if (std::holds_alternative<nvme::Connect>(parsed.value())) {
    // Connect leaves no entry in the error log (Base 2.2, "Connect Command and Response").
    return permit.respond(nvme::status::command_sequence_error);
  }
  if (is_authentication(permit.command().entry)) {
    return authentication_->run(std::move(permit), /*data_is_ready=*/false);
  }
  if (!std::holds_alternative<nvme::Disconnect>(parsed.value())) {
    // For Admin queues only.
    return refuse_command(std::move(permit), {nvme::status::invalid_opcode, nvme::at_byte(4)});
  }
  // Nothing may be answered on the queue after this (Base 2.2, "Disconnect Command and Response").
  permit.respond(nvme::status::success);
  port_.end(EndReason::disconnected);
}

void Session::deliver_events() {
  if (admin_) admin_->deliver_events();
}

bool Session::abort(std::uint16_t command_id) { return io_ && io_->abort(command_id); }

void Session::abort_finished() {
  if (admin_) admin_->abort_finished();
}

void Session::format_ended(std::uint64_t number, block::VolumeFormatter::End end) {
  if (admin_) admin_->format_ended(number, end);
}

void Session::connection_ended(EndReason reason) {
  handle_->owner_ended();
  if (!controller_) return;
  authentication_->end();
  if (announced_) log_disconnected(reason);
  if (admin_) return admin_->end(reason);
  controller_->detach_queue(binding_.qid, *handle_);
  io_->end();
}

void Session::digest_failed() {
  if (controller_) controller_->counters().digest_errors.fetch_add(1, std::memory_order_relaxed);
}

void Session::log_refusal(std::uint16_t qid, const nvme::Refusal& refusal, std::string_view why) {
  std::uint64_t left_out = 0;
  if (!target_.may_log_refusal(left_out)) return;
  const LinkInfo& link = port_.link();
  HostChange change = host_change(HostChange::What::refused);
  change.why = why;
  target_.tell_of_host(change);
  log_warn(
      "connect refused host={} peer={} local={} listener={} subsystem={} queue={} security={} "
      "status=\"{}\" reason=\"{}\" more={}",
      host_nqn_, link.peer_address, link.local_address, link.listener, subsystem_nqn_, qid,
      link.security, nvme::name_of(refusal.status), why, left_out);
}

void Session::log_connected() const {
  const LinkInfo& link = port_.link();
  if (!admin_) {
    return log_debug("queue connected host={} peer={} subsystem={} cntlid={} queue={} entries={}",
                     host_nqn_, link.peer_address, subsystem_nqn_, controller_->id().value,
                     binding_.qid, binding_.entries);
  }
  log_info(
      "host connected host={} peer={} local={} listener={} subsystem={} cntlid={} queues={} "
      "entries={} keep_alive_ms={} digests={} security={}",
      host_nqn_, link.peer_address, link.local_address, link.listener, subsystem_nqn_,
      controller_->id().value, controller_->subsystem().limits().max_io_queues, binding_.entries,
      controller_->association().keep_alive_ms, digests_of(link), controller_->security());
  if (controller_->subsystem().is_discovery()) return;
  controller_->remember_host_came();
  target_.tell_of_host(host_change(HostChange::What::connected));
}

void Session::log_disconnected(EndReason reason) const {
  const LinkInfo& link = port_.link();
  if (!admin_) {
    return log_debug(
        "queue disconnected host={} peer={} subsystem={} cntlid={} queue={} reason=\"{}\"",
        host_nqn_, link.peer_address, subsystem_nqn_, controller_->id().value, binding_.qid,
        text(reason));
  }
  log_info(
      "host disconnected host={} peer={} local={} listener={} subsystem={} cntlid={} queues={} "
      "security={} reason=\"{}\"",
      host_nqn_, link.peer_address, link.local_address, link.listener, subsystem_nqn_,
      controller_->id().value, controller_->most_io_queues(), controller_->security(),
      text(reason));
  if (controller_->subsystem().is_discovery()) return;
  controller_->remember_host_went(text(reason));
  HostChange change = host_change(HostChange::What::ended);
  change.end = reason;
  target_.tell_of_host(change);
}

HostChange Session::host_change(HostChange::What what) const {
  const LinkInfo& link = port_.link();
  return {.what = what,
          .protocol = "nvme-tcp",
          .host = host_nqn_,
          .exported = subsystem_nqn_,
          .peer = link.peer_address,
          .listener = link.listener,
          .security = controller_ ? controller_->security() : link.security};
}

}  // namespace target::nvmf
