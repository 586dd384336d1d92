// Connection: one iSCSI connection, which is also its session (MaxConnections is 1): login, then
// requests in the order of CmdSN, data transfers, pings and messages (RFC 7143). What SCSI commands
// mean is its Nexus's; which sessions there may be, IscsiTarget's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/iscsi/login.h"
#include "protocol/iscsi/pdu_decoder.h"
#include "protocol/iscsi/pdu_encoder.h"
#include "target/iscsi/command_window.h"
#include "target/iscsi/connection_options.h"
#include "target/iscsi/session_table.h"
#include "target/iscsi/task_slots.h"
#include "target/net/host_change.h"
#include "target/net/pdu_connection.h"
#include "target/scsi/nexus.h"
#include "target/scsi/target_device.h"

namespace target::iscsi {

class IscsiTarget;

// Lives on one reactor; others reach it through its handle. Owned by its ConnectionRegistry.
//
// A task is the connection's between receive_from_host() or lease_for_host() and data_ready(), and
// while its immediate data arrives; the nexus may take it back in between.
class Connection final : public PduConnection,
                         private scsi::TaskPort,
                         private scsi::NexusObserver,
                         private protocol::iscsi::LoginPolicy {
 public:
  // `target` outlives it.
  Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream, IscsiTarget& target,
             const ConnectionOptions& options);
  ~Connection() override;

  // Once, when the registry has it.
  void begin();

  // Asked for by other threads, through the handle.

  // The session in whose place this one comes has ended.
  void session_admitted();
  void session_ends(EndReason reason) { end(reason); }
  // Asks the initiator to log out; the session ends when it has, or after a while.
  void ask_for_logout(EndReason reason);
  // Meanwhile: it has been promised the time.
  [[nodiscard]] bool ends_by_itself() const override { return logout_timer_.armed(); }

  [[nodiscard]] std::uint32_t outstanding_tasks() const { return slots_.outstanding(); }

 private:
  using TextRequest = protocol::iscsi::TextRequest;

  // What the data behind a header is for; anything else is thrown away.
  enum class Arriving : std::uint8_t {
    nothing,
    login_text,
    text,
    ping,
    immediate_data,  // of data_slot_, as the next two
    unsolicited_data,
    solicited_data,
    refused_data,  // of a command that is sent back because its volume hangs
  };
  enum class Stage : std::uint8_t {
    login,
    waiting_for_session,  // another one must end first
    full_feature,
    logging_out,  // its tasks end, then Logout is answered
    over,
  };

  // connection.cpp: life.
  void ended(EndReason reason) override;
  [[nodiscard]] std::optional<TimeLimit> time_limit() const override;
  [[nodiscard]] bool uses_reserve() const override { return false; }
  void end_nexus();
  void end_nexus_soon();
  void nexus_ended();
  void leave_table();
  void look_for_silence();
  void lun_inventory_changed() override;
  void logout_overdue();
  void log_end(EndReason reason);
  // Discovery is not told of.
  [[nodiscard]] HostChange host_change(HostChange::What what) const;
  // The initiator broke the protocol: it gets a Reject, where it can, and the connection ends.
  void fail(protocol::iscsi::RejectReason reason, std::string_view what, bool silently = false);
  void fail(const protocol::iscsi::PduError& error, std::span<const std::byte> bytes);
  void reject(protocol::iscsi::RejectReason reason);
  // For the next PDU; one that carries status takes a StatSN.
  [[nodiscard]] protocol::iscsi::Sequence sequence(bool takes_stat_sn);
  // Of small PDUs that are encoded at once into the output.
  template <class Encode>
  void append_pdu(std::size_t data_bytes, Encode&& encode);

  // connection_login.cpp.
  [[nodiscard]] protocol::iscsi::LoginAdmission admit(
      const protocol::iscsi::LoginIdentity& identity) override;
  void take_login(std::span<const std::byte> text);
  void follow(const protocol::iscsi::LoginStep& step);
  void make_session();
  void begin_full_feature();
  void send_login(const protocol::iscsi::LoginStep& step);
  void refuse_login(protocol::iscsi::LoginStatus status, std::string_view why);
  void log_refusal(protocol::iscsi::LoginStatus status, std::string_view why);
  [[nodiscard]] std::string why_login_failed() const;

  // connection_receive.cpp: from bytes to requests.
  [[nodiscard]] std::size_t take_header(std::span<const std::byte> bytes) override;
  void data_complete(bool digest_matches) override;
  // Whether a request may be looked at: it is the next one, or for immediate delivery. Otherwise it
  // is ignored, or the connection has ended.
  [[nodiscard]] bool in_order(std::uint32_t cmd_sn, bool immediate);
  void take(const protocol::iscsi::NopOut& nop);
  void take(const protocol::iscsi::ScsiCommand& command);
  void take(const protocol::iscsi::TaskManagementRequest& request);
  void take(const protocol::iscsi::LoginRequest& request);
  void take(const protocol::iscsi::TextRequest& request);
  void take(const protocol::iscsi::DataOut& data);
  void take(const protocol::iscsi::LogoutRequest& request);
  void take(const protocol::iscsi::SnackRequest& snack);
  void take(const protocol::iscsi::UnknownRequest& request);
  // Data that is no command's: into parcel_.
  void receive_parcel(Arriving what);

  // connection_requests.cpp: what is no SCSI command.
  void answer_ping(std::span<const std::byte> data);
  void take_text(std::span<const std::byte> text);
  void answer_text();
  void send_text();
  [[nodiscard]] bool answer_pair(const protocol::iscsi::KeyValue& pair,
                                 protocol::iscsi::TextWriter& answer);
  void manage(const protocol::iscsi::TaskManagementRequest& request);
  void answer_management(std::uint32_t tag, protocol::iscsi::TaskResponse response);
  void answer_logout(protocol::iscsi::LogoutResponseCode response);

  // connection_data_out.cpp: commands and the host's data.
  void begin_command(TaskSlot& slot, const protocol::iscsi::ScsiCommand& command);
  void begin_unsolicited(TaskSlot& slot);
  [[nodiscard]] static bool is_limited(const TaskSlot& slot);
  void execute(TaskSlot& slot);
  // What the nexus waited for is in the buffer, or is an empty buffer to fill.
  void deliver(TaskSlot& slot);
  void take_unsolicited(TaskSlot& slot, const protocol::iscsi::DataOut& data);
  void take_solicited(const protocol::iscsi::DataOut& data);
  void unsolicited_arrived(TaskSlot& slot);
  void solicited_arrived(TaskSlot& slot);
  // Until all that the nexus has asked for is there.
  void go_on_receiving(TaskSlot& slot);
  void begin_soliciting(TaskSlot& slot);
  void solicit(TaskSlot& slot);
  void stop_owing(TaskSlot& slot);
  // The nexus's wait for data ends without it.
  void give_up(TaskSlot& slot, const protocol::scsi::Sense& why);
  void give_up(TaskSlot& slot, protocol::scsi::Status status);
  void hand_back(TaskSlot& slot);
  void give_to_nexus(TaskSlot& slot);
  void send_back(TaskSlot& slot);
  void receive_data_of(TaskSlot& slot, Arriving what, std::uint32_t offset);
  [[nodiscard]] bool grow(TaskSlot& slot);
  [[nodiscard]] bool has_ended_lately(std::uint32_t tag) const;
  void buffer_granted(BufferHolder& holder) override;
  void stream_granted(BufferHolder& holder) override;
  void stream_refused(BufferHolder& holder) override;

  // connection_data_in.cpp: answers and data to the host.
  void receive_from_host(scsi::Task& task, std::uint32_t bytes) override;
  void lease_for_host(scsi::Task& task, std::uint32_t bytes) override;
  void respond(scsi::Task& task, protocol::scsi::Status status) override;
  void respond(scsi::Task& task, const protocol::scsi::Sense& sense) override;
  void respond_with_data(scsi::Task& task, std::uint32_t bytes,
                         const protocol::scsi::Sense* sense) override;
  [[nodiscard]] bool may_respond_in_place(const scsi::Task& task,
                                          std::uint32_t bytes) const override;
  void respond_in_place(scsi::Task& task, engine::PinnedRead read) override;
  void drop(scsi::Task& task) override;
  [[nodiscard]] bool take_back(scsi::Task& task) override;
  [[nodiscard]] bool wants_sums() const override { return digests_.data; }
  [[nodiscard]] Reactor& reactor() override { return PduConnection::reactor(); }
  TaskSlot& back_from_nexus(scsi::Task& task);
  // Ends the task. `sent`: bytes of data that have gone to the host.
  void answer(TaskSlot& slot, protocol::scsi::Status status, const protocol::scsi::Sense* sense,
              std::uint32_t sent = 0);
  // There is no slot for it: TASK SET FULL.
  void answer_without_room(const protocol::iscsi::ScsiCommand& command);
  // One Data-In behind the other for `bytes`, the last one with GOOD status if `with_status`.
  // part(offset, bytes, is_last) appends that much of the data and returns its checksum.
  template <class Part>
  void send_data(TaskSlot& slot, std::uint32_t bytes, bool with_status, Part&& part);
  [[nodiscard]] std::uint32_t data_in_bytes() const;
  void forget_arriving(TaskSlot& slot);
  void leave_window(TaskSlot& slot);
  // Without an answer.
  void abandon(TaskSlot& slot);
  void count(TaskSlot& slot, protocol::scsi::Status status, const protocol::scsi::Sense* sense,
             std::uint32_t sent);
  void release(TaskSlot& slot);

  // Reads, asks and pings that the initiator leaves unanswered are bounded by these.
  static constexpr std::uint32_t largest_parcel_bytes = 16384;
  static constexpr std::size_t largest_text_piece_bytes = 8192;
  // One R2T asks for no more, where several may be outstanding.
  static constexpr std::uint32_t solicited_bytes = 256U << 10;
  // While commands wait for memory, so many may be outstanding.
  static constexpr std::uint32_t narrow_window = 8;
  // From the request to log out on.
  static constexpr engine::Duration logout_patience = std::chrono::seconds(2);

  IscsiTarget& target_;
  const ConnectionOptions options_;
  const std::shared_ptr<ConnectionHandle> handle_;
  const engine::Instant opened_;

  Stage stage_ = Stage::login;
  protocol::iscsi::PduDecoder decoder_;
  protocol::iscsi::Digests digests_;  // of what is sent
  std::uint32_t stat_sn_ = 1;
  CommandWindow window_;

  // Login.
  std::unique_ptr<protocol::iscsi::Login> login_;  // until the full feature phase
  bool window_begun_ = false;
  std::shared_ptr<scsi::TargetDevice> device_;  // between the login and its nexus
  protocol::iscsi::LoginRequest login_request_;
  std::string refused_because_;  // by admit()

  // The session.
  std::shared_ptr<SessionEntry> entry_;  // while it is in the table, or waits to be
  std::unique_ptr<scsi::Nexus> nexus_;   // of a normal session
  bool nexus_ending_ = false;
  bool nexus_end_posted_ = false;
  std::uint32_t with_nexus_ = 0;  // tasks in the nexus's hands
  protocol::iscsi::SessionParameters parameters_;
  std::optional<protocol::iscsi::Negotiation> negotiation_;
  std::string initiator_name_;
  std::string target_name_;  // empty: a discovery session
  std::uint16_t tsih_ = 0;
  std::uint16_t cid_ = 0;
  TaskSlots slots_;

  // The PDU that is being received.
  std::array<std::byte, protocol::iscsi::bhs_bytes> header_{};
  Arriving arriving_ = Arriving::nothing;
  TaskSlot* data_slot_ = nullptr;  // whose data arrives; nullptr, too, if it has ended meanwhile
  bool data_is_final_ = false;
  std::vector<std::byte> parcel_;  // text of a login or text request, data of a ping
  protocol::iscsi::NopOut ping_;
  TextRequest text_request_;

  // Text negotiation.
  protocol::iscsi::TextGatherer gatherer_;
  protocol::iscsi::TextPieces pieces_;
  enum class TextState : std::uint8_t {
    idle,
    gathering,  // the initiator's text goes on
    answering,  // ours does
  };
  TextState text_state_ = TextState::idle;
  bool text_is_final_ = false;  // the initiator has nothing more to say
  std::uint32_t text_tag_ = 0;  // our transfer tag of the exchange that goes on

  // Tags of tasks that ended while their data was on its way: it is thrown away without a word.
  static constexpr std::size_t most_ended_tags = 64;
  std::array<std::uint32_t, most_ended_tags> ended_tags_;
  std::size_t next_ended_tag_ = 0;

  // Logout, and what else takes time.
  std::uint32_t logout_tag_ = 0;
  EndReason logout_reason_ = EndReason::removed;  // when the initiator was asked and does not
  Timer logout_timer_;
  Timer silence_timer_;
  engine::Instant last_heard_;
  bool ping_outstanding_ = false;
  engine::Instant ping_sent_;
  std::uint32_t ping_tag_ = 0;
};

template <class Encode>
void Connection::append_pdu(std::size_t data_bytes, Encode&& encode) {
  const std::size_t bytes =
      protocol::iscsi::pdu_bytes(digests_, static_cast<std::uint32_t>(data_bytes));
  if (bytes <= OutputQueue::chunk_bytes) {
    encode(output().append(bytes));
  } else {
    std::vector<std::byte> whole(bytes);
    encode(std::span(whole));
    for (std::span<const std::byte> rest(whole); !rest.empty();) {
      const auto part = rest.first(std::min(rest.size(), OutputQueue::chunk_bytes));
      std::ranges::copy(part, output().append(part.size()).begin());
      rest = rest.subspan(part.size());
    }
  }
  send_soon();
}

}  // namespace target::iscsi
