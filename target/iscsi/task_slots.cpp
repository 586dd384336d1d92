#include "target/iscsi/task_slots.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target::iscsi {

void TaskSlots::begin(std::uint32_t depth) {
  CHECK(depth_ == 0 && depth >= 1 && depth <= most_depth);
  depth_ = depth;
}

void TaskSlots::make_block() {
  blocks_.push_back(std::make_unique<TaskSlot[]>(block_slots));
  for (std::uint32_t i = block_slots; i-- != 0;) {
    TaskSlot& slot = blocks_.back()[i];
    slot.index = static_cast<std::uint16_t>(made_ + i);
    slot.next_free = free_;
    free_ = &slot;
  }
  made_ += block_slots;
}

TaskSlot* TaskSlots::find(std::uint32_t tag) {
  const auto found = by_tag_.find(tag);
  return found == by_tag_.end() ? nullptr : &*found;
}

TaskSlot& TaskSlots::take(std::uint32_t tag, bool immediate) {
  CHECK(!full(immediate));
  if (free_ == nullptr) make_block();
  TaskSlot& slot = *free_;
  free_ = slot.next_free;
  slot.tag = tag;
  slot.immediate = immediate;
  // FFFFh would make the tag that means none.
  slot.generation = static_cast<std::uint16_t>((slot.generation + 1) % 0xffff);
  CHECK(by_tag_.insert(slot).second);
  ++outstanding_;
  immediate_ += immediate ? 1 : 0;
  return slot;
}

void TaskSlots::give_back(TaskSlot& slot) {
  CHECK(slot.state != TaskSlot::State::unused);
  by_tag_.erase(by_tag_.iterator_to(slot));
  immediate_ -= slot.immediate ? 1 : 0;
  --outstanding_;
  slot.state = TaskSlot::State::unused;
  slot.next_free = free_;
  free_ = &slot;
}

TaskSlot* TaskSlots::by_transfer_tag(std::uint32_t transfer_tag, std::size_t& window) {
  const std::uint32_t place = transfer_tag & 0xffff;
  const std::uint32_t index = place / HostTransfer::most_windows;
  if (index >= made_) return nullptr;
  TaskSlot& slot = at(index);
  if (slot.state == TaskSlot::State::unused || slot.generation != transfer_tag >> 16) {
    return nullptr;
  }
  window = place % HostTransfer::most_windows;
  return &slot;
}

}  // namespace target::iscsi
