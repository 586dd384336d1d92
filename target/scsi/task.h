// A SCSI command in flight and the duty to answer it: what a transport (bytes and data transfers)
// and a Nexus (what the command means) hand to each other. Reactor thread of the connection only.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/pinned_read.h"
#include "protocol/scsi/lun.h"
#include "protocol/scsi/sense.h"
#include "protocol/scsi/status.h"
#include "target/block/data_sums.h"
#include "target/block/extent.h"
#include "target/block/volume_request.h"
#include "target/reactor/reactor.h"

namespace target::scsi {

class ItlNexus;
class TaskPort;

// SAM-5, "Task attributes". A task that must wait for others (Ordered, and Simple ones behind it)
// is the Nexus's to hold.
enum class TaskAttribute : std::uint8_t { untagged, simple, ordered, head_of_queue, aca };

// Which way the host says that data goes; both at once is refused by the transport (no command here
// has it).
enum class DataDirection : std::uint8_t { none, from_host, to_host };

// One slot of a connection, preallocated: nothing is allocated for a command.
struct Task {
  Task() : later(*this) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // SPC allows longer ones; none that is served here has more, and the transport refuses them.
  std::array<std::byte, 16> cdb{};
  protocol::scsi::Lun lun;
  std::uint32_t tag = 0;  // the transport's name of the task: iSCSI's Initiator Task Tag
  TaskAttribute attribute = TaskAttribute::simple;
  DataDirection direction = DataDirection::none;
  // What the host expects to be moved, bytes (iSCSI: Expected Data Transfer Length): it never sends
  // or takes more.
  std::uint32_t expected_bytes = 0;
  // What the command moves as its CDB says, bytes: the Nexus's, before it answers. The transport
  // makes the residual of the difference (RFC 7143, 11.4.5).
  std::uint32_t command_bytes = 0;

  // Data of the command: from the host once data_ready() says so, or to the host.
  engine::BufferLease buffer;
  std::uint32_t data_bytes = 0;  // how much of `buffer` has come from the host
  block::DataSums sums;          // of data that has come, or is to go, with a digest

  // How sense data is to be encoded, of a task that ends with it: the Nexus's, before it answers.
  protocol::scsi::SenseFormat sense_format = protocol::scsi::SenseFormat::fixed;

  // The Nexus's, from here to `port`; whoever reuses the slot leaves them as the last task did.
  // Before execute() the transport sets `request.volume` to what Nexus::volume_of() says, or null;
  // it stays so until the task ends, and the buffer is counted towards it.
  block::VolumeRequest request;
  ItlNexus* itl = nullptr;   // the logical unit's side of the nexus; nullptr: its LUN names none
  block::Extent rest;        // blocks still to be done, by commands made of several requests
  bool held = false;         // it waits for tasks before it (SAM-5, ordered tasks)
  bool aborted = false;      // it is not answered any more, only ended
  bool unabortable = false;  // it changes reservations: who preempts its nexus does not wait for it
  boost::intrusive::list_member_hook<> set_hook;
  // What a command made of many requests does next, in a later turn: neither the stack nor a turn
  // gets longer by them.
  struct Later final : Posted {
    explicit Later(Task& of) : task(of) {}
    void run() override { go(task); }
    Task& task;
    void (*go)(Task& task) noexcept = nullptr;
  };
  Later later;

  TaskPort* port = nullptr;
};

// The duty to end one task: move-only; ends by respond..() or drop(), or is parked in the task
// while the engine works on it. Destroying one that has not ended is a bug and ends the process.
class TaskPermit {
 public:
  explicit TaskPermit(Task& task) : task_(&task) {}
  TaskPermit(TaskPermit&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  TaskPermit& operator=(TaskPermit&&) = delete;
  ~TaskPermit() { CHECK(task_ == nullptr); }

  [[nodiscard]] Task& task() const { return *task_; }

  // Leaves the duty with the task itself; whoever completes it calls resume().
  Task& park() { return *std::exchange(task_, nullptr); }
  static TaskPermit resume(Task& task) { return TaskPermit(task); }

  // Has the first `bytes` of the host's data brought (what came unasked is there already), or as
  // many as it expects to send if those are fewer: Nexus::data_ready() is called when they are in
  // task.buffer, maybe from inside this call.
  void receive_from_host(std::uint32_t bytes);
  // Leases `bytes` of buffer for data to the host: data_ready() is called when there is one, maybe
  // from inside.
  void lease_for_host(std::uint32_t bytes);

  // Each ends the task. GOOD, or another status without data.
  void respond(protocol::scsi::Status status);
  // CHECK CONDITION.
  void respond(const protocol::scsi::Sense& sense);
  // The first `bytes` of task.buffer, no more than the host expects, then GOOD; or CHECK CONDITION
  // behind them.
  void respond_with_data(std::uint32_t bytes);
  void respond_with_data(std::uint32_t bytes, const protocol::scsi::Sense& sense);
  // Whether respond_in_place() may end the task with so much. If not: lease_for_host().
  [[nodiscard]] bool may_respond_in_place(std::uint32_t bytes) const;
  // The same as respond_with_data(), with all of a read from where it lies; its checksum is there
  // if the port wants digests of data.
  void respond_in_place(engine::PinnedRead read);
  // Of an aborted task, and when its session has ended: nothing is said of it.
  void drop();

 private:
  Task* task_;
};

// The connection, as a Nexus sees it.
class TaskPort {
 public:
  virtual void receive_from_host(Task& task, std::uint32_t bytes) = 0;
  virtual void lease_for_host(Task& task, std::uint32_t bytes) = 0;
  virtual void respond(Task& task, protocol::scsi::Status status) = 0;
  virtual void respond(Task& task, const protocol::scsi::Sense& sense) = 0;
  // `sense`: nullptr for GOOD.
  virtual void respond_with_data(Task& task, std::uint32_t bytes,
                                 const protocol::scsi::Sense* sense) = 0;
  [[nodiscard]] virtual bool may_respond_in_place(const Task& task, std::uint32_t bytes) const = 0;
  virtual void respond_in_place(Task& task, engine::PinnedRead read) = 0;
  virtual void drop(Task& task) = 0;

  // Takes a task that waits for a buffer, or for the host's data, back from the transport: true,
  // and it is the Nexus's to end again. False: the transport does not hold it.
  [[nodiscard]] virtual bool take_back(Task& task) = 0;
  // Data to the host carries digests, so checksums of what is read are wanted.
  [[nodiscard]] virtual bool wants_sums() const = 0;
  [[nodiscard]] virtual Reactor& reactor() = 0;

 protected:
  ~TaskPort() = default;
};

inline void TaskPermit::receive_from_host(std::uint32_t bytes) {
  Task& task = park();
  task.port->receive_from_host(task, bytes);
}
inline void TaskPermit::lease_for_host(std::uint32_t bytes) {
  Task& task = park();
  task.port->lease_for_host(task, bytes);
}
inline void TaskPermit::respond(protocol::scsi::Status status) {
  Task& task = park();
  task.port->respond(task, status);
}
inline void TaskPermit::respond(const protocol::scsi::Sense& sense) {
  Task& task = park();
  task.port->respond(task, sense);
}
inline void TaskPermit::respond_with_data(std::uint32_t bytes) {
  Task& task = park();
  task.port->respond_with_data(task, bytes, nullptr);
}
inline void TaskPermit::respond_with_data(std::uint32_t bytes, const protocol::scsi::Sense& sense) {
  Task& task = park();
  task.port->respond_with_data(task, bytes, &sense);
}
inline bool TaskPermit::may_respond_in_place(std::uint32_t bytes) const {
  return task_->port->may_respond_in_place(*task_, bytes);
}
inline void TaskPermit::respond_in_place(engine::PinnedRead read) {
  Task& task = park();
  task.port->respond_in_place(task, std::move(read));
}
inline void TaskPermit::drop() {
  Task& task = park();
  task.port->drop(task);
}

}  // namespace target::scsi
