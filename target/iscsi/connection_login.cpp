// Login on the wire: what the state machine of protocol/iscsi asks for and answers, and the session
// that comes of it.
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "target/iscsi/connection.h"
#include "target/iscsi/target.h"
#include "target/reactor/log.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
using iscsi::LoginNext;
using iscsi::LoginStatus;

namespace {

iscsi::NegotiationLimits limits_of(const ConnectionOptions& options) {
  iscsi::NegotiationLimits limits;
  limits.header_digest = options.header_digest;
  limits.data_digest = options.data_digest;
  limits.initial_r2t = options.initial_r2t;
  limits.immediate_data = options.immediate_data;
  limits.receive_data_segment_bytes = options.max_receive_bytes;
  limits.first_burst_bytes = std::min(options.first_burst_bytes, largest_first_burst_bytes);
  limits.max_burst_bytes = options.max_burst_bytes;
  limits.max_outstanding_r2t = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(options.max_outstanding_r2t, 1, HostTransfer::most_windows));
  return limits;
}

// Of the kernel's generator: who can foresee a challenge can answer with what was heard before.
iscsi::LoginChallenge make_challenge() {
  iscsi::LoginChallenge challenge;
  CHECK(::getrandom(challenge.bytes.data(), challenge.bytes.size(), 0) ==
        static_cast<ssize_t>(challenge.bytes.size()));
  CHECK(::getrandom(&challenge.identifier, sizeof(challenge.identifier), 0) ==
        static_cast<ssize_t>(sizeof(challenge.identifier)));
  return challenge;
}

const char* text_of(iscsi::Login::Proof proof) {
  switch (proof) {
    case iscsi::Login::Proof::none:
      return "none";
    case iscsi::Login::Proof::chap:
      return "CHAP";
    case iscsi::Login::Proof::mutual_chap:
      return "mutual CHAP";
  }
  return "unknown";
}

std::uint64_t number_of(const iscsi::Isid& isid) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : isid) number = number << 8 | byte;
  return number;
}

}  // namespace

void Connection::begin() {
  login_ = std::make_unique<iscsi::Login>(
      limits_of(options_), static_cast<iscsi::LoginPolicy&>(*this), make_challenge());
  start();
}

iscsi::LoginAdmission Connection::admit(const iscsi::LoginIdentity& identity) {
  return target_.admit(identity, link(), refused_because_);
}

void Connection::take(const iscsi::LoginRequest& request) {
  if (stage_ != Stage::login) {
    return fail(iscsi::RejectReason::protocol_error, "a Login Request while its answer is due");
  }
  login_request_ = request;
  if (!window_begun_) {
    window_begun_ = true;
    window_.begin(request.cmd_sn, std::clamp(options_.queue_depth, 1U, TaskSlots::most_depth));
  }
  if (pdu_data_bytes() == 0) return take_login({});
  receive_parcel(Arriving::login_text);
}

void Connection::take_login(std::span<const std::byte> text) {
  follow(login_->take(login_request_, text));
}

void Connection::follow(const iscsi::LoginStep& step) {
  switch (step.next) {
    case LoginNext::await_request:
      return send_login(step);
    case LoginNext::wants_session:
      return make_session();
    case LoginNext::full_feature:
      send_login(step);
      return begin_full_feature();
    case LoginNext::close:
      send_login(step);
      target_.count_refusal(step.response.status, login_->initiator_name());
      log_refusal(step.response.status, why_login_failed());
      return begin_end(EndReason::refused, Phase::draining);
  }
}

void Connection::send_login(const iscsi::LoginStep& step) {
  append_pdu(step.text.size(), [&](std::span<std::byte> space) {
    (void)iscsi::encode_login_response(space, sequence(true), step.response, step.text);
  });
}

void Connection::refuse_login(LoginStatus status, std::string_view why) {
  refused_because_ = why;
  follow(login_->fail(status));
}

void Connection::make_session() {
  const SessionKey key{.target = login_->target_name(),
                       .initiator = login_->initiator_name(),
                       .isid = login_->isid(),
                       .portal_group = login_->portal_group()};
  if (login_->tsih() != 0) {
    return refuse_login(target_.refuse_to_join(key, login_->tsih()),
                        "a session has one connection here");
  }
  entry_ = std::make_shared<SessionEntry>(key, link(), handle_);
  const IscsiTarget::Start started = target_.begin_session(entry_, link(), refused_because_);
  if (started.status != LoginStatus::success) {
    entry_ = nullptr;
    return follow(login_->fail(started.status));
  }
  stage_ = Stage::waiting_for_session;
  if (!started.waits) session_admitted();
}

void Connection::session_admitted() {
  if (ending() || stage_ != Stage::waiting_for_session) return;
  if (!login_->target_name().empty()) {
    device_ = target_.device_of(login_->target_name());
    if (device_ == nullptr) {
      leave_table();
      return refuse_login(LoginStatus::target_removed, text(Access::no_target));
    }
  }
  follow(login_->finish(entry_->tsih));
}

void Connection::begin_full_feature() {
  stage_ = Stage::full_feature;
  parameters_ = login_->parameters();
  negotiation_.emplace(login_->negotiation());
  initiator_name_ = login_->initiator_name();
  target_name_ = login_->target_name();
  tsih_ = entry_->tsih;
  cid_ = login_->cid();
  digests_ = parameters_.digests;
  decoder_.establish(digests_, parameters_.receive_data_segment_bytes);
  wire_link().header_digest = digests_.header;
  wire_link().data_digest = digests_.data;
  wire_link().security = text_of(login_->proof());
  slots_.begin(window_.depth());
  if (device_ != nullptr) {
    scsi::NexusIdentity identity;
    identity.initiator = initiator_name_;
    std::ranges::transform(entry_->key.isid, identity.isid.begin(),
                           [](std::uint8_t byte) { return std::byte{byte}; });
    identity.target_port = entry_->key.portal_group;
    nexus_ = std::make_unique<scsi::Nexus>(std::exchange(device_, nullptr), identity,
                                           static_cast<scsi::TaskPort&>(*this),
                                           static_cast<scsi::NexusObserver&>(*this));
    command_began();  // the connection stays until its nexus has ended
  }
  SessionSnapshot shown;
  shown.target_name = target_name_;
  shown.discovery = nexus_ == nullptr;
  shown.initiator_name = initiator_name_;
  shown.initiator_alias = login_->initiator_alias();
  shown.isid = number_of(entry_->key.isid);
  shown.tsih = entry_->tsih;
  shown.portal_group = entry_->key.portal_group;
  shown.listener = link().listener;
  shown.peer_address = link().peer_address;
  shown.local_address = link().local_address;
  shown.header_digest = digests_.header;
  shown.data_digest = digests_.data;
  shown.authentication = link().security;
  shown.queue_depth = window_.depth();
  target_.session_opened(*entry_, [shown, nexus = nexus_.get(), since = reactor().clock().now(),
                                   &clock = reactor().clock()] {
    SessionSnapshot snapshot = shown;
    snapshot.connected_for = clock.now().since_start - since.since_start;
    if (nexus != nullptr) snapshot.counts = nexus->counts();
    return snapshot;
  });
  login_.reset();
  parcel_ = {};
  last_heard_ = reactor().now();
  settle();
  if (nexus_ != nullptr && options_.nop_interval > engine::Duration{}) {
    reactor().timers().arm(silence_timer_, last_heard_ + options_.nop_interval);
  }
  if (!target_name_.empty()) target_.tell_of_host(host_change(HostChange::What::connected));
  if (!log_limit().allows(reactor().now())) return;
  log_info(
      "session begins initiator={} target={} peer={} listener={} tsih={} security={} "
      "header_digest={} data_digest={} more={}",
      initiator_name_, target_name_.empty() ? "discovery" : target_name_, link().peer_address,
      link().listener, entry_->tsih, link().security, digests_.header, digests_.data,
      log_limit().suppressed());
}

std::string Connection::why_login_failed() const {
  const auto fault = login_->fault();
  if (!fault || *fault == iscsi::LoginFault::refused) return refused_because_;
  std::string why(iscsi::text_of(*fault));
  if (const auto error = login_->text_error()) why += ": " + std::string(iscsi::text_of(*error));
  if (const auto error = login_->negotiation_fault()) {
    why += ": " + std::string(iscsi::text_of(*error));
  }
  if (const auto error = login_->chap_fault()) {
    why += ": " + std::string(protocol::auth::text_of(*error));
  }
  return why;
}

void Connection::log_refusal(LoginStatus status, std::string_view why) {
  std::uint64_t left_out = 0;
  if (!target_.may_log_refusal(left_out)) return;
  HostChange change = host_change(HostChange::What::refused);
  change.host = login_->initiator_name();
  change.exported = login_->target_name();
  change.why = why;
  target_.tell_of_host(change);
  log_warn(
      "login refused initiator={} target={} peer={} local={} listener={} status={:#06x} "
      "reason=\"{}\" more={}",
      login_->initiator_name(), login_->target_name().empty() ? "discovery" : login_->target_name(),
      link().peer_address, link().local_address, link().listener, static_cast<unsigned>(status),
      why, left_out);
}

}  // namespace target::iscsi
