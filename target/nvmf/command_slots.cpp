#include "target/nvmf/command_slots.h"

#include "engine/foundation/check.h"

namespace target::nvmf {

CommandSlots::CommandSlots() : free_(&first_) {}

void CommandSlots::grow(std::uint32_t entries) {
  CHECK(slots_ == nullptr && entries >= 1 && entries <= most_entries);
  slots_ = std::make_unique<CommandSlot[]>(entries);
  used_ids_ = std::make_unique<std::bitset<65536>>();
  entries_ = entries;
  // The first slot is not used again: the queue's depth is `entries`.
  free_ = nullptr;
  for (std::uint32_t i = entries; i-- != 0;) {
    slots_[i].index = static_cast<std::uint16_t>(i + 1);
    slots_[i].next = free_;
    free_ = &slots_[i];
  }
  if (first_.state != CommandSlot::State::unused) used_ids_->set(first_.entry.command_id);
}

bool CommandSlots::in_use(std::uint16_t command_id) const {
  if (used_ids_ != nullptr) return used_ids_->test(command_id);
  return first_.state != CommandSlot::State::unused && first_.entry.command_id == command_id;
}

CommandSlot& CommandSlots::take(std::uint16_t command_id) {
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
  slot.step = 0;
  --outstanding_;
  if (&slot == &first_ && slots_ != nullptr) return;
  slot.next = free_;
  free_ = &slot;
}

CommandSlot* CommandSlots::at(std::uint32_t index) {
  if (index == 0) return &first_;
  return index <= entries_ ? &slots_[index - 1] : nullptr;
}

}  // namespace target::nvmf
