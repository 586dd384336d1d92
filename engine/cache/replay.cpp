// ExtentIndex::replay: keys of the log by the million, at recovery.
#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/cache/extent_index.h"
#include "engine/cache/extent_index_parts.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

// One key in one stripe: the stripe's number (40 bits) above the key's position (24 bits).
constexpr unsigned position_bits = 24;
constexpr std::size_t most_keys = std::size_t{1} << position_bits;

std::uint64_t stripe_of(std::uint64_t item) { return item >> position_bits; }
std::size_t position_of(std::uint64_t item) { return item & (most_keys - 1); }

// By stripe, keeping the order inside each: a radix sort over the bits in which stripes differ.
void sort_by_stripe(std::vector<std::uint64_t>& items) {
  constexpr unsigned digit_bits = 11;
  std::uint64_t differing = 0;
  for (const std::uint64_t item : items) differing |= item ^ items.front();
  const auto top = static_cast<unsigned>(std::bit_width(differing));
  std::vector<std::uint64_t> sorted(items.size());
  for (unsigned shift = position_bits; shift < top; shift += digit_bits) {
    std::array<std::uint32_t, 1U << digit_bits> starts{};
    const auto digit = [shift](std::uint64_t item) {
      return (item >> shift) & ((1U << digit_bits) - 1);
    };
    for (const std::uint64_t item : items) ++starts[digit(item)];
    std::uint32_t sum = 0;
    for (std::uint32_t& start : starts) sum += std::exchange(start, sum);
    for (const std::uint64_t item : items) sorted[starts[digit(item)]++] = item;
    items.swap(sorted);
  }
}

}  // namespace

bool ExtentIndex::replay(std::span<const ReplayKey> keys, FragmentVisitor on_displaced) {
  constexpr std::size_t group = 32;  // keys under one lock and one promise
  std::vector<std::uint64_t> items;
  while (!keys.empty()) {
    const auto batch = keys.first(std::min(keys.size(), most_keys));
    keys = keys.subspan(batch.size());
    items.clear();
    items.reserve(batch.size() + batch.size() / 16);
    for (std::size_t at = 0; at < batch.size(); ++at) {
      if (!batch[at].erases) check_extent(batch[at].range, batch[at].value);
      for_parts(batch[at].range,
                [&](const Part& part) { items.push_back((part.number << position_bits) | at); });
    }
    if (items.empty()) continue;
    sort_by_stripe(items);
    const std::span<const std::uint64_t> all(items);
    for (std::size_t at = 0; at < all.size();) {
      std::size_t size = 1;
      while (size < group && at + size < all.size() &&
             stripe_of(all[at + size]) == stripe_of(all[at])) {
        ++size;
      }
      // The keys of the next group are all over memory.
      for (std::size_t next = at + size; next < std::min(at + size + group, all.size()); ++next) {
        __builtin_prefetch(&batch[position_of(all[next])]);
      }
      if (!replay_part(batch, all.subspan(at, size), on_displaced)) return false;
      at += size;
    }
  }
  return true;
}

bool ExtentIndex::replay_part(std::span<const ReplayKey> keys, std::span<const std::uint64_t> items,
                              FragmentVisitor on_displaced) {
  const std::uint64_t number = stripe_of(items.front());
  const auto slabs =
      Stripe::leaves_slabs + Stripe::publish_slabs * static_cast<std::uint32_t>(items.size());
  if (!memory_.promise(slabs)) return false;
  StripeShard& shard = shard_of(number);
  std::unique_lock lock(shard.lock);
  StripeSlot* slot = shard.find(number);
  while (slot == nullptr) {
    if (shard.has_room()) {
      slot = &shard.insert(number);
      break;
    }
    lock.unlock();
    if (!make_room(shard)) {
      memory_.unpromise(slabs);
      return false;
    }
    lock.lock();
    slot = shard.find(number);
  }
  Stripe stripe = shard.stripe(memory_, *slot);
  const std::uint64_t base = number * stripe_sectors;
  for (const std::uint64_t item : items) {
    const ReplayKey& key = keys[position_of(item)];
    const std::uint64_t from = std::max(key.range.begin.value, base);
    const std::uint64_t to = std::min(key.range.end().value, base + stripe_sectors);
    const auto begin = static_cast<std::uint32_t>(from - base);
    const auto end = static_cast<std::uint32_t>(to - base);
    if (key.erases) {
      stripe.erase(begin, end, on_displaced);
    } else {
      const ExtentValue value = key.value.advanced(Sector{from} - key.range.begin);
      stripe.publish(begin, end, value, on_displaced);
    }
  }
  tidy(shard, *slot, stripe);
  lock.unlock();
  memory_.unpromise(slabs);
  return true;
}

}  // namespace engine
