// IoQueue: executes the I/O commands of one queue against namespaces. Errors become status in one
// place.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "protocol/nvme/io_command.h"
#include "target/block/block_volume.h"
#include "target/block/volume_request.h"
#include "target/net/command_tally.h"
#include "target/nvmf/command.h"
#include "target/nvmf/copy_commands.h"
#include "target/nvmf/namespace.h"
#include "target/nvmf/namespace_use.h"
#include "target/nvmf/retry_counts.h"

namespace target::nvmf {

// Counters of one controller behind SMART (log page 02h); relaxed, any thread.
struct IoCounters : HostCounters {
  std::atomic<std::uint64_t> media_errors{0};
  std::atomic<std::uint64_t> digest_errors{0};  // of PDUs, on any of its queues
};

// What goes into the error information log (01h) for a failed command.
struct CommandFailure {
  std::uint16_t qid = 0;
  std::uint16_t cid = 0;
  protocol::nvme::Status status;
  std::uint64_t lba = 0;
  std::uint32_t nsid = 0;
  std::uint16_t parameter_location = 0xffff;
  std::uint8_t opcode = 0;
};

// What becomes of the path or the queue, or was asked for, is no error of the command, and not in
// the error log.
[[nodiscard]] bool is_error(protocol::nvme::Status status);

// The controller, as one of its I/O queues sees it. Thread-safe; outlives the queue.
class IoQueueOwner {
 public:
  // nullptr: no such namespace, or not visible to this host.
  [[nodiscard]] virtual Namespace* find_namespace(std::uint32_t nsid) = 0;
  // False while the controller is not ready or shuts down, and for good after a reset: every I/O
  // command is refused then.
  [[nodiscard]] virtual bool ready() const = 0;
  virtual void command_failed(const CommandFailure& failure) = 0;
  // The host waits for CRDT1 to 3 before it tries again if a status asks for it (ACRE).
  [[nodiscard]] virtual bool delays_retries() const = 0;
  // Source ranges of Copy may name their namespace (Host Behavior Support).
  [[nodiscard]] virtual bool copies_between_namespaces() const = 0;
  // The host looks at access states (ANA): one that does not would fail the commands of a namespace
  // that is not to be reached for a while.
  [[nodiscard]] virtual bool knows_access_states() const = 0;
  // Of the listener that the host has come by.
  [[nodiscard]] virtual AnaState path_state() const = 0;
  // Traffic for TBKAS (keep-alive by traffic): a relaxed store.
  virtual void note_traffic() = 0;
  [[nodiscard]] virtual IoCounters& counters() = 0;
  // Who the host is among those that reserve volumes; never changes.
  [[nodiscard]] virtual const block::PartyId& party() const = 0;
  // The host has begun to use the namespace by some queue: from now on it is told what becomes of
  // its reservations.
  virtual void uses(Namespace& space) = 0;
  // Largest data transfer of one command (MDTS), bytes.
  [[nodiscard]] virtual std::uint32_t largest_transfer_bytes() const = 0;

 protected:
  ~IoQueueOwner() = default;
};

// One for each I/O connection; reactor thread only. Lives until every command it was given has been
// answered.
//
// Invariant: once `ended_`, nothing is submitted to a volume any more.
class IoQueue final : private block::VolumeRequests::Owner,
                      private NamespaceUse::Queue,
                      private CopyCommands::Queue {
 public:
  IoQueue(IoQueueOwner& owner, CommandPort& port, std::uint16_t qid);
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;

  [[nodiscard]] block::BlockVolume* volume_of(const Command& command);
  // What a command is answered that cannot even be held (CommandExecutor::try_later()).
  [[nodiscard]] protocol::nvme::Status send_back(const Command& command);
  // Commands that wait for a buffer, and whose namespace is not to be reached any more, are
  // answered so.
  void refuse_unreachable();
  // What it keeps of namespaces that have been removed goes, where nothing is under way. In a turn
  // of its own: not while a command runs.
  void forget_removed();
  void execute(CommandPermit permit);
  void data_ready(CommandPermit permit);
  // See CommandExecutor.
  void not_executed(const protocol::nvme::SubmissionEntry& entry);
  void partner_lost(Command& command);
  // The association is dead. Cancels everything that has not started, for good.
  void end();
  // Abort (NVMe Base 2.1, "Abort command"): true if the command had not started (it was held back
  // by its volume's limits or for want of room, waited for an overlapping write, or for a transfer
  // buffer) and is answered Command Abort Requested now or in a moment.
  [[nodiscard]] bool abort(std::uint16_t cid);

 private:
  enum class Step : std::uint8_t {
    arrived,
    within_limits,  // of its volume
    data_ready,
  };
  // A parsed command meets its namespace. Both are looked up again at each step: what was true when
  // the capsule arrived may not be any more.
  void run(CommandPermit permit, Step step);
  // False: the limits of its volume hold it back, and run() is called when they let it go.
  // Not inline: run() gets by without the registers that it needs.
  [[nodiscard, gnu::noinline]] bool within_limits(CommandPermit& permit,
                                                  const protocol::nvme::IoCommand& parsed);
  static void let_go(block::VolumeRequest& request) noexcept;
  static void refused_by_end(block::VolumeRequest& request, engine::IoStatus outcome) noexcept;
  void run_read(CommandPermit permit, const protocol::nvme::Read& read, bool data_is_ready);
  // True: the cache had it, and the command is answered.
  [[nodiscard]] bool read_in_place(CommandPermit& permit, const protocol::nvme::Read& read,
                                   std::uint32_t bytes);
  void run_write(CommandPermit permit, const protocol::nvme::Write& write, bool data_is_ready);
  void run_write_zeroes(CommandPermit permit, const protocol::nvme::WriteZeroes& zeroes);
  void run_write_uncorrectable(CommandPermit permit,
                               const protocol::nvme::WriteUncorrectable& command);
  void run_verify(CommandPermit permit, const protocol::nvme::Verify& verify);
  void run_compare(CommandPermit permit, const protocol::nvme::Compare& compare,
                   bool data_is_ready);
  void run_copy(CommandPermit permit, const protocol::nvme::Copy& copy, bool data_is_ready);
  [[nodiscard]] protocol::nvme::Parsed<void> check_copy(const Command& command,
                                                        const protocol::nvme::Copy& copy,
                                                        std::span<const std::byte> list);
  void run_deallocate(CommandPermit permit, const protocol::nvme::DatasetManagement& management,
                      bool data_is_ready);

  // Fused Compare and Write (fused_commands.cpp). A first half waits, parked, for the capsule
  // behind it. When both are there they are partners, and whatever ends one ends both.
  enum class FusedState : std::uint8_t {
    none,
    first_waits,   // first_half_
    first_failed,  // and has been answered: so is a second half that comes next
  };
  enum class PairStep : std::uint8_t { arrived, read_paid, write_paid, compare_there, both_there };
  void run_fused(CommandPermit permit);
  // Nothing if none waits.
  void end_first_half(protocol::nvme::Status status);
  void run_pair(Command& compare, PairStep step);
  void pair_data_ready(CommandPermit permit);
  [[nodiscard]] bool pay_for_half(Command& half, block::Traffic::Kind kind,
                                  engine::ByteCount bytes);
  [[nodiscard]] bool data_of_half(Command& half, const protocol::nvme::DataPointer& pointer,
                                  engine::ByteCount bytes, bool is_ready);
  static void half_let_go(block::VolumeRequest& request) noexcept;
  static void pair_cancelled(block::VolumeRequest& request, engine::IoStatus outcome) noexcept;
  static void pair_in_place(block::VolumeRequest& request) noexcept;
  static void pair_read(block::VolumeRequest& request, engine::IoStatus outcome) noexcept;
  static void pair_written(block::VolumeRequest& request, engine::IoStatus outcome) noexcept;
  void end_pair(Command& compare, protocol::nvme::Status of_compare,
                protocol::nvme::Status of_write);
  // It was never begun: its partner is answered that the other half has failed.
  void refuse_half(Command& half, const protocol::nvme::Refusal& refusal);
  // Both, the one of this identifier with `status`.
  void end_pair_of(Command& half, std::uint16_t cid, protocol::nvme::Status status);
  void answer_half(Command& half, protocol::nvme::Status status);

  void run_register(CommandPermit permit, const protocol::nvme::ReservationRegister& command,
                    bool data_is_ready);
  void run_acquire(CommandPermit permit, const protocol::nvme::ReservationAcquire& command,
                   bool data_is_ready);
  void run_release(CommandPermit permit, const protocol::nvme::ReservationRelease& command,
                   bool data_is_ready);
  void run_report(CommandPermit permit, const protocol::nvme::ReservationReport& command,
                  bool data_is_ready);
  void change_reservations(CommandPermit permit, const block::ReservationChange& change,
                           std::optional<bool> persist = std::nullopt);

  [[nodiscard]] NamespaceUse& use_of(Namespace& space);
  // What reservations say to it; the namespace is the one that was looked up for the command.
  [[nodiscard]] protocol::nvme::Status check_reservations(block::ReservationAccess access) const;
  // Leaves the command to its volume request.
  block::VolumeRequest& begin(CommandPermit& permit);

  // The command's data from the host, or nullopt: then it has been refused, or R2Ts are on their
  // way.
  [[nodiscard]] std::optional<std::span<std::byte>> host_data(
      CommandPermit& permit, const protocol::nvme::DataPointer& pointer, engine::ByteCount needed,
      bool data_is_ready);
  [[nodiscard]] protocol::nvme::Status check_range(const block::BlockVolume& volume,
                                                   protocol::nvme::BlockRange blocks) const;
  [[nodiscard]] protocol::nvme::Status check_transfer(const block::BlockVolume& volume,
                                                      protocol::nvme::BlockRange blocks) const;

  // NamespaceUse::Queue
  void preempted(block::BlockVolume& volume) override;

  // CopyCommands::Queue
  [[nodiscard]] protocol::nvme::Parsed<Place> place_of_copy(
      const Command& command, const protocol::nvme::CopySource& source) override;
  [[nodiscard]] bool copy_may_go_on() const override { return may_start(); }
  [[nodiscard]] protocol::nvme::Status copy_failure(engine::IoStatus outcome,
                                                    engine::VolumeIo::Kind kind) override {
    return failure(outcome, kind);
  }
  [[nodiscard]] protocol::nvme::Status copy_busy() const override {
    return later(protocol::nvme::status::command_interrupted);
  }
  void copy_ended(Command& command, const protocol::nvme::Refusal& result) override;

  // VolumeRequests::Owner
  [[nodiscard]] bool may_start() const override { return !ended_ && owner_.ready(); }
  static void completed(block::VolumeRequest& request, engine::IoStatus outcome) noexcept;
  void complete(Command& command, engine::IoStatus outcome);
  void refuse(CommandPermit permit, const protocol::nvme::Refusal& refusal);
  // The status of what the volume has not done; counts media errors.
  [[nodiscard]] protocol::nvme::Status failure(engine::IoStatus outcome,
                                               engine::VolumeIo::Kind kind);
  // Of something that passes: trying again at once would fail again. The delay is that of CRDT1.
  [[nodiscard]] protocol::nvme::Status later(protocol::nvme::Status status) const;

  // Overload; io_queue_overload.cpp.

  // Success, or the status of a namespace that is not to be reached by this host now.
  [[nodiscard]] protocol::nvme::Status check_access(const Namespace& space) const;
  [[nodiscard]] static bool has_moved(const Command& command, const Namespace& found);
  // It has been held for as long as it may be, and there is still no room for it.
  void lacked_room(CommandPermit permit);
  // nullopt: it may not be sent back (once more).
  [[nodiscard]] std::optional<protocol::nvme::Status> interrupted(const Command& command,
                                                                  block::OverloadLadder& ladder);
  // Ends the Compare of `command`; whether host and volume agree.
  [[nodiscard]] bool finish_compare(Command& command);

  IoQueueOwner& owner_;
  CommandPort& port_;
  Reactor& reactor_;  // of the port
  const std::uint16_t qid_;
  bool ended_ = false;
  std::map<const Namespace*, std::shared_ptr<NamespaceUse>> uses_;
  NamespaceUse* use_ = nullptr;  // of the command that runs, or ran last
  FusedState fused_state_ = FusedState::none;
  Command* first_half_ = nullptr;
  Timer first_half_patience_;
  RetryCounts retries_;
  block::VolumeRequests requests_;
  CopyCommands copies_;
};

}  // namespace target::nvmf
