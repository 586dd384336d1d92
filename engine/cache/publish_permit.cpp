#include "engine/cache/publish_permit.h"

#include <new>

#include "engine/cache/extent_index.h"
#include "engine/cache/extent_index_parts.h"

namespace engine {

void PublishPermit::abandon() noexcept {
  if (index_ == nullptr) return;
  index_->unpin(range_);
  index_->memory_.unpromise(slabs_);
  index_ = nullptr;
}

std::uint32_t ExtentIndex::slabs_for(SectorRange range) {
  CHECK(!range.empty());
  CHECK((range.end().value - 1) / stripe_sectors < StripeSlot::most_stripes);
  std::uint32_t slabs = 0;
  for_parts(range, [&](const Part& part) {
    const bool is_whole = part.end - part.begin == stripe_sectors;
    slabs += is_whole ? Stripe::whole_slabs : Stripe::publish_slabs;
  });
  return slabs;
}

std::optional<PublishPermit> ExtentIndex::prepare(SectorRange range) {
  const std::uint32_t slabs = slabs_for(range);
  if (!memory_.promise(slabs)) return std::nullopt;
  return pin_all(range, slabs);
}

std::optional<PublishPermit> ExtentIndex::prepare(SectorRange range, TurnStock& ahead) {
  const std::uint32_t slabs = slabs_for(range);
  const auto ask = [this](std::uint64_t amount, TurnStock::What what) {
    const auto more = static_cast<std::uint32_t>(amount);
    return what == TurnStock::What::ahead ? memory_.promise_ahead(more) : memory_.promise(more);
  };
  if (!ahead.take(slabs, ask)) return std::nullopt;
  return pin_all(range, slabs);
}

// Gives the promise back if it cannot be.
std::optional<PublishPermit> ExtentIndex::pin_all(SectorRange range, std::uint32_t promised) {
  SectorCount pinned;
  bool failed = false;
  for_parts(range, [&](const Part& part) {
    failed = failed || !pin(part);
    if (!failed) pinned = part.offset + part.range().count;
  });
  if (failed) {
    unpin({range.begin, pinned});
    memory_.unpromise(promised);
    return std::nullopt;
  }
  return PublishPermit(*this, range, promised);
}

// Whatever needs memory from outside is done without the lock, and then looked at again.
bool ExtentIndex::pin(const Part& part) {
  bool leaves_promised = false;
  Pinning result = try_pin(part, leaves_promised);
  while (result == Pinning::no_room || result == Pinning::no_memory) {
    if (result == Pinning::no_room) {
      if (!make_room(shard_of(part.number))) break;
    } else {
      leaves_promised = memory_.promise(Stripe::leaves_slabs);
      if (!leaves_promised) break;
    }
    result = try_pin(part, leaves_promised);
  }
  if (leaves_promised) memory_.unpromise(Stripe::leaves_slabs);
  return result == Pinning::done;
}

// `leaves_promised`: the caller has leaves_slabs to give; false afterwards if the stripe took them.
ExtentIndex::Pinning ExtentIndex::try_pin(const Part& part, bool& leaves_promised) {
  StripeShard& shard = shard_of(part.number);
  const std::lock_guard guard(shard.lock);
  StripeSlot* slot = shard.find(part.number);
  if (slot == nullptr && !shard.has_room()) return Pinning::no_room;
  if (slot != nullptr && slot->pins == StripeSlot::most_pins) return Pinning::too_many;
  const std::uint32_t shape = slot == nullptr ? 0 : slot->shape;
  const std::uint32_t pins = slot == nullptr ? 0 : slot->pins;
  const bool may_need_leaves = shape != StripeSlot::in_leaves &&
                               (slot == nullptr || slot->leaves_promised == 0) &&
                               shape + 2 * (pins + 1) > StripeSlot::most_flat;
  if (may_need_leaves && !leaves_promised && !memory_.promise_from_free(Stripe::leaves_slabs)) {
    return Pinning::no_memory;
  }
  if (slot == nullptr) slot = &shard.insert(part.number);
  if (may_need_leaves) {
    slot->leaves_promised = 1;
    leaves_promised = false;
  }
  ++slot->pins;
  shard.stripe(memory_, *slot).prefetch_run(part.begin);
  return Pinning::done;
}

void ExtentIndex::unpin(SectorRange range) {
  for_parts(range, [&](const Part& part) {
    StripeShard& shard = shard_of(part.number);
    const std::lock_guard guard(shard.lock);
    StripeSlot* slot = shard.find(part.number);
    CHECK(slot != nullptr);
    --slot->pins;
    Stripe stripe = shard.stripe(memory_, *slot);
    tidy(shard, *slot, stripe);
  });
}

bool ExtentIndex::make_room(StripeShard& shard) {
  std::uint32_t capacity = 0;
  {
    const std::lock_guard guard(shard.lock);
    capacity = shard.next_capacity();
  }
  std::unique_ptr<StripeSlot[]> slots(new (std::nothrow) StripeSlot[capacity]);
  if (slots == nullptr) return false;
  const std::lock_guard guard(shard.lock);
  // Another thread may have been faster; then this one is too small, or not needed any more.
  if (capacity == shard.next_capacity() && !shard.has_room()) {
    memory_.add_tables((capacity - shard.slots().size()) * sizeof(StripeSlot));
    slots = shard.adopt(std::move(slots), capacity);
  }
  return true;
}

}  // namespace engine
