// Nexus: one I_T nexus (SAM-5), an iSCSI session: executes its tasks against the logical units that
// its initiator sees, and its task management functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "protocol/scsi/command.h"
#include "protocol/scsi/command_table.h"
#include "target/block/access_state.h"
#include "target/block/party_id.h"
#include "target/block/volume_request.h"
#include "target/scsi/answer_sink.h"
#include "target/scsi/block_commands.h"
#include "target/scsi/copy_manager.h"
#include "target/scsi/itl_nexus.h"
#include "target/scsi/management.h"
#include "target/scsi/nexus_handle.h"
#include "target/scsi/options.h"
#include "target/scsi/reservation_commands.h"
#include "target/scsi/task.h"
#include "target/scsi/task_counters.h"
#include "target/scsi/unit_commands.h"

namespace target::scsi {

class TargetDevice;

// The transport's session, as its Nexus sees it. Called on the session's reactor.
class NexusObserver {
 public:
  // Logical units have come or gone for this initiator; the unit attention 3Fh/0Eh is set already
  // (iSCSI: Async Message, event 0, with that sense data).
  virtual void lun_inventory_changed() = 0;

 protected:
  ~NexusObserver() = default;
};

// Reactor thread of its session only, unless a method says otherwise. Made when the login is
// complete, and until then no other nexus of the same initiator port and target port may be left:
// end() that one, and wait for it. Lives until end() has told that it has ended.
//
// Invariants: a task is in the task set of its unit (or in `stray_`) from execute() until it ends;
// `outstanding_` counts them; an aborted one is never answered.
class Nexus final : private AnswerSink, private block::VolumeRequests::Owner {
 public:
  // `port` and `observer` outlive the nexus.
  Nexus(std::shared_ptr<TargetDevice> device, const NexusIdentity& identity, TaskPort& port,
        NexusObserver& observer);
  Nexus(const Nexus&) = delete;
  Nexus& operator=(const Nexus&) = delete;
  ~Nexus();

  // The volume that a task's data is for, as far as its LUN tells; nullptr: none. Asked before
  // immediate data is read, so that it counts towards what the volume may hold.
  [[nodiscard]] block::BlockVolume* volume_of(const Task& task);

  // A command has arrived; its immediate data, if any, is in task.buffer already, or comes later by
  // receive_from_host(). Tasks come in the order of CmdSN.
  void execute(TaskPermit permit);
  // What receive_from_host() or lease_for_host() asked for is there.
  void data_ready(TaskPermit permit);
  // It will not come, or has come with errors: the task ends with that sense data.
  void data_failed(TaskPermit permit, const protocol::scsi::Sense& sense);
  // There is no room for it now: BUSY.
  void data_failed(TaskPermit permit, protocol::scsi::Status status);

  // Carries a function out: what has not started is taken back at once, what a disk works on is
  // marked, and none of them is answered any more. `done` is called once, when all of them have
  // ended, in a later turn; not any more once end() has been called.
  void manage(const ManagementRequest& request, std::function<void(ManagementResponse)> done);

  // The session is about to end in order: what is held back by the limits of its volume is answered
  // BUSY, and nothing is held back any more.
  void refuse_held_back() { requests_.refuse_held_back(); }
  // The session is dead: no further call but data_ready() and data_failed(), which may be on their
  // way. Drops everything that has not started, and the rest when it ends. `ended` is called once
  // nothing is left, in a later turn; the nexus may be destroyed from there.
  void end(std::function<void()> ended);

  // Any thread: tasks that have not ended.
  [[nodiscard]] std::size_t outstanding() const {
    return outstanding_.load(std::memory_order_relaxed);
  }
  // Any thread.
  [[nodiscard]] TaskCounts counts() const;

  // For TargetDevice, LogicalUnit and ItlNexus.

  // Units have come or gone for some initiator.
  void refresh_units();
  // Some target port of the device is reached otherwise than before, perhaps this one.
  void access_changed();
  enum class Abort : std::uint8_t {
    all,
    preempted,  // by PREEMPT AND ABORT: the nexus is told of what is not answered
  };
  // `ticket` is let go of when all of them have ended.
  void abort_tasks(ItlNexus& itl, block::AbortTicket ticket, Abort which);

 private:
  struct Wait {
    std::vector<const Task*> tasks;  // aborted, not ended
    block::AbortTicket ticket;
  };
  struct Dispatch;

  [[nodiscard]] ItlNexus* find_unit(protocol::scsi::Lun lun) const;
  // Tells it nothing yet.
  ItlNexus& add_unit(std::shared_ptr<LogicalUnit> unit);
  // In the place of what has just been lost.
  void renew_unit(std::shared_ptr<LogicalUnit> unit, ItlNexus& before);
  void lose_unit(ItlNexus& itl);
  [[nodiscard]] TaskSet& set_of(const Task& task);

  enum class Step : std::uint8_t {
    begun,
    within_limits,  // of its volume
    data_ready,
  };
  void begin(TaskPermit permit);
  void begin_held(TaskSet& set);
  void run(TaskPermit permit, Step step);
  // False: the limits of its volume hold it back, and run() is called when they let it go.
  [[nodiscard]] bool within_limits(TaskPermit& permit, const protocol::scsi::Command& command);
  // What every command is checked for. False: the task has been answered.
  [[nodiscard]] bool admit(TaskPermit& permit, const protocol::scsi::CommandDescription& row,
                           const protocol::scsi::Command& command);
  // nullopt: the state of the target port lets it pass.
  [[nodiscard]] std::optional<protocol::scsi::Sense> check_access(
      const protocol::scsi::CommandDescription& row, const protocol::scsi::Command& command) const;
  [[nodiscard]] bool admit_reservations(TaskPermit& permit,
                                        const protocol::scsi::CommandDescription& row,
                                        const protocol::scsi::Command& command);

  // Aborts one task; true if it has ended.
  bool abort(Task& task);
  [[nodiscard]] block::AbortTicket ticket_for(std::function<void(ManagementResponse)> done);
  void abort_task(ItlNexus& itl, std::uint32_t tag, std::function<void(ManagementResponse)> done);
  // Ends a task: respond(TaskPermit) tells the port, whose task it is from then on.
  template <class F>
  void end_task(TaskPermit permit, F&& respond);
  void leave(Task& task);
  void left(TaskSet& set);
  void finish_end();

  void answer(TaskPermit permit, protocol::scsi::Status status) override;
  void answer(TaskPermit permit, const protocol::scsi::Sense& sense) override;
  void answer_with_data(TaskPermit permit, std::uint32_t bytes) override;
  void answer_in_place(TaskPermit permit, engine::PinnedRead read) override;
  [[nodiscard]] TaskPort& port() override { return port_; }
  [[nodiscard]] bool may_start() const override { return !ending_; }

  const std::shared_ptr<TargetDevice> device_;
  const NexusIdentity identity_;
  const block::PartyId party_;
  TaskPort& port_;
  NexusObserver& observer_;
  const std::shared_ptr<NexusHandle> handle_;
  block::AccessState access_ = block::AccessState::optimized;  // of its target port
  block::VolumeRequests requests_;
  BlockCommands blocks_;
  UnitCommands pages_;
  ReservationCommands reservations_;
  CopyManager copies_;

  // Guards changes of the two lists and of `counts_`; the reactor thread reads them without it. A
  // leaf.
  mutable std::mutex units_mutex_;
  std::vector<std::shared_ptr<ItlNexus>> units_;    // by LUN
  std::vector<std::shared_ptr<ItlNexus>> leaving_;  // taken away, but tasks are left
  TaskCounts counts_;                               // of units that have been lost
  std::uint64_t seen_luns_ = 0;
  TaskSet stray_;  // to LUNs that name no unit
  std::vector<Wait> waits_;
  std::atomic<std::size_t> outstanding_{0};
  int answering_ = 0;  // a port is being told: units are not let go of meanwhile
  bool ending_ = false;
  bool told_to_finish_ = false;
  std::function<void()> ended_;
};

}  // namespace target::scsi
