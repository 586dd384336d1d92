// CommandSlots: the commands a queue may have outstanding, and which identifiers they use.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

#include "target/net/host_transfer.h"
#include "target/net/transfer_buffers.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

// A command and what the connection knows of it.
struct CommandSlot : Command, BufferHolder {
  CommandSlot() : BufferHolder(buffer, request.volume) {}

  enum class State : std::uint8_t {
    unused,
    capsule,    // its in-capsule data is arriving, or waits for a buffer
    executing,  // the executor's: in its hands or parked in the engine
    waiting,    // for a transfer buffer
    receiving,  // R2Ts are outstanding
  };
  State state = State::unused;
  bool to_host = false;              // waiting: for a buffer to fill for the host
  std::uint16_t index = 0;           // of this slot; part of the transfer tag
  std::uint32_t capsule_bytes = 0;   // in-capsule data in `buffer`
  std::uint32_t transfer_bytes = 0;  // waiting, receiving: what the executor asked for
  CommandSlot* next = nullptr;       // in the free list
  HostTransfer transfer;
};

// Until grow() there is one slot, for Connect; it stays where it is. The others are made in blocks
// when a host first uses its queue so deeply, and kept: none is made for a command.
class CommandSlots {
 public:
  CommandSlots();
  CommandSlots(const CommandSlots&) = delete;
  CommandSlots& operator=(const CommandSlots&) = delete;

  static constexpr std::uint32_t most_entries = 4096;

  // From now on `entries` commands may be outstanding, 1..most_entries. Once.
  void grow(std::uint32_t entries);

  [[nodiscard]] bool full() const { return free_ == nullptr && made_ == entries_; }
  [[nodiscard]] bool in_use(std::uint16_t command_id) const;
  // Not while full, nor for an identifier in use.
  [[nodiscard]] CommandSlot& take(std::uint16_t command_id);
  void give_back(CommandSlot& slot);
  [[nodiscard]] std::uint32_t outstanding() const { return outstanding_; }

  // nullptr: no such slot.
  [[nodiscard]] CommandSlot* at(std::uint32_t index);
  template <class F>
  void for_each(F&& visit) {
    visit(first_);
    for (std::uint32_t i = 0; i < made_; ++i) visit(blocks_[i / block_slots][i % block_slots]);
  }

 private:
  void make_block();

  static constexpr std::uint32_t block_slots = 32;

  CommandSlot first_;
  std::uint32_t entries_ = 0;
  std::uint32_t made_ = 0;  // of entries_
  std::uint32_t outstanding_ = 0;
  CommandSlot* free_ = nullptr;
  std::vector<std::unique_ptr<CommandSlot[]>> blocks_;
  std::unique_ptr<std::bitset<65536>> used_ids_;  // since grow()
};

}  // namespace target::nvmf
