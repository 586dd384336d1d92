// Requests that are no SCSI commands: pings, text, task management, logout.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "protocol/iscsi/discovery.h"
#include "target/iscsi/connection.h"
#include "target/iscsi/target.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
using iscsi::RejectReason;
using iscsi::TaskFunction;
using iscsi::TaskResponse;

// 11.19: the same data, as far as the initiator takes it in one PDU.
void Connection::answer_ping(std::span<const std::byte> data) {
  const auto back =
      data.first(std::min<std::size_t>(data.size(), parameters_.send_data_segment_bytes));
  const auto bytes = static_cast<std::uint32_t>(back.size());
  append_pdu(back.size(), [&](std::span<std::byte> space) {
    const std::size_t header = iscsi::encode_nop_in_header(
        space, digests_, sequence(true),
        {.lun = ping_.lun, .initiator_task_tag = ping_.initiator_task_tag, .data_bytes = bytes});
    std::ranges::copy(back, space.subspan(header).begin());
    iscsi::DataDigest digest;
    if (digests_.data) digest.update(back);
    (void)iscsi::encode_data_trailer(space.subspan(header + back.size()), digests_, bytes, digest);
  });
}

// One exchange at a time: a request without our tag begins a new one (11.10.4).
void Connection::take_text(std::span<const std::byte> text) {
  if (text_request_.target_transfer_tag == iscsi::no_tag) {
    gatherer_.clear();
    text_state_ = TextState::idle;
  } else if (text_state_ == TextState::idle || text_request_.target_transfer_tag != text_tag_) {
    return reject(RejectReason::protocol_error);
  } else if (text_state_ == TextState::answering) {
    if (text.empty()) return send_text();
    text_state_ = TextState::idle;
    return reject(RejectReason::protocol_error);
  }
  if (!gatherer_.add(text)) {
    gatherer_.clear();
    text_state_ = TextState::idle;
    return reject(RejectReason::protocol_error);
  }
  if (text_request_.continues) {
    text_state_ = TextState::gathering;
    pieces_ = {};
    return send_text();
  }
  answer_text();
}

void Connection::answer_text() {
  iscsi::TextWriter answer;
  negotiation_->begin_text();
  for (iscsi::TextReader reader(gatherer_.text());;) {
    const auto pair = reader.next();
    if (!pair || (pair.value() && !answer_pair(*pair.value(), answer))) {
      gatherer_.clear();
      text_state_ = TextState::idle;
      return reject(RejectReason::protocol_error);
    }
    if (!pair.value()) break;
  }
  gatherer_.clear();
  // What one end declares anew holds from here on (13.12).
  parameters_.send_data_segment_bytes = negotiation_->parameters().send_data_segment_bytes;
  pieces_ = iscsi::TextPieces(std::string(answer.text()));
  text_state_ = TextState::answering;
  text_is_final_ = text_request_.final;
  send_text();
}

// False: the exchange has failed.
bool Connection::answer_pair(const iscsi::KeyValue& pair, iscsi::TextWriter& answer) {
  if (pair.key != "SendTargets") {
    return !negotiation_->take(pair, iscsi::NegotiationPhase::full_feature, answer);
  }
  using Scope = iscsi::SendTargets::Scope;
  const bool discovery = target_name_.empty();
  const auto asked = iscsi::parse_send_targets(
      pair.value, discovery ? iscsi::SessionType::discovery : iscsi::SessionType::normal);
  // Appendix C: a normal session may ask for its own target only.
  if (!asked || (asked->scope == Scope::named && !discovery && asked->name != target_name_)) {
    answer.add(pair.key, iscsi::value_reject);
    return true;
  }
  std::string_view only;
  if (asked->scope == Scope::named) only = asked->name;
  if (asked->scope == Scope::session) only = target_name_;
  target_.write_targets(answer, initiator_name_, link(), only);
  return true;
}

// The next piece of the answer; where the initiator's text or the answer goes on, with a tag for
// the next request (11.11.4).
void Connection::send_text() {
  const std::size_t most =
      std::min<std::size_t>(parameters_.send_data_segment_bytes, largest_text_piece_bytes);
  const auto piece = pieces_.take(most);
  const bool more = pieces_.more();
  const bool final = text_state_ == TextState::answering && !more && text_is_final_;
  if (text_state_ == TextState::answering && !more) {
    // Not final: the initiator has more to say, in the same exchange.
    text_state_ = final ? TextState::idle : TextState::gathering;
  }
  if (!final) text_tag_ = (text_tag_ + 1) % iscsi::no_tag;
  append_pdu(piece.size(), [&](std::span<std::byte> space) {
    (void)iscsi::encode_text_response(space, digests_, sequence(true),
                                      {.lun = text_request_.lun,
                                       .initiator_task_tag = text_request_.initiator_task_tag,
                                       .target_transfer_tag = final ? iscsi::no_tag : text_tag_,
                                       .final = final,
                                       .continues = more},
                                      piece);
  });
}

namespace {

std::optional<scsi::ManagementFunction> function_of(std::uint8_t function) {
  using Function = scsi::ManagementFunction;
  switch (static_cast<TaskFunction>(function)) {
    case TaskFunction::abort_task:
      return Function::abort_task;
    case TaskFunction::abort_task_set:
      return Function::abort_task_set;
    case TaskFunction::clear_aca:
      return Function::clear_aca;
    case TaskFunction::clear_task_set:
      return Function::clear_task_set;
    case TaskFunction::logical_unit_reset:
      return Function::logical_unit_reset;
    case TaskFunction::target_warm_reset:
      return Function::target_warm_reset;
    case TaskFunction::target_cold_reset:
      return Function::target_cold_reset;
    case TaskFunction::task_reassign:
      return Function::task_reassign;
    case TaskFunction::query_task:
    case TaskFunction::query_task_set:
    case TaskFunction::i_t_nexus_reset:
    case TaskFunction::query_asynchronous_event:
      break;  // RFC 7144's, only with iSCSIProtocolLevel 2
  }
  return std::nullopt;
}

// 11.6.1.
TaskResponse response_of(scsi::ManagementResponse response, std::uint8_t function) {
  switch (response) {
    case scsi::ManagementResponse::complete:
      return TaskResponse::complete;
    case scsi::ManagementResponse::no_task:
      return TaskResponse::task_does_not_exist;
    case scsi::ManagementResponse::no_lun:
      return TaskResponse::lun_does_not_exist;
    case scsi::ManagementResponse::not_supported:
      break;
  }
  return static_cast<TaskFunction>(function) == TaskFunction::task_reassign
             ? TaskResponse::reassign_not_supported
             : TaskResponse::not_supported;
}

}  // namespace

void Connection::manage(const iscsi::TaskManagementRequest& request) {
  const auto function = function_of(request.function);
  if (!function) return answer_management(request.initiator_task_tag, TaskResponse::not_supported);
  const scsi::ManagementRequest asked{
      .function = *function, .lun = {request.lun}, .tag = request.referenced_task_tag};
  nexus_->manage(asked, [this, request](scsi::ManagementResponse response) {
    if (!may_answer()) return;
    TaskResponse answer = response_of(response, request.function);
    // 11.5.1: a command that has not come, though it was sent before this one, counts as aborted;
    // its CmdSN as received.
    if (answer == TaskResponse::task_does_not_exist && request.ref_cmd_sn == window_.expected() &&
        is_behind(request.cmd_sn, request.ref_cmd_sn)) {
      window_.took();
      answer = TaskResponse::complete;
    }
    answer_management(request.initiator_task_tag, answer);
    if (static_cast<TaskFunction>(request.function) == TaskFunction::target_cold_reset &&
        answer == TaskResponse::complete) {
      target_.end_sessions_of(target_name_, EndReason::target_reset);
    }
  });
}

void Connection::answer_management(std::uint32_t tag, TaskResponse response) {
  append_pdu(0, [&](std::span<std::byte> space) {
    (void)iscsi::encode_task_management_response(space, digests_, sequence(true),
                                                 {.initiator_task_tag = tag, .response = response});
  });
}

void Connection::answer_logout(iscsi::LogoutResponseCode response) {
  append_pdu(0, [&](std::span<std::byte> space) {
    (void)iscsi::encode_logout_response(space, digests_, sequence(true),
                                        {.initiator_task_tag = logout_tag_,
                                         .response = response,
                                         .time2wait_s = parameters_.time2wait_s,
                                         .time2retain_s = 0});
  });
}

}  // namespace target::iscsi
