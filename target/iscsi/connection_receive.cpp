// From received bytes to requests.
#include <algorithm>
#include <utility>
#include <variant>

#include "target/iscsi/connection.h"
#include "target/iscsi/target.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
using iscsi::RejectReason;

std::size_t Connection::take_header(std::span<const std::byte> bytes) {
  const auto decoded = decoder_.next(bytes);
  if (!decoded) {
    fail(decoded.error(), bytes);
    return bytes.size();
  }
  if (!decoded.value()) return 0;
  const iscsi::Pdu& pdu = *decoded.value();
  last_heard_ = reactor().now();
  std::ranges::copy(bytes.first<iscsi::bhs_bytes>(), header_.begin());
  arriving_ = Arriving::nothing;
  data_slot_ = nullptr;
  expect_data({.bytes = pdu.data_bytes,
               .padding = pdu.pad_bytes,
               .has_digest = pdu.data_digest_bytes != 0});
  std::visit([this](const auto& request) { take(request); }, pdu.header);
  return pdu.header_bytes;
}

// What is wrong with the form of a PDU ends the connection (RFC 7143, 7.7). A request before the
// login has its own answer (6.3).
void Connection::fail(const iscsi::PduError& error, std::span<const std::byte> bytes) {
  if (error.closes_silently()) {
    counters().header_digest_errors.fetch_add(1, std::memory_order_relaxed);
    if (!target_name_.empty()) target_.count_digest_error(initiator_name_);
  }
  if (stage_ == Stage::login && error.fault == iscsi::PduFault::login_expected) {
    return refuse_login(iscsi::LoginStatus::invalid_during_login, iscsi::text_of(error.fault));
  }
  const auto front = bytes.first(std::min(bytes.size(), iscsi::bhs_bytes));
  header_.fill(std::byte{0});
  std::ranges::copy(front, header_.begin());
  fail(error.reason, iscsi::text_of(error.fault), error.closes_silently());
}

void Connection::data_complete(bool digest_matches) {
  const Arriving what = std::exchange(arriving_, Arriving::nothing);
  TaskSlot* slot = std::exchange(data_slot_, nullptr);
  const bool of_task = what == Arriving::unsolicited_data || what == Arriving::solicited_data;
  if (of_task && slot == nullptr) return;  // it has ended meanwhile
  if (!digest_matches && what != Arriving::nothing && what != Arriving::refused_data) {
    if (!target_name_.empty()) target_.count_digest_error(initiator_name_);
    // 7.8: the PDU is discarded. That leaves a gap in CmdSN if it was a command, which at
    // ErrorRecoveryLevel 0 only a new session fills; of a Data-Out the task fails alone.
    if (!of_task) return fail(RejectReason::data_digest_error, "data digest");
    reject(RejectReason::data_digest_error);
    slot->failed = true;
  }
  switch (what) {
    case Arriving::nothing:
      return;
    case Arriving::login_text:
      return take_login(parcel_);
    case Arriving::text:
      return take_text(parcel_);
    case Arriving::ping:
      return answer_ping(parcel_);
    case Arriving::immediate_data:
      slot->arrived = pdu_data_bytes();
      return execute(*slot);
    case Arriving::unsolicited_data:
      return unsolicited_arrived(*slot);
    case Arriving::solicited_data:
      return solicited_arrived(*slot);
    case Arriving::refused_data:
      return send_back(*slot);
  }
}

void Connection::receive_parcel(Arriving what) {
  parcel_.resize(pdu_data_bytes());
  arriving_ = what;
  receive_into(parcel_.data());
}

bool Connection::in_order(std::uint32_t cmd_sn, bool immediate) {
  if (stage_ != Stage::full_feature) {
    reject(RejectReason::waiting_for_logout);
    return false;
  }
  if (immediate) return true;
  switch (window_.order_of(cmd_sn)) {
    case CommandWindow::Order::next:
      window_.took();
      return true;
    case CommandWindow::Order::outside:
      return false;
    case CommandWindow::Order::gap:
      // 4.2.2.1: on one connection commands come in order, so what is missing never comes.
      fail(RejectReason::protocol_error, "a CmdSN is missing");
      return false;
  }
  return false;
}

void Connection::take(const iscsi::NopOut& nop) {
  if (nop.initiator_task_tag == iscsi::no_tag) {
    // The answer to our ping, or a number for us to know: neither takes a CmdSN (11.18).
    if (ping_outstanding_ && nop.target_transfer_tag == ping_tag_) {
      ping_outstanding_ = false;
      reactor().timers().arm(silence_timer_, last_heard_ + options_.nop_interval);
    }
    return;
  }
  if (!in_order(nop.cmd_sn, nop.immediate)) return;
  ping_ = nop;
  if (pdu_data_bytes() == 0) return answer_ping({});
  if (pdu_data_bytes() > largest_parcel_bytes) return reject(RejectReason::long_operation_reject);
  receive_parcel(Arriving::ping);
}

void Connection::take(const iscsi::TextRequest& request) {
  if (!in_order(request.cmd_sn, request.immediate)) return;
  if (pdu_data_bytes() > largest_parcel_bytes) return reject(RejectReason::protocol_error);
  text_request_ = request;
  if (pdu_data_bytes() == 0) return take_text({});
  receive_parcel(Arriving::text);
}

void Connection::take(const iscsi::ScsiCommand& command) {
  if (!in_order(command.cmd_sn, command.immediate)) return;
  // 4.3: a discovery session is for SendTargets and its own end.
  if (nexus_ == nullptr) return reject(RejectReason::command_not_supported);
  if (slots_.find(command.initiator_task_tag) != nullptr) {
    return reject(RejectReason::task_in_progress);
  }
  if (slots_.full(command.immediate)) {
    // Others than immediate ones have their place by the window. To a host a Reject would be a
    // command that is never answered; so that is for what cannot be answered yet, because data is
    // still to come (11.4.2).
    if (!command.immediate) return reject(RejectReason::long_operation_reject);
    if (!command.final) return reject(RejectReason::immediate_command_reject);
    return answer_without_room(command);
  }
  TaskSlot& slot = slots_.take(command.initiator_task_tag, command.immediate);
  slot.in_window = !command.immediate;
  if (slot.in_window) window_.slot_taken();
  begin_command(slot, command);
}

void Connection::take(const iscsi::TaskManagementRequest& request) {
  if (!in_order(request.cmd_sn, request.immediate)) return;
  if (nexus_ == nullptr) return reject(RejectReason::command_not_supported);
  manage(request);
}

void Connection::take(const iscsi::DataOut& data) {
  if (stage_ != Stage::full_feature) return;
  if (nexus_ == nullptr) return reject(RejectReason::command_not_supported);
  if (data.target_transfer_tag != iscsi::no_tag) return take_solicited(data);
  TaskSlot* slot = slots_.find(data.initiator_task_tag);
  if (slot != nullptr && slot->unsolicited_open) return take_unsolicited(*slot, data);
  if (!has_ended_lately(data.initiator_task_tag)) reject(RejectReason::invalid_pdu_field);
}

void Connection::take(const iscsi::LogoutRequest& request) {
  if (!in_order(request.cmd_sn, request.immediate)) return;
  logout_tag_ = request.initiator_task_tag;
  switch (static_cast<iscsi::LogoutReason>(request.reason)) {
    case iscsi::LogoutReason::close_session:
      break;
    case iscsi::LogoutReason::close_connection:
      if (request.cid == cid_) break;
      return answer_logout(iscsi::LogoutResponseCode::no_such_cid);
    case iscsi::LogoutReason::remove_for_recovery:
      return answer_logout(iscsi::LogoutResponseCode::recovery_not_supported);
    default:
      return reject(RejectReason::invalid_pdu_field);
  }
  // 11.14: its tasks end before the answer.
  if (nexus_ != nullptr) {
    stage_ = Stage::logging_out;
    return end_nexus();
  }
  answer_logout(iscsi::LogoutResponseCode::closed);
  begin_end(EndReason::logged_out, Phase::draining);
}

// ErrorRecoveryLevel 0: nothing is kept that could be sent again (11.16).
void Connection::take(const iscsi::SnackRequest& /*snack*/) { reject(RejectReason::snack_reject); }

void Connection::take(const iscsi::UnknownRequest& /*request*/) {
  reject(RejectReason::command_not_supported);
}

}  // namespace target::iscsi
