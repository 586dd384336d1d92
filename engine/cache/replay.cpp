// ExtentIndex::replay: keys of the log by the million, at recovery.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/cache/extent_index.h"
#include "engine/cache/extent_index_parts.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

// By stripe, keeping the order inside each: a radix sort over the bits in which stripes differ.
void sort_by_stripe(std::span<ReplayItem> items) {
  constexpr unsigned digit_bits = 11;
  std::uint64_t differing = 0;
  for (const ReplayItem& item : items) differing |= item.stripe ^ items.front().stripe;
  const auto top = static_cast<unsigned>(std::bit_width(differing));
  const auto other = std::make_unique_for_overwrite<ReplayItem[]>(items.size());
  std::span<ReplayItem> from = items;
  std::span<ReplayItem> to(other.get(), items.size());
  for (unsigned shift = 0; shift < top; shift += digit_bits) {
    std::array<std::uint32_t, 1U << digit_bits> starts{};
    const auto digit = [shift](const ReplayItem& item) {
      return (item.stripe >> shift) & ((1U << digit_bits) - 1);
    };
    for (const ReplayItem& item : from) ++starts[digit(item)];
    std::uint32_t sum = 0;
    for (std::uint32_t& start : starts) sum += std::exchange(start, sum);
    for (const ReplayItem& item : from) to[starts[digit(item)]++] = item;
    std::swap(from, to);
  }
  if (from.data() != items.data()) std::ranges::copy(from, items.begin());
}

}  // namespace

bool ExtentIndex::replay(std::span<const ReplayKeys> keys, const ReplayShare& share,
                         FragmentVisitor on_displaced) {
  constexpr std::size_t group = 32;  // keys under one lock and one promise
  const auto is_ours = [&share](std::uint64_t stripe) {
    return (((stripe_hash(stripe) >> 32) * share.count) >> 32) == share.number;
  };
  std::vector<ReplayItem> items;
  std::size_t sum = 0;
  for (const ReplayKeys& some : keys) sum += some.size();
  items.reserve(sum / share.count + sum / 16);
  for (const ReplayKeys& some : keys) {
    for (const ReplayKey& key : some) {
      for_parts(key.range, [&](const Part& part) {
        if (is_ours(part.number)) items.push_back({.stripe = part.number, .key = &key});
      });
    }
  }
  if (items.empty()) return true;
  sort_by_stripe(items);
  const std::span<const ReplayItem> all(items);
  for (std::size_t at = 0; at < all.size();) {
    std::size_t size = 1;
    while (size < group && at + size < all.size() && all[at + size].stripe == all[at].stripe) {
      ++size;
    }
    // The keys of the next group are all over memory.
    for (std::size_t next = at + size; next < std::min(at + size + group, all.size()); ++next) {
      const auto* const bytes = reinterpret_cast<const std::byte*>(all[next].key);
      __builtin_prefetch(bytes);
      __builtin_prefetch(bytes + sizeof(ReplayKey) - 1);
    }
    if (!replay_part(all.subspan(at, size), on_displaced)) return false;
    at += size;
  }
  return true;
}

bool ExtentIndex::replay_part(std::span<const ReplayItem> items, FragmentVisitor on_displaced) {
  const std::uint64_t number = items.front().stripe;
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
  for (const ReplayItem& item : items) {
    const ReplayKey& key = *item.key;
    const std::uint64_t from = std::max(key.range.begin.value, base);
    const std::uint64_t to = std::min(key.range.end().value, base + stripe_sectors);
    const auto begin = static_cast<std::uint32_t>(from - base);
    const auto end = static_cast<std::uint32_t>(to - base);
    if (key.erases) {
      stripe.erase(begin, end, on_displaced);
    } else {
      check_extent(key.range, key.value);
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
