// The life of a connection: start, silence, logout and other ends, and the numbers that every PDU
// carries.
#include "target/iscsi/connection.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "protocol/scsi/sense.h"
#include "target/iscsi/target.h"
#include "target/reactor/log.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
using engine::Duration;
using engine::Instant;

Connection::Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                       IscsiTarget& target, const ConnectionOptions& options)
    : PduConnection(registry, std::move(stream), options.listener,
                    {.output_bound_bytes = options.output_bound_bytes,
                     .buffer_ceiling_bytes = options.buffer_ceiling_bytes,
                     .stall_timeout = options.stall_timeout,
                     .linger = options.linger},
                    {.largest_header_bytes = iscsi::largest_pdu_header_bytes,
                     .introduction = "login",
                     .counted_as = WireProtocol::iscsi}),
      target_(target),
      options_(options),
      handle_(std::make_shared<ConnectionHandle>(*this, registry.reactor())),
      opened_(registry.reactor().clock().now()),
      logout_timer_([this] { logout_overdue(); }),
      silence_timer_([this] { look_for_silence(); }),
      last_heard_(opened_) {
  ended_tags_.fill(iscsi::no_tag);
}

Connection::~Connection() {
  CHECK(nexus_ == nullptr && entry_ == nullptr && slots_.outstanding() == 0);
}

iscsi::Sequence Connection::sequence(bool takes_stat_sn) {
  const std::uint32_t most = buffers().has_waiting() ? narrow_window : window_.depth();
  const std::uint32_t stat_sn = takes_stat_sn ? stat_sn_++ : stat_sn_;
  return {
      .stat_sn = stat_sn, .exp_cmd_sn = window_.expected(), .max_cmd_sn = window_.highest(most)};
}

void Connection::reject(iscsi::RejectReason reason) {
  if (ending()) return;
  append_pdu(iscsi::reject_data_bytes, [&](std::span<std::byte> space) {
    (void)iscsi::encode_reject(space, digests_, sequence(true), reason, header_);
  });
}

void Connection::fail(iscsi::RejectReason reason, std::string_view what, bool silently) {
  if (ending()) return;
  if (log_limit().allows(reactor().now())) {
    log_warn(
        "protocol error peer={} local={} listener={} initiator={} target={} what=\"{}\" more={}",
        link().peer_address, link().local_address, link().listener, initiator_name_, target_name_,
        what, log_limit().suppressed());
  }
  counters().protocol_errors.fetch_add(1, std::memory_order_relaxed);
  if (silently) return begin_end(EndReason::protocol_error, Phase::closed);
  reject(reason);
  begin_end(EndReason::protocol_error, Phase::draining);
}

std::optional<PduConnection::TimeLimit> Connection::time_limit() const {
  const auto limit = [](Instant since, Duration patience,
                        EndReason reason) -> std::optional<TimeLimit> {
    if (patience <= Duration{}) return std::nullopt;
    return TimeLimit{.at = since + patience, .reason = reason};
  };
  if (stage_ == Stage::login || stage_ == Stage::waiting_for_session) {
    return limit(opened_, options_.login_timeout, EndReason::login_timeout);
  }
  // Whatever it says shows that it is there.
  if (ping_outstanding_) {
    return limit(std::max(ping_sent_, last_heard_), options_.nop_timeout, EndReason::nop_timeout);
  }
  if (nexus_ == nullptr) {
    return limit(last_heard_, options_.discovery_timeout, EndReason::idle_timeout);
  }
  return std::nullopt;
}

// An initiator that has said nothing for a while is asked whether it is there (RFC 7143, 11.19):
// otherwise one whose machine has gone would keep its session, and what it has reserved, for ever.
void Connection::look_for_silence() {
  if (ending() || ping_outstanding_) return;
  const Instant now = reactor().now();
  if (now < last_heard_ + options_.nop_interval) {
    return reactor().timers().arm(silence_timer_, last_heard_ + options_.nop_interval);
  }
  ping_outstanding_ = true;
  ping_sent_ = now;
  // A tag of its own, so that an answer to an earlier ping is not taken for this one's.
  ping_tag_ = (ping_tag_ + 1) % iscsi::no_tag;
  append_pdu(0, [&](std::span<std::byte> space) {
    (void)iscsi::encode_nop_in_header(space, digests_, sequence(false),
                                      {.target_transfer_tag = ping_tag_});
  });
  watch_time_limit();
}

// open-iscsi looks for new units by itself then; the unit attention is for everybody else.
void Connection::lun_inventory_changed() {
  if (ending()) return;
  const auto sense = protocol::scsi::encode_sense(protocol::scsi::sense::luns_changed,
                                                  protocol::scsi::SenseFormat::fixed);
  append_pdu(iscsi::sense_length_bytes + sense.size, [&](std::span<std::byte> space) {
    (void)iscsi::encode_async_message(space, digests_, sequence(true),
                                      {.event = iscsi::AsyncEvent::scsi}, sense.span());
  });
}

void Connection::ask_for_logout(EndReason reason) {
  if (ending() || logout_timer_.armed()) return;
  if (stage_ != Stage::full_feature) return end(reason);
  logout_reason_ = reason;
  append_pdu(0, [&](std::span<std::byte> space) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(logout_patience).count();
    (void)iscsi::encode_async_message(space, digests_, sequence(true),
                                      {.event = iscsi::AsyncEvent::logout_request,
                                       .parameter3 = static_cast<std::uint16_t>(seconds)},
                                      {});
  });
  reactor().expire_after(logout_timer_, logout_patience);
}

// 11.9: whoever has not logged out in time is told that the connection goes, and how long to stay
// away.
void Connection::logout_overdue() {
  if (stage_ == Stage::full_feature && !ending()) {
    append_pdu(0, [&](std::span<std::byte> space) {
      (void)iscsi::encode_async_message(space, digests_, sequence(true),
                                        {.event = iscsi::AsyncEvent::connection_drop,
                                         .parameter1 = cid_,
                                         .parameter2 = parameters_.time2wait_s,
                                         .parameter3 = 0},
                                        {});
    });
  }
  end(logout_reason_);
}

void Connection::ended(EndReason reason) {
  handle_->owner_ended();
  silence_timer_.disarm();
  logout_timer_.disarm();
  data_slot_ = nullptr;
  arriving_ = Arriving::nothing;
  if (reason == EndReason::nop_timeout) target_.count_nop_timeout(initiator_name_);
  if (stage_ == Stage::full_feature || stage_ == Stage::logging_out) log_end(reason);
  stage_ = Stage::over;
  if (nexus_ == nullptr) return leave_table();
  // When the daemon stops, what the nexus has is answered first.
  if (reason != EndReason::stopping) {
    end_nexus();
  } else {
    nexus_->refuse_held_back();
  }
  slots_.for_each([this](TaskSlot& slot) {
    using State = TaskSlot::State;
    if (slot.state == State::unused || slot.state == State::executing) return;
    if (slot.state == State::arriving) return abandon(slot);
    give_up(slot, protocol::scsi::Status::busy);
  });
  if (with_nexus_ == 0) end_nexus();
}

// For calls from inside the nexus: in a later turn. It keeps this connection until then.
void Connection::end_nexus_soon() {
  if (nexus_ending_ || nexus_end_posted_) return;
  nexus_end_posted_ = true;
  reactor().post([this] { end_nexus(); });
}

void Connection::end_nexus() {
  if (nexus_ == nullptr || nexus_ending_) return;
  nexus_ending_ = true;
  nexus_->end([this] { nexus_ended(); });
}

// In a turn of its own. From here on another session may have this one's place.
void Connection::nexus_ended() {
  leave_table();
  nexus_.reset();
  command_ended();
  send_soon();
  if (stage_ == Stage::logging_out && !ending()) {
    answer_logout(iscsi::LogoutResponseCode::closed);
    begin_end(EndReason::logged_out, Phase::draining);
  }
}

void Connection::leave_table() {
  if (const auto entry = std::exchange(entry_, nullptr)) target_.session_ended(entry);
}

HostChange Connection::host_change(HostChange::What what) const {
  return {.what = what,
          .protocol = "iscsi",
          .host = initiator_name_,
          .exported = target_name_,
          .peer = link().peer_address,
          .listener = link().listener,
          .security = link().security};
}

void Connection::log_end(EndReason reason) {
  if (!target_name_.empty()) {
    HostChange change = host_change(HostChange::What::ended);
    change.end = reason;
    target_.tell_of_host(change);
  }
  if (!log_limit().allows(reactor().now())) return;
  log_info("session ended initiator={} target={} peer={} listener={} tsih={} reason=\"{}\" more={}",
           initiator_name_, target_name_.empty() ? "discovery" : target_name_, link().peer_address,
           link().listener, tsih_, text(reason), log_limit().suppressed());
}

}  // namespace target::iscsi
