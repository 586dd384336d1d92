// A session of one connection in full feature phase: commands in flight and their data, task
// management, texts; and a referee that turns every illegal thing the target does into a
// `violation`. RFC 7143, sections 4.2 and 11.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/client/iscsi_login.h"

namespace client::iscsi {

// The eight LUN bytes of a number under 16384 (SAM-5 4.7.7: peripheral, then flat addressing).
[[nodiscard]] std::uint64_t lun_field(std::uint16_t lun);

// A SCSI command and how its data shall travel.
struct Task {
  Bytes cdb = {};
  Bytes data_out = {};
  std::uint32_t read_bytes = 0;
  std::uint64_t lun = 0;            // as lun_field() makes it
  std::uint8_t attribute = 1;       // simple; 2 ordered, 3 head of queue, 4 ACA, 0 untagged
  bool immediate = false;           // the I bit
  bool with_immediate_data = true;  // as far as was agreed
  bool with_unsolicited_data = true;
  bool hold_data = false;                            // R2Ts are kept for await_r2t()
  std::optional<std::uint32_t> expected_bytes = {};  // ExpectedDataTransferLength, when not honest
  std::optional<std::uint32_t> command_sn = {};      // when not the next one
  std::uint32_t data_digest_flip = 0;                // of every Data-Out and immediate data
};

// What became of it.
struct Outcome {
  std::uint32_t task_tag = 0;
  std::uint8_t response = 0;  // 0: completed at the target
  std::uint8_t status = 0;    // SAM-5 5.3
  Bytes sense = {};
  Bytes data = {};
  std::uint32_t underflow = 0;
  std::uint32_t overflow = 0;
  std::uint32_t data_in_pdus = 0;
  std::uint32_t r2ts = 0;
  bool collapsed = false;  // the status came with the last Data-In

  [[nodiscard]] bool ok() const { return response == 0 && status == 0; }
  // 0 when there is none. Fixed and descriptor format.
  [[nodiscard]] std::uint8_t sense_key() const;
  [[nodiscard]] std::uint16_t additional_sense() const;  // ASC and ASCQ
  [[nodiscard]] std::string describe() const;
};

struct R2t {
  std::uint32_t task_tag = 0;
  std::uint32_t transfer_tag = 0;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

enum class TaskManagement : std::uint8_t {
  abort_task = 1,
  abort_task_set = 2,
  clear_aca = 3,
  clear_task_set = 4,
  logical_unit_reset = 5,
  target_warm_reset = 6,
  target_cold_reset = 7,
  task_reassign = 8,
};

struct Ping {
  std::uint32_t task_tag = 0;
  Bytes data = {};
};

// Not thread safe. After any error but time_out the session is useless: throw it away. Destruction
// closes the connection without a logout, as a dying host would.
class Session {
 public:
  // Errors: refused with the login status, those of log_in().
  static Result<std::unique_ptr<Session>> open(const LoginOptions& options);
  // Over a connection that has logged in.
  Session(std::unique_ptr<Connection> connection, const LoginOptions& options, const Login& login);

  // Sends the command, with its immediate and unsolicited data; its task tag.
  [[nodiscard]] Result<std::uint32_t> submit(Task task);
  // The outcome of `task_tag` (others that arrive meanwhile are kept for their own await). A Reject
  // is an error: refused, with its reason.
  [[nodiscard]] Result<Outcome> await(std::uint32_t task_tag);
  [[nodiscard]] Result<Outcome> await_any();
  [[nodiscard]] Result<Outcome> execute(Task task);

  // The next R2T of a command with hold_data.
  [[nodiscard]] Result<R2t> await_r2t(std::uint32_t task_tag);
  // Sends `bytes` of the command's data from `offset` as Data-Out PDUs. It need not be legal.
  [[nodiscard]] Result<void> send_data(const R2t& r2t, std::uint32_t offset, std::uint32_t bytes,
                                       bool last);
  [[nodiscard]] Result<void> answer(const R2t& r2t) {
    return send_data(r2t, r2t.offset, r2t.bytes, true);
  }
  // A task that will never be answered (it was aborted, say).
  void forget(std::uint32_t task_tag) { tasks_.erase(task_tag); }

  // The response code of section 11.6.1. Always an immediate command.
  [[nodiscard]] Result<std::uint8_t> manage(TaskManagement function, std::uint64_t lun = 0,
                                            std::uint32_t referenced_task = no_tag,
                                            std::uint32_t referenced_command_sn = 0);
  // NOP-Out that wants an answer; what came back.
  [[nodiscard]] Result<Bytes> ping(Bytes data = {}, bool immediate = true);
  // A whole Text exchange, with as many requests as the target needs.
  [[nodiscard]] Result<Keys> text(const Keys& keys);
  // SendTargets.
  [[nodiscard]] Result<Keys> send_targets(const std::string& which = "All");
  // Logout, reason 0 (session) or 1 (connection); the response code. The connection is closed by
  // the target afterwards.
  [[nodiscard]] Result<std::uint8_t> log_out(std::uint8_t reason = 0);

  // Takes whatever arrives within `duration`; true when no PDU at all came.
  [[nodiscard]] Result<bool> stays_silent(Milliseconds duration);
  // The next Async Message; its event code is byte 36.
  [[nodiscard]] Result<ReceivedPdu> await_async_message();

  [[nodiscard]] Connection& raw() { return *connection_; }
  [[nodiscard]] const Login& login() const { return login_; }
  [[nodiscard]] const Parameters& agreed() const { return login_.agreed; }
  // For PDUs that a test builds itself: the next CmdSN, and what ExpStatSN is now.
  [[nodiscard]] std::uint32_t command_sn() const { return command_sn_; }
  [[nodiscard]] std::uint32_t take_command_sn() { return command_sn_++; }
  [[nodiscard]] std::uint32_t expected_stat_sn() const { return expected_stat_sn_; }
  [[nodiscard]] std::uint32_t new_task_tag() { return next_task_tag_++; }
  // Of the command window, as the target has told last.
  [[nodiscard]] std::uint32_t expected_command_sn() const { return expected_command_sn_; }
  [[nodiscard]] std::uint32_t max_command_sn() const { return max_command_sn_; }
  // NOP-Ins of the target's own that were answered.
  [[nodiscard]] std::uint64_t pings_answered() const { return pings_answered_; }
  [[nodiscard]] std::size_t in_flight() const { return tasks_.size(); }
  // A test's own PDU with the session's CmdSN (not counted up), ExpStatSN and this task tag.
  [[nodiscard]] Pdu numbered(Pdu pdu, std::uint32_t task_tag) const;

 private:
  // A command that has no outcome yet.
  struct Flight {
    Task task;
    Outcome so_far;
    std::uint32_t expected_bytes = 0;
    std::uint32_t expected_data_sn = 0;
    std::uint32_t expected_r2t_sn = 0;
    std::uint32_t burst_bytes = 0;      // of the Data-In sequence that is open
    std::uint32_t requested_bytes = 0;  // sent or asked for: the next R2T starts here
    std::uint32_t open_r2ts = 0;
    std::deque<R2t> held;
  };

  [[nodiscard]] Result<void> send_data_pdus(const Flight& flight, std::uint32_t task_tag,
                                            std::uint32_t transfer_tag, std::uint32_t offset,
                                            std::uint32_t bytes, bool last);
  // Receives and judges one PDU.
  [[nodiscard]] Result<void> step(Milliseconds time_out);
  [[nodiscard]] Result<ReceivedPdu> await_answer(std::uint32_t task_tag);
  [[nodiscard]] Result<void> take_numbers(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_response(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_data_in(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_r2t(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_nop_in(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_residual(const ReceivedPdu& pdu, Flight& flight);

  std::unique_ptr<Connection> connection_;
  LoginOptions options_;
  Login login_;
  std::uint32_t command_sn_;
  std::uint32_t expected_stat_sn_;
  std::uint32_t expected_command_sn_;
  std::uint32_t max_command_sn_;
  std::uint32_t next_task_tag_ = 0x100;
  std::map<std::uint32_t, Flight> tasks_;
  std::deque<Outcome> completed_;
  std::map<std::uint32_t, ReceivedPdu> answers_;  // of texts, pings, ...: by task tag
  std::deque<std::uint32_t> asked_;               // task tags of those
  std::deque<ReceivedPdu> async_messages_;
  std::uint64_t pings_answered_ = 0;
};

}  // namespace client::iscsi
