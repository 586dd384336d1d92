// A command in flight and the duty to answer it: what a Connection (bytes and data transfers) and a
// CommandExecutor (what the command means) hand to each other. Reactor thread of the connection
// only.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/pinned_read.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/status.h"
#include "target/block/data_sums.h"
#include "target/block/volume_request.h"
#include "target/net/end_reason.h"
#include "target/net/link_info.h"

namespace target {
class Reactor;
struct HostCounters;
}  // namespace target

namespace target::nvmf {

class CommandPort;
struct CommandEra;

// One slot of a queue. The Connection preallocates as many as the queue is deep; nothing is
// allocated for a command.
struct Command {
  protocol::nvme::SubmissionEntry entry;
  // Data of the command: from the host once data_ready() says so, or to the host. Empty when it has
  // none.
  engine::BufferLease buffer;
  std::uint32_t data_bytes = 0;  // how much of `buffer` is the command's
  block::DataSums sums;          // of data that has come, or is to go, with a digest

  // The executor's. Its `volume` is set before data is asked for: the connection counts the buffer
  // towards what this volume holds.
  block::VolumeRequest request;
  void* context = nullptr;        // the executor's pointer back to itself
  CommandEra* era = nullptr;      // NamespaceUse's, while the volume works on it
  std::uint32_t data_offset = 0;  // where in `buffer` the data begins that the request is for
  Command* partner = nullptr;     // the other half of a fused pair, from when both have come

  CommandPort* port = nullptr;
};

// The duty to answer one command: move-only; ends by respond(), respond_with_data() or
// respond_in_place(), or is parked in the command while the engine works on it. Destroying an
// unanswered permit is a bug and ends the process.
class CommandPermit {
 public:
  explicit CommandPermit(Command& command) : command_(&command) {}
  CommandPermit(CommandPermit&& other) noexcept
      : command_(std::exchange(other.command_, nullptr)) {}
  CommandPermit& operator=(CommandPermit&&) = delete;
  ~CommandPermit() { CHECK(command_ == nullptr); }

  [[nodiscard]] Command& command() const { return *command_; }

  // Leaves the duty with the command itself; whoever completes it calls resume(). For requests to
  // the engine.
  Command& park() { return *std::exchange(command_, nullptr); }
  static CommandPermit resume(Command& command) { return CommandPermit(command); }

  // Has `bytes` of data brought from the host (in-capsule data that is there already, or R2Ts): the
  // executor's data_ready() is called when all of it is in command.buffer, maybe from inside this
  // call.
  void receive_from_host(std::uint32_t bytes);
  // Leases `bytes` of buffer for data to the host: data_ready() is called when there is one, maybe
  // from inside.
  void lease_for_host(std::uint32_t bytes);
  // Ends the command. `result` is dwords 0 and 1 of the completion (CDW0 low).
  void respond(protocol::nvme::Status status, std::uint64_t result = 0);
  // Sends the first `bytes` of command.buffer to the host, then success (elided into SUCCESS where
  // allowed).
  void respond_with_data(std::uint32_t bytes, std::uint64_t result = 0);
  // Whether respond_in_place() may end the command with so much. If not: lease_for_host().
  [[nodiscard]] bool may_respond_in_place(std::uint32_t bytes) const;
  // The same, with all of a read from where it lies; its checksum is there if the link has data
  // digests.
  void respond_in_place(engine::PinnedRead read);

 private:
  Command* command_;
};

// Set when Connect has been accepted: from then on the connection is this queue.
struct QueueBinding {
  std::uint16_t qid = 0;
  std::uint32_t entries = 1;  // SQSIZE + 1
  bool sq_flow_control_disabled =
      false;  // CATTR bit 2: SQHD is not reported; SUCCESS may elide responses
  // Where what is answered well is counted beside its volume, if anywhere; as long as the executor.
  HostCounters* host = nullptr;
};

// The Connection, as executors see it.
class CommandPort {
 public:
  virtual void receive_from_host(Command& command, std::uint32_t bytes) = 0;
  virtual void lease_for_host(Command& command, std::uint32_t bytes) = 0;
  virtual void respond(Command& command, protocol::nvme::Status status, std::uint64_t result) = 0;
  virtual void respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) = 0;
  [[nodiscard]] virtual bool may_respond_in_place(const Command& command,
                                                  std::uint32_t bytes) const = 0;
  virtual void respond_in_place(Command& command, engine::PinnedRead read) = 0;

  // Answers a command that waits for a transfer buffer Command Abort Requested; false if there is
  // none of this identifier. Its executor does not hear of it again.
  [[nodiscard]] virtual bool abort_waiting(std::uint16_t command_id) = 0;

  // The first command that waits for a transfer buffer, for this volume; nullptr: none does. It is
  // the executor's to answer then, by CommandPermit::resume().
  [[nodiscard]] virtual Command* take_waiting(const block::BlockVolume& volume) = 0;

  // Before the Connect command is answered with success.
  virtual void bind(const QueueBinding& binding) = 0;
  // Sends what is queued, then closes. Parked commands may still be answered, into nothing.
  virtual void end(EndReason reason) = 0;
  [[nodiscard]] virtual const LinkInfo& link() const = 0;
  [[nodiscard]] virtual Reactor& reactor() = 0;

 protected:
  ~CommandPort() = default;
};

// What commands mean. One for each connection, made before the first byte is read.
class CommandExecutor {
 public:
  CommandExecutor() = default;
  CommandExecutor(const CommandExecutor&) = delete;
  CommandExecutor& operator=(const CommandExecutor&) = delete;
  virtual ~CommandExecutor() = default;

  // The volume that the data of a command is for, as far as its entry tells; nullptr: none. Asked
  // before in-capsule data is read, so that it counts towards what the volume may hold.
  [[nodiscard]] virtual block::BlockVolume* volume_of(const Command& command) = 0;
  // What a command is answered that is sent back before it is read as a whole, because its volume
  // hangs: the host should try again, after a while.
  [[nodiscard]] virtual protocol::nvme::Status try_later(const Command& command) = 0;
  // A command capsule arrived; its in-capsule data, if any, is in command.buffer already.
  virtual void execute(CommandPermit permit) = 0;
  // What receive_from_host() or lease_for_host() asked for is there.
  virtual void data_ready(CommandPermit permit) = 0;
  // A capsule that has its place in the queue has been answered without execute(): its identifier
  // is in use, or its data is not there. For those that ask what stands next to each other.
  virtual void not_executed(const protocol::nvme::SubmissionEntry& /*entry*/) {}
  // The Connection is about to answer a command itself, or to drop it, between receive_from_host()
  // and data_ready(): its partner will have to do without.
  virtual void partner_lost(Command& /*command*/) {}
  // Called once; no further execute() or data_ready(). The executor cancels what has not started;
  // commands in the engine are still resumed and answered (into nothing). The Connection and its
  // slots live until all are.
  virtual void connection_ended(EndReason reason) = 0;
  // A PDU came with a wrong digest: for the counters of whose connection it is.
  virtual void digest_failed() {}
};

inline void CommandPermit::receive_from_host(std::uint32_t bytes) {
  Command& command = park();
  command.port->receive_from_host(command, bytes);
}
inline void CommandPermit::lease_for_host(std::uint32_t bytes) {
  Command& command = park();
  command.port->lease_for_host(command, bytes);
}
inline void CommandPermit::respond(protocol::nvme::Status status, std::uint64_t result) {
  Command& command = park();
  command.port->respond(command, status, result);
}
inline void CommandPermit::respond_with_data(std::uint32_t bytes, std::uint64_t result) {
  Command& command = park();
  command.port->respond_with_data(command, bytes, result);
}
inline bool CommandPermit::may_respond_in_place(std::uint32_t bytes) const {
  return command_->port->may_respond_in_place(*command_, bytes);
}
inline void CommandPermit::respond_in_place(engine::PinnedRead read) {
  Command& command = park();
  command.port->respond_in_place(command, std::move(read));
}

}  // namespace target::nvmf
