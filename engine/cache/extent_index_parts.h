// How ExtentIndex walks a range stripe by stripe, each under its lock; for its own sources only.
#pragma once

#include <algorithm>
#include <mutex>

#include "engine/cache/extent_index.h"
#include "engine/foundation/check.h"

namespace engine {

// What the entry has no bits for is a bug of the caller, who has validated keys from media.
inline void check_extent(SectorRange range, const ExtentValue& value) {
  CHECK(value.heat <= hottest);
  CHECK(value.place <= largest_place);
  if (value.kind == ExtentKind::zero) {
    CHECK(value.origin == 0);
  } else {
    CHECK(value.origin + range.count.value <= largest_extent_sectors);
    CHECK(value.place + range.count <= largest_place);
  }
}

template <class Function>
void ExtentIndex::for_parts(SectorRange range, Function function) {
  const std::uint64_t end = range.end().value;
  for (std::uint64_t at = range.begin.value; at < end;) {
    const std::uint64_t number = at / stripe_sectors;
    const std::uint64_t base = number * stripe_sectors;
    const std::uint64_t last = std::min(end, base + stripe_sectors);
    const Part part{.number = number,
                    .begin = static_cast<std::uint32_t>(at - base),
                    .end = static_cast<std::uint32_t>(last - base),
                    .offset = Sector{at} - range.begin};
    function(part);
    at = last;
  }
}

// Stripes that exist, with whatever becomes of them afterwards.
template <class Function>
void ExtentIndex::change(SectorRange range, Function function) {
  for_parts(range, [&](const Part& part) {
    StripeShard& shard = shard_of(part.number);
    const std::lock_guard guard(shard.lock);
    StripeSlot* slot = shard.find(part.number);
    if (slot == nullptr) return;
    Stripe stripe = shard.stripe(memory_, *slot);
    function(stripe, part);
    tidy(shard, *slot, stripe);
  });
}

// The stripes of a permit, each unpinned once it is changed.
template <class Function>
void ExtentIndex::spend(PublishPermit& permit, Function function) {
  CHECK(permit.index_ == this);
  for_parts(permit.range_, [&](const Part& part) {
    StripeShard& shard = shard_of(part.number);
    const std::lock_guard guard(shard.lock);
    StripeSlot* slot = shard.find(part.number);
    CHECK(slot != nullptr);
    Stripe stripe = shard.stripe(memory_, *slot);
    function(stripe, part);
    --slot->pins;
    tidy(shard, *slot, stripe);
  });
  if (permit.slabs_ != 0) memory_.unpromise(permit.slabs_);
  permit.index_ = nullptr;
}

}  // namespace engine
