#include "engine/cache/stripe.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr std::uint32_t leaf_sectors = LeafTable::leaf_sectors;

RunWindow leaf_window(std::uint32_t leaf) {
  return {.begin = leaf * leaf_sectors, .log2 = LeafTable::leaf_log2};
}

void visit_run(std::span<IndexEntry> run, RunWindow window, std::uint32_t begin, std::uint32_t end,
               FunctionRef<void(std::uint32_t, std::uint32_t, IndexEntry*)> piece) {
  std::uint32_t at = begin;
  for (std::size_t i = first_ending_behind(run, window, begin); at < end; ++i) {
    const std::uint32_t next = i < run.size() ? std::min(run[i].begin(), end) : end;
    if (next > at) {
      piece(at, next, nullptr);
      at = next;
    }
    if (at == end) break;
    const std::uint32_t last = std::min(run[i].end(), end);
    piece(at, last, &run[i]);
    at = last;
  }
}

}  // namespace

LeafTable::Leaf LeafTable::get(std::uint32_t leaf) const {
  std::uint64_t word = 0;
  std::memcpy(&word, references + std::size_t{leaf} * reference_bytes, sizeof(word));
  return {.handle = static_cast<std::uint32_t>(word),
          .size = static_cast<std::uint32_t>(word >> 32) & 0xff};
}

void LeafTable::set(std::uint32_t leaf, Leaf value) {
  const std::uint64_t word = (std::uint64_t{value.size} << 32) | value.handle;
  std::memcpy(references + std::size_t{leaf} * reference_bytes, &word, reference_bytes);
}

std::span<IndexEntry> Stripe::flat_run() const {
  if (slot_.shape == 0) return {};
  if (slot_.shape == 1) return {&slot_.single, 1};
  return {store_.entries(slot_.handle), slot_.shape};
}

Fragment Stripe::fragment(const IndexEntry& entry) const {
  return {.range = {Sector{slot_.number() * stripe_sectors + entry.begin()},
                    SectorCount{entry.length()}},
          .value = entry.value()};
}

void Stripe::report(std::span<const IndexEntry> run, const RunCut& cut, std::uint32_t begin,
                    std::uint32_t end, FragmentVisitor on_displaced) const {
  for (std::uint32_t at = cut.first; at < cut.last; ++at) {
    on_displaced(fragment(run[at].clipped(begin, end)));
  }
}

void Stripe::put(std::uint32_t begin, std::uint32_t end, const ExtentValue* value,
                 FragmentVisitor on_displaced) {
  // Other permits that name this stripe rely on its leaves, which a whole stripe does not need.
  const bool relied_on = in_leaves() && slot_.pins > 1;
  if (begin == 0 && end == stripe_sectors && !relied_on) return put_whole(value, on_displaced);
  if (!in_leaves()) {
    const auto run = flat_run();
    const IndexEntry inserted =
        value == nullptr ? IndexEntry{} : IndexEntry(begin, end - begin, *value);
    const RunCut cut = cut_run(run, {}, begin, end, value == nullptr ? nullptr : &inserted);
    if (cut.new_size(run.size()) <= StripeSlot::most_flat) {
      report(run, cut, begin, end, on_displaced);
      return splice_flat(run, cut);
    }
    take_leaves();
  }
  for (std::uint32_t at = begin; at < end;) {
    const std::uint32_t leaf = at / leaf_sectors;
    const std::uint32_t last = std::min(end, (leaf + 1) * leaf_sectors);
    if (value == nullptr) {
      put_in_leaf(leaf, at, last, nullptr, on_displaced);
    } else {
      const IndexEntry inserted(at, last - at, value->advanced(SectorCount{at - begin}));
      put_in_leaf(leaf, at, last, &inserted, on_displaced);
    }
    at = last;
  }
}

void Stripe::put_whole(const ExtentValue* value, FragmentVisitor on_displaced) {
  visit(0, stripe_sectors, [&](std::uint32_t, std::uint32_t, IndexEntry* entry) {
    if (entry != nullptr) on_displaced(fragment(*entry));
  });
  free_all();
  if (value == nullptr) return;
  slot_.single = IndexEntry(0, stripe_sectors, *value);
  slot_.shape = 1;
  ++store_.held().entries;
}

void Stripe::put_in_leaf(std::uint32_t leaf, std::uint32_t begin, std::uint32_t end,
                         const IndexEntry* inserted, FragmentVisitor on_displaced) {
  LeafTable& leaves = table();
  const LeafTable::Leaf old = leaves.get(leaf);
  const auto run = leaf_run(old);
  const RunCut cut = cut_run(run, leaf_window(leaf), begin, end, inserted);
  if (cut.first == cut.last && cut.with_count == 0) return;
  report(run, cut, begin, end, on_displaced);
  const std::uint32_t size = cut.new_size(old.size);
  filled_ = filled_ || inserted != nullptr;
  shrank_ = shrank_ || size < old.size;
  const IndexMemory::Handle handle = store_.splice(old.handle, run, cut);
  if (handle == old.handle && size == old.size)
    return;  // an exact overwrite leaves the table alone
  leaves.entries = static_cast<std::uint16_t>(leaves.entries + size - old.size);
  leaves.set(leaf, {.handle = handle, .size = size});
}

void Stripe::splice_flat(std::span<IndexEntry> run, const RunCut& cut) {
  const std::uint32_t size = cut.new_size(run.size());
  const IndexMemory::Handle old = run.size() >= 2 ? slot_.handle : 0;
  if (size == 1) {
    const IndexEntry only =
        cut.first > 0 ? run[0] : (cut.with_count > 0 ? cut.with[0] : run[cut.last]);
    store_.held().entries += 1 - static_cast<std::uint32_t>(run.size());
    if (old != 0) store_.free(old);
    slot_.single = only;
  } else {
    slot_.handle = store_.splice(old, run, cut);
  }
  slot_.shape = static_cast<std::uint8_t>(size);
}

void Stripe::take_leaves() {
  const auto run = flat_run();
  std::array<IndexEntry, StripeSlot::most_flat> entries;
  std::copy(run.begin(), run.end(), entries.begin());
  const IndexMemory::Handle handle = store_.allocate(sizeof(LeafTable) / IndexMemory::unit_bytes);
  auto& leaves = *store_.memory().as<LeafTable>(handle);
  leaves = {};
  std::array<IndexEntry, StripeSlot::most_flat> parts;
  std::uint32_t size = 0;
  const auto close = [&](std::uint32_t leaf) {
    if (size == 0) return;
    const IndexMemory::Handle block = store_.allocate(size);
    std::copy_n(parts.begin(), size, store_.entries(block));
    leaves.set(leaf, {.handle = block, .size = size});
    leaves.entries = static_cast<std::uint16_t>(leaves.entries + size);
    size = 0;
  };
  std::uint32_t leaf = 0;
  for (std::size_t i = 0; i < run.size(); ++i) {
    for (std::uint32_t at = entries[i].begin(); at < entries[i].end();) {
      if (at / leaf_sectors != leaf) close(leaf);
      leaf = at / leaf_sectors;
      parts[size++] = entries[i].clipped(at, (leaf + 1) * leaf_sectors);
      at = parts[size - 1].end();
    }
  }
  close(leaf);
  store_.held().entries += leaves.entries - static_cast<std::uint32_t>(run.size());
  if (run.size() >= 2) store_.free(slot_.handle);
  slot_.handle = handle;
  slot_.shape = StripeSlot::in_leaves;
  if (slot_.leaves_promised != 0) {
    slot_.leaves_promised = 0;
    store_.memory().unpromise(leaves_slabs);
  }
}

void Stripe::settle() {
  if (slot_.leaves_promised != 0 && slot_.pins == 0) {
    slot_.leaves_promised = 0;
    store_.memory().unpromise(leaves_slabs);
  }
  if (in_leaves() && (shrank_ || !filled_)) leave_leaves();
}

// Far below most_flat, so that a stripe at the border does not go back and forth. Not while pinned:
// the pins were not promised another way back into leaves.
void Stripe::leave_leaves() {
  constexpr std::uint16_t few = StripeSlot::most_flat / 3;
  if (table().entries > few || slot_.pins != 0) return;
  if (table().entries == 0) return free_all();
  std::array<IndexEntry, few> entries;
  std::uint32_t size = 0;
  for (std::uint32_t leaf = 0; leaf < LeafTable::leaves; ++leaf) {
    for (const IndexEntry& entry : leaf_run(table().get(leaf))) {
      if (size > 0 && entries[size - 1].continues_in(entry) &&
          entries[size - 1].heat() == entry.heat()) {
        const IndexEntry& joined = entries[size - 1];
        entries[size - 1] =
            IndexEntry(joined.begin(), entry.end() - joined.begin(), joined.value());
      } else {
        entries[size++] = entry;
      }
    }
  }
  const IndexMemory::Handle handle = size >= 2 ? store_.try_allocate(size) : 0;
  if (size >= 2 && handle == 0) return;
  free_all();
  if (size == 1) {
    slot_.single = entries[0];
  } else {
    std::copy_n(entries.begin(), size, store_.entries(handle));
    slot_.handle = handle;
  }
  slot_.shape = static_cast<std::uint8_t>(size);
  store_.held().entries += size;
}

void Stripe::free_all() {
  if (in_leaves()) {
    store_.held().entries -= table().entries;
    for (std::uint32_t leaf = 0; leaf < LeafTable::leaves; ++leaf) {
      const LeafTable::Leaf run = table().get(leaf);
      if (run.size != 0) store_.free(run.handle);
    }
    store_.free(slot_.handle);
  } else {
    store_.held().entries -= slot_.shape;
    if (slot_.shape >= 2) store_.free(slot_.handle);
  }
  slot_.shape = 0;
}

void Stripe::visit(std::uint32_t begin, std::uint32_t end,
                   FunctionRef<void(std::uint32_t, std::uint32_t, IndexEntry*)> piece) const {
  if (!in_leaves()) return visit_run(flat_run(), {}, begin, end, piece);
  for (std::uint32_t at = begin; at < end;) {
    const std::uint32_t leaf = at / leaf_sectors;
    const std::uint32_t last = std::min(end, (leaf + 1) * leaf_sectors);
    visit_run(leaf_run(table().get(leaf)), leaf_window(leaf), at, last, piece);
    at = last;
  }
}

void Stripe::prefetch_run(std::uint32_t sector) const {
  if (slot_.shape < 2) return;
  LeafTable::Leaf run{.handle = slot_.handle, .size = slot_.shape};
  RunWindow window;
  if (in_leaves()) {
    run = table().get(sector / leaf_sectors);
    window = leaf_window(sector / leaf_sectors);
    if (run.size == 0) return;
  }
  __builtin_prefetch(store_.entries(run.handle) + window.guess(sector, run.size), 1);
}

}  // namespace engine
