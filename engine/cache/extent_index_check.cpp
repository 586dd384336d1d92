// What looks at a whole ExtentIndex: figures, the walk in address order, invariants.
#include <algorithm>
#include <mutex>
#include <vector>

#include "engine/cache/extent_index.h"
#include "engine/cache/extent_index_parts.h"
#include "engine/foundation/check.h"

namespace engine {

void ExtentIndex::for_each(FragmentVisitor visit) {
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t at = 0; at < shard_count_; ++at) {
    StripeShard& shard = shards_[at];
    std::size_t slots = 0;
    {
      const std::lock_guard guard(shard.lock);
      slots = shard.slots().size();
    }
    numbers.reserve(numbers.size() + slots);  // not under the lock; stripes made since do not count
    const std::lock_guard guard(shard.lock);
    for (const StripeSlot& slot : shard.slots()) {
      if (numbers.size() == numbers.capacity()) break;
      if (slot.shape != StripeSlot::vacant) numbers.push_back(slot.number());
    }
  }
  std::sort(numbers.begin(), numbers.end());
  for (const std::uint64_t number : numbers) {
    look_up({Sector{number * stripe_sectors}, SectorCount{stripe_sectors}}, Heat::keep,
            [&](const Piece& piece) {
              if (piece.value) visit(Fragment{piece.range, *piece.value});
            });
  }
}

ExtentIndex::Figures ExtentIndex::figures() {
  Figures sum{.fragments = 0, .bytes = table_bytes()};
  for (std::uint64_t at = 0; at < shard_count_; ++at) {
    const std::lock_guard guard(shards_[at].lock);
    sum.fragments += shards_[at].held().entries;
    sum.bytes.value += std::uint64_t{shards_[at].held().units} * IndexMemory::unit_bytes;
  }
  return sum;
}

ByteCount ExtentIndex::table_bytes() {
  ByteCount sum{sizeof(*this) + shard_count_ * sizeof(StripeShard)};
  for (std::uint64_t at = 0; at < shard_count_; ++at) {
    const std::lock_guard guard(shards_[at].lock);
    sum.value += shards_[at].slots().size() * sizeof(StripeSlot);
  }
  return sum;
}

void ExtentIndex::check_invariants() {
  for (std::uint64_t at = 0; at < shard_count_; ++at) {
    StripeShard& shard = shards_[at];
    const std::lock_guard guard(shard.lock);
    shard.check_invariants(memory_);
    for (const StripeSlot& slot : shard.slots()) {
      CHECK(slot.shape == StripeSlot::vacant || &shard_of(slot.number()) == &shard);
    }
  }
}

}  // namespace engine
