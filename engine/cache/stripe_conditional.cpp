// The operations of a Stripe that look before they change, and its invariants.
#include <algorithm>
#include <array>

#include "engine/cache/stripe.h"
#include "engine/foundation/check.h"

namespace engine {

bool belongs(const IndexEntry& entry, const Owner& owner, std::uint32_t begin) {
  if (entry.is_zero() != (owner.kind == ExtentKind::zero)) return false;
  if (owner.clean_only && entry.dirty()) return false;
  if (entry.is_zero()) return entry.place() == owner.place.value;
  return entry.place() + begin == owner.place.value + entry.begin();
}

void Stripe::for_parts(std::uint32_t begin, std::uint32_t end,
                       FunctionRef<bool(std::uint32_t, IndexEntry&)> wanted,
                       FunctionRef<void(std::uint32_t, std::uint32_t)> act) {
  // In leaves, one leaf at a time: at most an entry for each sector.
  std::array<TakenPart, LeafTable::leaf_sectors> parts;
  static_assert(parts.size() >= StripeSlot::most_flat);
  for (std::uint32_t at = begin; at < end;) {
    std::uint32_t last = end;
    if (in_leaves()) {
      last = std::min(end, (at / LeafTable::leaf_sectors + 1) * LeafTable::leaf_sectors);
    }
    std::size_t count = 0;
    visit(at, last, [&](std::uint32_t from, std::uint32_t to, IndexEntry* entry) {
      if (entry == nullptr || !wanted(to - from, *entry)) return;
      parts[count++] = {static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to)};
    });
    for (std::size_t i = 0; i < count; ++i) act(parts[i].begin, parts[i].end);
    at = last;
  }
}

void Stripe::erase_if(std::uint32_t begin, std::uint32_t end, const Owner& owner,
                      FragmentVisitor on_displaced) {
  for_parts(
      begin, end, [&](std::uint32_t, IndexEntry& entry) { return belongs(entry, owner, begin); },
      [&](std::uint32_t from, std::uint32_t to) { erase(from, to, on_displaced); });
}

std::uint64_t Stripe::mark_clean(std::uint32_t begin, std::uint32_t end, const Owner& owner,
                                 CleanZeros zeros) {
  const bool drop = owner.kind == ExtentKind::zero && zeros == CleanZeros::drop;
  std::uint64_t cleaned = 0;
  for_parts(
      begin, end,
      [&](std::uint32_t sectors, IndexEntry& entry) {
        if (!entry.dirty() || !belongs(entry, owner, begin)) return false;
        cleaned += sectors;
        if (drop || sectors != entry.length()) return true;
        entry.set_dirty(false);
        return false;
      },
      [&](std::uint32_t from, std::uint32_t to) {
        if (drop) return erase(from, to, [](const Fragment&) {});
        ExtentValue value;
        visit(from, to, [&](std::uint32_t, std::uint32_t, IndexEntry* entry) {
          value = entry->clipped(from, to).value();
        });
        value.dirty = false;
        publish(from, to, value, [](const Fragment&) {});
      });
  return cleaned;
}

void Stripe::check_invariants() const {
  CHECK(slot_.shape <= StripeSlot::most_flat || in_leaves());
  CHECK(slot_.leaves_promised == 0 || (slot_.pins > 0 && !in_leaves()));
  std::uint32_t before = 0;
  std::uint32_t entries = 0;
  const auto check_run = [&](std::span<const IndexEntry> run, RunWindow window) {
    for (const IndexEntry& entry : run) {
      CHECK(entry.begin() >= before);
      CHECK(entry.begin() >= window.begin);
      CHECK(entry.end() <= window.end());
      if (entry.is_zero()) {
        CHECK(entry.origin() == 0);
      } else {
        CHECK(entry.origin() + entry.length() <= largest_extent_sectors);
      }
      before = entry.end();
      ++entries;
    }
  };
  if (!in_leaves()) {
    check_run(flat_run(), {});
    return;
  }
  for (std::uint32_t leaf = 0; leaf < LeafTable::leaves; ++leaf) {
    const LeafTable::Leaf run = table().get(leaf);
    CHECK((run.handle == 0) == (run.size == 0));
    CHECK(run.size == 0 || run.size <= store_.memory().capacity(run.handle));
    check_run(leaf_run(run), {leaf * LeafTable::leaf_sectors, LeafTable::leaf_log2});
  }
  CHECK(entries == table().entries);
  CHECK(entries > 0 || slot_.pins > 0);
}

}  // namespace engine
