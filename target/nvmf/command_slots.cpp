#include "target/nvmf/command_slots.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target::nvmf {

CommandSlots::CommandSlots() : free_(&first_) {}

void CommandSlots::grow(std::uint32_t entries) {
  CHECK(used_ids_ == nullptr && entries >= 1 && entries <= most_entries);
  used_ids_ = std::make_unique<std::bitset<65536>>();
  entries_ = entries;
  free_ = nullptr;  // the first slot is not used again: the queue's depth is `entries`
  if (first_.state != CommandSlot::State::unused) used_ids_->set(first_.entry.command_id);
}

void CommandSlots::make_block() {
  const std::uint32_t count = std::min(block_slots, entries_ - made_);
  blocks_.push_back(std::make_unique<CommandSlot[]>(count));
  for (std::uint32_t i = count; i-- != 0;) {
    CommandSlot& slot = blocks_.back()[i];
    slot.index = static_cast<std::uint16_t>(made_ + i + 1);
    slot.next = free_;
    free_ = &slot;
  }
  made_ += count;
}

bool CommandSlots::in_use(std::uint16_t command_id) const {
  if (used_ids_ != nullptr) return used_ids_->test(command_id);
  return first_.state != CommandSlot::State::unused && first_.entry.command_id == command_id;
}

CommandSlot& CommandSlots::take(std::uint16_t command_id) {
  if (free_ == nullptr) make_block();
  CommandSlot& slot = *free_;
  free_ = slot.next;
  slot.next = nullptr;
  if (used_ids_ != nullptr) used_ids_->set(command_id);
  ++outstanding_;
  return slot;
}

void CommandSlots::give_back(CommandSlot& slot) {
  CHECK(slot.state != CommandSlot::State::unused);
  if (used_ids_ != nullptr) used_ids_->reset(slot.entry.command_id);
  slot.state = CommandSlot::State::unused;
  slot.capsule_bytes = 0;
  slot.data_bytes = 0;
  slot.request.volume = nullptr;
  --outstanding_;
  if (&slot == &first_ && used_ids_ != nullptr) return;
  slot.next = free_;
  free_ = &slot;
}

CommandSlot* CommandSlots::at(std::uint32_t index) {
  if (index == 0) return &first_;
  if (index > made_) return nullptr;
  return &blocks_[(index - 1) / block_slots][(index - 1) % block_slots];
}

}  // namespace target::nvmf
