// The session's referee: what a target may send in full feature phase. RFC 7143,
// sections 4.2, 11.4, 11.7, 11.8 and 11.17.
#include <fmt/format.h>

#include <algorithm>

#include "tests/client/iscsi_session.h"

namespace client::iscsi {
namespace {

constexpr std::uint8_t status_bit = 0x01;     // of Data-In
constexpr std::uint8_t underflow_bit = 0x02;  // of Data-In and of the response
constexpr std::uint8_t overflow_bit = 0x04;
constexpr std::uint8_t bidirectional_bits = 0x18;

bool before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

// Data-In without status, R2T and the target's own NOP-In do not count StatSN up.
bool advances_stat_sn(const ReceivedPdu& pdu) {
  switch (pdu.opcode()) {
    case Opcode::r2t:
      return false;
    case Opcode::data_in:
      return (pdu.byte(1) & status_bit) != 0;
    case Opcode::nop_in:
      return pdu.u32(at::task_tag) != no_tag;
    default:
      return true;
  }
}

}  // namespace

Result<void> Session::step(Milliseconds time_out) {
  TRY(auto pdu, connection_->receive(time_out));
  if (!pdu.data_digest_ok) return violation("wrong data digest", pdu);
  if (pdu.data.size() > options_.parameters.receive_segment) {
    return violation("more data than MaxRecvDataSegmentLength", pdu);
  }
  TRY(take_numbers(pdu));
  switch (pdu.opcode()) {
    case Opcode::scsi_response:
      return take_response(pdu);
    case Opcode::data_in:
      return take_data_in(pdu);
    case Opcode::r2t:
      return take_r2t(pdu);
    case Opcode::nop_in:
      return take_nop_in(pdu);
    case Opcode::async_message:
      async_messages_.push_back(std::move(pdu));
      return engine::success();
    case Opcode::task_management_response:
    case Opcode::text_response:
    case Opcode::logout_response: {
      const std::uint32_t task_tag = pdu.u32(at::task_tag);
      if (std::ranges::find(asked_, task_tag) == asked_.end()) {
        return violation("an answer nobody asked for", pdu);
      }
      answers_.emplace(task_tag, std::move(pdu));
      return engine::success();
    }
    case Opcode::reject:
      return Error{ErrorKind::refused,
                   fmt::format("Reject, reason {:02x}h, of {}", pdu.byte(2), to_hex(pdu.data))};
    default:
      return violation("no PDU of a target in full feature phase", pdu);
  }
}

Result<void> Session::take_numbers(const ReceivedPdu& pdu) {
  const std::uint32_t stat_sn = pdu.u32(at::stat_sn);
  // Data-In without status has the field reserved; R2T and such a NOP-In tell the next one.
  if (!pdu.is(Opcode::data_in) || (pdu.byte(1) & status_bit) != 0) {
    if (stat_sn != expected_stat_sn_) {
      return violation(fmt::format("StatSN {:x} where {:x} was due", stat_sn, expected_stat_sn_),
                       pdu);
    }
    if (advances_stat_sn(pdu)) ++expected_stat_sn_;
  }
  const std::uint32_t expected = pdu.u32(at::expected_command_sn);
  const std::uint32_t most = pdu.u32(at::max_command_sn);
  if (before(command_sn_, expected)) return violation("ExpCmdSN of what was never sent", pdu);
  // Section 4.2.2.1: a pair that is out of order is to be ignored; over one connection none is.
  if (before(expected, expected_command_sn_)) return violation("ExpCmdSN goes back", pdu);
  if (before(most, max_command_sn_)) return violation("MaxCmdSN goes back", pdu);
  if (before(most, expected - 1)) return violation("MaxCmdSN below ExpCmdSN - 1", pdu);
  expected_command_sn_ = expected;
  max_command_sn_ = most;
  return engine::success();
}

Result<void> Session::take_residual(const ReceivedPdu& pdu, Flight& flight) {
  const std::uint8_t flags = pdu.byte(1) & (underflow_bit | overflow_bit);
  if (flags == (underflow_bit | overflow_bit)) return violation("underflow and overflow", pdu);
  const std::uint32_t residual = pdu.u32(at::residual);
  if (flags == underflow_bit) flight.so_far.underflow = residual;
  if (flags == overflow_bit) flight.so_far.overflow = residual;
  if (flight.task.read_bytes != 0 && flight.so_far.status == 0) {
    const std::size_t received = flight.so_far.data.size() + flight.so_far.underflow;
    if (received != flight.expected_bytes) {
      return violation(
          fmt::format("{} of {} bytes came, and the residual says {}", flight.so_far.data.size(),
                      flight.expected_bytes, flight.so_far.underflow),
          pdu);
    }
  }
  return engine::success();
}

Result<void> Session::take_response(const ReceivedPdu& pdu) {
  const auto found = tasks_.find(pdu.u32(at::task_tag));
  if (found == tasks_.end()) return violation("a response to no task", pdu);
  Flight& flight = found->second;
  if (!pdu.final()) return violation("a response without the F bit", pdu);
  if ((pdu.byte(1) & bidirectional_bits) != 0) return violation("bidirectional residual", pdu);
  flight.so_far.response = pdu.byte(2);
  flight.so_far.status = pdu.byte(3);
  TRY(take_residual(pdu, flight));
  if (flight.task.read_bytes != 0 && pdu.u32(at::data_sn) != flight.expected_data_sn) {
    return violation("ExpDataSN is not the number of Data-In PDUs", pdu);
  }
  // SenseLength and sense (section 11.4.7.2).
  if (pdu.data.size() >= 2) {
    const std::size_t sense = get_big(pdu.data, 0, 2);
    if (sense + 2 > pdu.data.size()) return violation("sense data that is not there", pdu);
    flight.so_far.sense.assign(pdu.data.begin() + 2,
                               pdu.data.begin() + 2 + static_cast<std::ptrdiff_t>(sense));
  }
  constexpr std::uint8_t check_condition = 2;
  if (flight.so_far.response == 0 &&
      (flight.so_far.status == check_condition) != !flight.so_far.sense.empty()) {
    return violation("CHECK CONDITION and sense data contradict each other", pdu);
  }
  completed_.push_back(std::move(flight.so_far));
  tasks_.erase(found);
  return engine::success();
}

Result<void> Session::take_data_in(const ReceivedPdu& pdu) {
  const auto found = tasks_.find(pdu.u32(at::task_tag));
  if (found == tasks_.end()) return violation("data for no task", pdu);
  Flight& flight = found->second;
  if (flight.task.read_bytes == 0) return violation("data for a task that does not read", pdu);
  if (pdu.u32(at::data_sn) != flight.expected_data_sn++) {
    return violation("DataSN out of sequence", pdu);
  }
  // DataPDUInOrder and DataSequenceInOrder were agreed on.
  if (pdu.u32(at::buffer_offset) != flight.so_far.data.size()) {
    return violation("data out of order", pdu);
  }
  if (flight.so_far.data.size() + pdu.data.size() > flight.expected_bytes) {
    return violation("more data than was expected", pdu);
  }
  flight.burst_bytes += static_cast<std::uint32_t>(pdu.data.size());
  if (flight.burst_bytes > login_.agreed.max_burst) return violation("over MaxBurstLength", pdu);
  if (pdu.final()) flight.burst_bytes = 0;
  flight.so_far.data.insert(flight.so_far.data.end(), pdu.data.begin(), pdu.data.end());
  ++flight.so_far.data_in_pdus;
  if ((pdu.byte(1) & status_bit) == 0) {
    if ((pdu.byte(1) & (underflow_bit | overflow_bit)) != 0) {
      return violation("a residual without status", pdu);
    }
    return engine::success();
  }
  if (!pdu.final()) return violation("status without the F bit", pdu);
  flight.so_far.collapsed = true;
  flight.so_far.status = pdu.byte(3);
  constexpr std::uint8_t check_condition = 2;
  if (flight.so_far.status == check_condition) return violation("no room for sense data", pdu);
  TRY(take_residual(pdu, flight));
  completed_.push_back(std::move(flight.so_far));
  tasks_.erase(found);
  return engine::success();
}

Result<void> Session::take_r2t(const ReceivedPdu& pdu) {
  const auto found = tasks_.find(pdu.u32(at::task_tag));
  if (found == tasks_.end()) return violation("R2T for no task", pdu);
  Flight& flight = found->second;
  const R2t r2t{.task_tag = found->first,
                .transfer_tag = pdu.u32(at::transfer_tag),
                .offset = pdu.u32(at::buffer_offset),
                .bytes = pdu.u32(at::residual)};
  if (flight.task.data_out.empty()) return violation("R2T for a task that does not write", pdu);
  if (r2t.transfer_tag == no_tag) return violation("R2T with the reserved tag", pdu);
  if (pdu.u32(at::data_sn) != flight.expected_r2t_sn++) return violation("R2TSN", pdu);
  if (r2t.bytes == 0 || r2t.bytes > login_.agreed.max_burst) {
    return violation("R2T over MaxBurstLength, or for nothing", pdu);
  }
  if (r2t.offset != flight.requested_bytes) return violation("R2T out of order", pdu);
  if (r2t.offset + std::uint64_t{r2t.bytes} > flight.expected_bytes) {
    return violation("R2T for more than the command has", pdu);
  }
  if (++flight.open_r2ts > login_.agreed.max_outstanding_r2t) {
    return violation("more than MaxOutstandingR2T", pdu);
  }
  flight.requested_bytes += r2t.bytes;
  ++flight.so_far.r2ts;
  if (flight.task.hold_data) {
    flight.held.push_back(r2t);
    return engine::success();
  }
  return answer(r2t);
}

Result<void> Session::take_nop_in(const ReceivedPdu& pdu) {
  const std::uint32_t task_tag = pdu.u32(at::task_tag);
  const std::uint32_t transfer_tag = pdu.u32(at::transfer_tag);
  if (task_tag != no_tag) {
    if (std::ranges::find(asked_, task_tag) == asked_.end()) {
      return violation("a NOP-In nobody asked for", pdu);
    }
    answers_.emplace(task_tag, pdu);
    return engine::success();
  }
  if (!pdu.data.empty()) return violation("a NOP-In of the target's own with data", pdu);
  if (transfer_tag == no_tag) return engine::success();  // only tells the window
  Pdu answer(Opcode::nop_out);
  answer = numbered(std::move(answer.immediate()), no_tag);
  answer.u64(at::lun, pdu.u64(at::lun)).u32(at::transfer_tag, transfer_tag);
  ++pings_answered_;
  return connection_->send(answer, options_.time_out);
}

}  // namespace client::iscsi
