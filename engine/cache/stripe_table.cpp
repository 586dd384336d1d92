#include "engine/cache/stripe_table.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {

StripeSlot* StripeShard::find(std::uint64_t number) {
  if (capacity_ == 0) return nullptr;
  for (std::uint32_t at = home(number);; at = after(at)) {
    StripeSlot& slot = slots_[at];
    if (slot.shape == StripeSlot::vacant) return nullptr;
    if (slot.number() == number) return &slot;
  }
}

StripeSlot& StripeShard::insert(std::uint64_t number) {
  DCHECK(has_room());
  std::uint32_t at = home(number);
  while (slots_[at].shape != StripeSlot::vacant) at = after(at);
  StripeSlot& slot = slots_[at];
  slot.number_low = static_cast<std::uint32_t>(number);
  slot.number_high = static_cast<std::uint8_t>(number >> 32);
  slot.shape = 0;
  ++used_;
  return slot;
}

// Closes the gap: what was pushed past it by collisions moves back.
void StripeShard::remove(StripeSlot& slot) {
  auto gap = static_cast<std::uint32_t>(&slot - slots_.get());
  for (std::uint32_t at = after(gap); slots_[at].shape != StripeSlot::vacant; at = after(at)) {
    const std::uint32_t wanted = home(slots_[at].number());
    const bool stays = gap < at ? (wanted > gap && wanted <= at) : (wanted > gap || wanted <= at);
    if (stays) continue;
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = StripeSlot{};
  --used_;
}

std::uint32_t StripeShard::next_capacity() const {
  return std::max(std::uint32_t{8}, capacity_ + capacity_ / 4);
}

std::unique_ptr<StripeSlot[]> StripeShard::adopt(std::unique_ptr<StripeSlot[]> slots,
                                                 std::uint32_t capacity) {
  std::swap(slots_, slots);
  const std::uint32_t old_capacity = std::exchange(capacity_, capacity);
  used_ = 0;
  for (std::uint32_t at = 0; at < old_capacity; ++at) {
    if (slots[at].shape == StripeSlot::vacant) continue;
    StripeSlot& slot = insert(slots[at].number());
    slot = slots[at];
  }
  return slots;
}

void StripeShard::check_invariants(IndexMemory& memory) {
  std::uint32_t used = 0;
  std::uint32_t entries = 0;
  std::uint32_t units = 0;
  const auto count = [&](IndexMemory::Handle handle) { units += memory.capacity(handle); };
  for (StripeSlot& slot : slots()) {
    if (slot.shape == StripeSlot::vacant) continue;
    ++used;
    CHECK(find(slot.number()) == &slot);
    CHECK(slot.shape != 0 || slot.pins != 0);
    stripe(memory, slot).check_invariants();
    if (slot.shape != StripeSlot::in_leaves) {
      entries += slot.shape;
      if (slot.shape >= 2) count(slot.handle);
      continue;
    }
    const auto& table = *memory.as<LeafTable>(slot.handle);
    entries += table.entries;
    count(slot.handle);
    for (std::uint32_t leaf = 0; leaf < LeafTable::leaves; ++leaf) {
      if (table.get(leaf).size != 0) count(table.get(leaf).handle);
    }
  }
  CHECK(used == used_);
  CHECK(capacity_ == 0 || used_ * 5 <= capacity_ * 4);
  CHECK(entries == held_.entries);
  CHECK(units == held_.units);
}

}  // namespace engine
