#include "tests/client/iscsi_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace client::iscsi {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::uint8_t read_bit = 0x40;
constexpr std::uint8_t write_bit = 0x20;
constexpr std::size_t cdb_bytes = 16;
constexpr int most_texts = 1024;

Milliseconds left_until(SteadyClock::time_point deadline) {
  return std::max(Milliseconds{0}, std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now()));
}

}  // namespace

std::uint64_t lun_field(std::uint16_t lun) {
  constexpr std::uint64_t flat = std::uint64_t{0x40} << 56;
  const std::uint64_t number = std::uint64_t{lun} << 48;
  return lun < 256 ? number : number | flat;
}

std::uint8_t Outcome::sense_key() const {
  if (sense.size() < 3) return 0;
  const bool descriptor = (static_cast<unsigned>(sense[0]) & 0x7f) >= 0x72;
  return static_cast<std::uint8_t>(sense[descriptor ? 1 : 2]) & 0x0f;
}

std::uint16_t Outcome::additional_sense() const {
  if (sense.size() < 8) return 0;
  const bool descriptor = (static_cast<unsigned>(sense[0]) & 0x7f) >= 0x72;
  const std::size_t at = descriptor ? 2 : 12;
  return at + 2 <= sense.size() ? static_cast<std::uint16_t>(get_big(sense, at, 2))
                                : std::uint16_t{0};
}

std::string Outcome::describe() const {
  return fmt::format(
      "task {:x}: response {} status {:02x}h sense {:x}/{:04x}h, {} bytes in, "
      "underflow {} overflow {}",
      task_tag, response, status, sense_key(), additional_sense(), data.size(), underflow,
      overflow);
}

Result<std::unique_ptr<Session>> Session::open(const LoginOptions& options) {
  TRY(auto connection, Connection::connect(options.endpoint, options.time_out));
  TRY(const Login login, log_in(*connection, options));
  if (!login.status.ok()) {
    return Error{ErrorKind::refused, "login status " + login.status.text()};
  }
  return std::make_unique<Session>(std::move(connection), options, login);
}

Session::Session(std::unique_ptr<Connection> connection, const LoginOptions& options,
                 const Login& login)
    : connection_(std::move(connection)),
      options_(options),
      login_(login),
      command_sn_(login.command_sn),
      expected_stat_sn_(login.stat_sn + 1),
      expected_command_sn_(login.expected_command_sn),
      max_command_sn_(login.max_command_sn) {}

Pdu Session::numbered(Pdu pdu, std::uint32_t task_tag) const {
  return pdu.u32(at::task_tag, task_tag)
      .u32(at::command_sn, command_sn_)
      .u32(at::expected_stat_sn, expected_stat_sn_);
}

Result<std::uint32_t> Session::submit(Task task) {
  if (task.cdb.size() > cdb_bytes) return Error{ErrorKind::misuse, "a CDB of over 16 bytes"};
  if (!task.data_out.empty() && task.read_bytes != 0) {
    return Error{ErrorKind::misuse, "a bidirectional command"};
  }
  // A host that keeps the rules waits for the window (section 4.2.2.1).
  const auto deadline = SteadyClock::now() + options_.time_out;
  while (!task.immediate && !task.command_sn &&
         static_cast<std::int32_t>(max_command_sn_ - command_sn_) < 0) {
    if (SteadyClock::now() > deadline) return Error{ErrorKind::time_out, "the window is closed"};
    TRY(step(left_until(deadline)));
  }
  const std::uint32_t task_tag = new_task_tag();
  const bool writes = !task.data_out.empty();
  const auto data_bytes = static_cast<std::uint32_t>(task.data_out.size());
  Flight flight;
  flight.task = std::move(task);
  flight.so_far.task_tag = task_tag;
  flight.expected_bytes =
      flight.task.expected_bytes.value_or(writes ? data_bytes : flight.task.read_bytes);
  const Parameters& agreed = login_.agreed;
  const std::uint32_t unsolicited =
      std::min({data_bytes, flight.expected_bytes, agreed.first_burst});
  std::uint32_t with_command = 0;
  if (agreed.immediate_data && flight.task.with_immediate_data) {
    with_command = std::min(unsolicited, agreed.send_segment);
  }
  const bool more =
      !agreed.initial_r2t && flight.task.with_unsolicited_data && with_command < unsolicited;
  const int flags = (more ? 0 : final_bit) | (writes ? write_bit : 0) |
                    (flight.task.read_bytes != 0 ? read_bit : 0) | flight.task.attribute;
  Pdu pdu(Opcode::scsi_command, static_cast<std::uint8_t>(flags));
  if (flight.task.immediate) pdu.immediate();
  pdu = numbered(std::move(pdu), task_tag);
  if (flight.task.command_sn) pdu.u32(at::command_sn, *flight.task.command_sn);
  if (!flight.task.immediate && !flight.task.command_sn) ++command_sn_;
  pdu.u64(at::lun, flight.task.lun).u32(20, flight.expected_bytes);
  for (std::size_t i = 0; i < flight.task.cdb.size(); ++i) {
    pdu.byte(32 + i, static_cast<std::uint8_t>(flight.task.cdb[i]));
  }
  pdu.data.assign(flight.task.data_out.begin(), flight.task.data_out.begin() + with_command);
  pdu.data_digest_flip = flight.task.data_digest_flip;
  flight.requested_bytes = more ? unsolicited : with_command;
  TRY(connection_->send(pdu, options_.time_out));
  if (more) {
    TRY(send_data_pdus(flight, task_tag, no_tag, with_command, unsolicited - with_command, true));
  }
  tasks_.emplace(task_tag, std::move(flight));
  return task_tag;
}

Result<void> Session::send_data_pdus(const Flight& flight, std::uint32_t task_tag,
                                     std::uint32_t transfer_tag, std::uint32_t offset,
                                     std::uint32_t bytes, bool last) {
  std::uint32_t data_sn = 0;
  while (bytes > 0) {
    const std::uint32_t piece = std::min(bytes, login_.agreed.send_segment);
    bytes -= piece;
    Pdu pdu(Opcode::data_out, bytes == 0 && last ? final_bit : 0);
    pdu.u64(at::lun, flight.task.lun)
        .u32(at::task_tag, task_tag)
        .u32(at::transfer_tag, transfer_tag)
        .u32(at::expected_stat_sn, expected_stat_sn_)
        .u32(at::data_sn, data_sn++)
        .u32(at::buffer_offset, offset);
    pdu.data.resize(piece);
    if (offset < flight.task.data_out.size()) {
      const std::size_t known = std::min<std::size_t>(piece, flight.task.data_out.size() - offset);
      std::copy_n(flight.task.data_out.begin() + offset, known, pdu.data.begin());
    }
    pdu.data_digest_flip = flight.task.data_digest_flip;
    TRY(connection_->send(pdu, options_.time_out));
    offset += piece;
  }
  return engine::success();
}

Result<void> Session::send_data(const R2t& r2t, std::uint32_t offset, std::uint32_t bytes,
                                bool last) {
  const auto found = tasks_.find(r2t.task_tag);
  if (found == tasks_.end()) return Error{ErrorKind::misuse, "no such task"};
  if (last && found->second.open_r2ts > 0) --found->second.open_r2ts;
  return send_data_pdus(found->second, r2t.task_tag, r2t.transfer_tag, offset, bytes, last);
}

Result<Outcome> Session::await(std::uint32_t task_tag) {
  const auto deadline = SteadyClock::now() + options_.time_out;
  for (;;) {
    const auto found = std::ranges::find(completed_, task_tag, &Outcome::task_tag);
    if (found != completed_.end()) {
      Outcome outcome = std::move(*found);
      completed_.erase(found);
      return outcome;
    }
    TRY(step(left_until(deadline)));
  }
}

Result<Outcome> Session::await_any() {
  const auto deadline = SteadyClock::now() + options_.time_out;
  while (completed_.empty()) {
    TRY(step(left_until(deadline)));
  }
  Outcome outcome = std::move(completed_.front());
  completed_.pop_front();
  return outcome;
}

Result<Outcome> Session::execute(Task task) {
  TRY(const std::uint32_t task_tag, submit(std::move(task)));
  return await(task_tag);
}

Result<R2t> Session::await_r2t(std::uint32_t task_tag) {
  const auto deadline = SteadyClock::now() + options_.time_out;
  for (;;) {
    const auto found = tasks_.find(task_tag);
    if (found == tasks_.end()) return Error{ErrorKind::misuse, "the task has ended, or never was"};
    if (!found->second.held.empty()) {
      const R2t r2t = found->second.held.front();
      found->second.held.pop_front();
      return r2t;
    }
    TRY(step(left_until(deadline)));
  }
}

Result<std::uint8_t> Session::manage(TaskManagement function, std::uint64_t lun,
                                     std::uint32_t referenced_task,
                                     std::uint32_t referenced_command_sn) {
  const std::uint32_t task_tag = new_task_tag();
  Pdu pdu(Opcode::task_management,
          static_cast<std::uint8_t>(final_bit | static_cast<std::uint8_t>(function)));
  pdu = numbered(std::move(pdu.immediate()), task_tag);
  pdu.u64(at::lun, lun).u32(20, referenced_task).u32(32, referenced_command_sn);
  TRY(connection_->send(pdu, options_.time_out));
  TRY(const auto answer, await_answer(task_tag));
  if (!answer.is(Opcode::task_management_response)) return violation("no TMF response", answer);
  return answer.byte(2);
}

Result<Bytes> Session::ping(Bytes data, bool immediate) {
  const std::uint32_t task_tag = new_task_tag();
  Pdu pdu(Opcode::nop_out);
  if (immediate) pdu.immediate();
  pdu = numbered(std::move(pdu), task_tag);
  if (!immediate) ++command_sn_;
  pdu.u32(at::transfer_tag, no_tag);
  pdu.data = std::move(data);
  TRY(connection_->send(pdu, options_.time_out));
  TRY(auto answer, await_answer(task_tag));
  if (!answer.is(Opcode::nop_in)) return violation("no NOP-In", answer);
  if (answer.u32(at::transfer_tag) != no_tag) return violation("NOP-In that also asks", answer);
  return std::move(answer.data);
}

Result<Keys> Session::text(const Keys& keys) {
  const std::uint32_t task_tag = new_task_tag();
  Bytes answered;
  Bytes to_send = to_text(keys);
  std::uint32_t transfer_tag = no_tag;
  for (int i = 0; i < most_texts; ++i) {
    Pdu pdu(Opcode::text);
    pdu = numbered(std::move(pdu), task_tag);
    ++command_sn_;
    pdu.u32(at::transfer_tag, transfer_tag);
    pdu.data = std::exchange(to_send, {});
    TRY(connection_->send(pdu, options_.time_out));
    TRY(const auto answer, await_answer(task_tag));
    if (!answer.is(Opcode::text_response)) return violation("no text response", answer);
    answered.insert(answered.end(), answer.data.begin(), answer.data.end());
    transfer_tag = answer.u32(at::transfer_tag);
    if (answer.final() != (transfer_tag == no_tag)) {
      return violation("F bit and Target Transfer Tag contradict each other", answer);
    }
    if (answer.final()) return from_text(answered);
  }
  return Error{ErrorKind::violation, "a text without an end"};
}

Result<Keys> Session::send_targets(const std::string& which) {
  return text({{"SendTargets", which}});
}

Result<std::uint8_t> Session::log_out(std::uint8_t reason) {
  const std::uint32_t task_tag = new_task_tag();
  Pdu pdu(Opcode::logout, static_cast<std::uint8_t>(final_bit | reason));
  pdu = numbered(std::move(pdu.immediate()), task_tag);
  pdu.u16(20, options_.connection_id);
  TRY(connection_->send(pdu, options_.time_out));
  TRY(const auto answer, await_answer(task_tag));
  if (!answer.is(Opcode::logout_response)) return violation("no logout response", answer);
  return answer.byte(2);
}

Result<ReceivedPdu> Session::await_answer(std::uint32_t task_tag) {
  asked_.push_back(task_tag);
  const auto deadline = SteadyClock::now() + options_.time_out;
  for (;;) {
    auto found = answers_.extract(task_tag);
    if (!found.empty()) {
      std::erase(asked_, task_tag);
      return std::move(found.mapped());
    }
    TRY(step(left_until(deadline)));
  }
}

Result<bool> Session::stays_silent(Milliseconds duration) {
  const auto stepped = step(duration);
  if (stepped) return false;
  if (stepped.error().kind == ErrorKind::time_out) return true;
  return stepped.error();
}

Result<ReceivedPdu> Session::await_async_message() {
  const auto deadline = SteadyClock::now() + options_.time_out;
  while (async_messages_.empty()) {
    TRY(step(left_until(deadline)));
  }
  ReceivedPdu message = std::move(async_messages_.front());
  async_messages_.pop_front();
  return message;
}

}  // namespace client::iscsi
