// CopyCommands: the Copy commands of one I/O queue (NVM Command Set 1.1, "Copy command").
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "protocol/nvme/copy.h"
#include "target/block/volume_copy.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

// Reactor thread only. The source ranges of a command are copied one after the other, each as soon
// as it may be; what one command has copied stays when a later range fails. No more than
// `most_at_once` are under way, the others wait, parked. Memory is allocated for each.
class CopyCommands final : private block::VolumeCopy::Owner {
 public:
  // Its I/O queue.
  class Queue {
   public:
    // Where a range comes from and goes to, if that is allowed now: both namespaces are there, can
    // be reached, and no reservation is against it.
    struct Place {
      block::BlockVolume* from = nullptr;
      block::BlockVolume* to = nullptr;
    };
    [[nodiscard]] virtual protocol::nvme::Parsed<Place> place_of_copy(
        const Command& command, const protocol::nvme::CopySource& source) = 0;
    [[nodiscard]] virtual bool copy_may_go_on() const = 0;
    // The status of what the volume has not done.
    [[nodiscard]] virtual protocol::nvme::Status copy_failure(engine::IoStatus outcome,
                                                              engine::VolumeIo::Kind kind) = 0;
    [[nodiscard]] virtual protocol::nvme::Status copy_busy() const = 0;
    // To be answered. Success, or dword0 of the refusal is the lowest source range that has not
    // been copied.
    virtual void copy_ended(Command& command, const protocol::nvme::Refusal& result) = 0;

   protected:
    ~Queue() = default;
  };

  // All outlive it.
  CopyCommands(Queue& queue, block::VolumeRequests& requests, Reactor& reactor)
      : queue_(queue), requests_(requests), reactor_(reactor) {}
  CopyCommands(const CopyCommands&) = delete;
  CopyCommands& operator=(const CopyCommands&) = delete;

  static constexpr std::size_t most_at_once = 4;

  // The command has its data, at data_offset of its buffer, and all of it has been checked.
  void start(Command& command, const protocol::nvme::Copy& copy);
  // True: it waited, or one of its pieces did, and has been answered with `status`.
  [[nodiscard]] bool abort(std::uint16_t command_id, protocol::nvme::Status status);
  // The same for all those to that volume.
  void preempted(const block::BlockVolume& volume);
  // The queue has ended: those that wait are answered. The others come to their end by themselves.
  void end();

 private:
  struct Copying {
    Copying(CopyCommands& owner, Command& of, const protocol::nvme::Copy& what)
        : command(of),
          copy(what),
          next_block(what.destination),
          copier(owner, owner.requests_, owner.reactor_) {}
    Command& command;
    const protocol::nvme::Copy copy;
    std::uint32_t range = 0;  // the one under way, or the next
    engine::Lba next_block;   // where it goes
    bool is_under_way = false;
    block::VolumeCopy copier;
  };
  using All = std::list<Copying>;

  void begin_waiting();
  void begin_range(Copying& copying);
  [[nodiscard]] protocol::nvme::CopySource source_of(const Copying& copying) const;
  void end(Copying& copying, const protocol::nvme::Refusal& result);
  [[nodiscard]] bool take_back(Copying& copying, protocol::nvme::Status status);

  // block::VolumeCopy::Owner
  [[nodiscard]] bool may_go_on(const block::VolumeCopy& /*copy*/) const override {
    return queue_.copy_may_go_on();
  }
  void copy_ended(block::VolumeCopy& copy, block::VolumeCopy::End how,
                  engine::IoStatus outcome) noexcept override;

  Queue& queue_;
  block::VolumeRequests& requests_;
  Reactor& reactor_;
  All all_;  // in the order in which they came
  bool is_beginning_ = false;
};

}  // namespace target::nvmf
