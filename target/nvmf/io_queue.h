// IoQueue: executes the I/O commands of one queue against namespaces. Errors become status in one
// place.
#pragma once

#include <atomic>
#include <cstdint>

#include "target/block/block_volume.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

// ANA states (NVMe Base, Asymmetric Namespace Access); the group of a namespace is its own.
enum class AnaState : std::uint8_t {
  optimized = 1,
  non_optimized = 2,
  inaccessible = 3,
  persistent_loss = 4,
  change = 0xf
};

// A volume under a namespace identifier of one subsystem. Lives as long as the subsystem's table
// says; an I/O queue looks it up for each command and keeps the pointer only until the command
// ends.
struct Namespace {
  std::uint32_t nsid = 0;
  std::uint32_t ana_group = 0;
  block::BlockVolume* volume = nullptr;
  std::atomic<AnaState> ana_state{AnaState::optimized};
};

// Counters of one controller behind SMART (log page 02h); relaxed, any thread.
struct IoCounters {
  std::atomic<std::uint64_t> read_commands{0};
  std::atomic<std::uint64_t> write_commands{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> bytes_written{0};
  std::atomic<std::uint64_t> media_errors{0};
};

// What goes into the error information log (01h) for a failed command.
struct CommandFailure {
  std::uint16_t qid = 0;
  std::uint16_t cid = 0;
  protocol::nvme::Status status;
  std::uint64_t lba = 0;
  std::uint32_t nsid = 0;
  std::uint16_t parameter_location = 0xffff;
};

// The controller, as one of its I/O queues sees it. Thread-safe; outlives the queue.
class IoQueueOwner {
 public:
  // nullptr: no such namespace, or not visible to this host.
  [[nodiscard]] virtual Namespace* find_namespace(std::uint32_t nsid) = 0;
  // nullptr or a status that every I/O command gets now (controller not ready, shutting down).
  [[nodiscard]] virtual bool ready() const = 0;
  virtual void command_failed(const CommandFailure& failure) = 0;
  // Traffic for TBKAS (keep-alive by traffic): a relaxed store.
  virtual void note_traffic() = 0;
  [[nodiscard]] virtual IoCounters& counters() = 0;
  // Largest data transfer of one command (MDTS), bytes.
  [[nodiscard]] virtual std::uint32_t largest_transfer_bytes() const = 0;

 protected:
  ~IoQueueOwner() = default;
};

// One for each I/O connection; reactor thread only. The QueueSession forwards to it once Connect is
// accepted.
class IoQueue {
 public:
  IoQueue(IoQueueOwner& owner, CommandPort& port, std::uint16_t qid);
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;
  ~IoQueue();

  void execute(CommandPermit permit);
  void data_ready(CommandPermit permit);
  // Cancels every write that still waits for another: the association is dead, it must never start.
  void end();
  // Abort (NVMe Base): true if the command was still waiting and is now answered Command Abort
  // Requested.
  [[nodiscard]] bool abort(std::uint16_t cid);
  // Commands parked in the engine or waiting.
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

 private:
  struct Execution;
  IoQueueOwner& owner_;
  CommandPort& port_;
  const std::uint16_t qid_;
  bool ended_ = false;
  std::size_t outstanding_ = 0;
};

}  // namespace target::nvmf
