// Stripe: the extents of 4 MiB of a volume, as one run while they are few, as 64 runs beyond that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cache/extent.h"
#include "engine/cache/index_entry.h"
#include "engine/cache/index_runs.h"
#include "engine/foundation/function_ref.h"

namespace engine {

// What an operation tells its caller, under the lock of the stripe: see ExtentIndex.
using FragmentVisitor = FunctionRef<void(const Fragment&)>;
// A clean zero extent says the same as a hole over a backing that reads as zeros.
enum class CleanZeros : std::uint8_t { keep, drop };

// The head of a stripe in its table: 24 bytes for a stripe of one extent, be it of 512 bytes or
// the whole stripe (a discard), with no block behind it.
struct StripeSlot {
  static constexpr std::uint8_t most_flat = 32;   // entries of one run
  static constexpr std::uint8_t vacant = 254;     // shape: no stripe
  static constexpr std::uint8_t in_leaves = 255;  // shape: `handle` is a LeafTable
  static constexpr std::uint64_t most_stripes = std::uint64_t{1} << 40;
  static constexpr std::uint16_t most_pins = 0x7fff;

  std::uint32_t number_low = 0;
  std::uint8_t number_high = 0;
  std::uint8_t shape = vacant;  // or how many entries the one run has
  std::uint16_t pins : 15 = 0;  // permits that name the stripe: the slot stays
  std::uint16_t leaves_promised : 1 = 0;
  union {
    IndexMemory::Handle handle = 0;  // of the run, or of the leaves
    IndexEntry single;               // shape 1
  };

  [[nodiscard]] std::uint64_t number() const {
    return (std::uint64_t{number_high} << 32) | number_low;
  }
};
static_assert(sizeof(StripeSlot) == 24);

// 64 runs, one for each 64 KiB of addresses; entries are cut at their borders. The reference to a
// run is 5 bytes: its handle and how many entries it has.
struct LeafTable {
  static constexpr std::uint32_t leaves = 64;
  static constexpr std::uint32_t leaf_log2 = 7;
  static constexpr std::uint32_t leaf_sectors = 1U << leaf_log2;
  static constexpr std::uint32_t reference_bytes = 5;
  struct Leaf {
    IndexMemory::Handle handle = 0;
    std::uint32_t size = 0;
  };

  std::byte references[std::size_t{leaves} * reference_bytes + 8];  // the last is read as 8 bytes
  std::uint16_t entries;                                            // of all leaves
  std::byte unused[6];

  [[nodiscard]] Leaf get(std::uint32_t leaf) const;
  void set(std::uint32_t leaf, Leaf value);
};
static_assert(sizeof(LeafTable) == 21 * IndexMemory::unit_bytes);

// True if the entry belongs to the owner of a range that begins at `begin` in the entry's stripe.
[[nodiscard]] bool belongs(const IndexEntry& entry, const Owner& owner, std::uint32_t begin);

// Works on one stripe, under the lock that guards its slot. Positions are sectors inside it.
//
// Invariants: entries are sorted, do not overlap and lie inside their run's window; one run has at
// most `most_flat` entries, a stripe in leaves at least one unless it is pinned; data is at most 1
// MiB long from its origin on. A slot with leaves_promised is pinned and not in leaves.
//
// Memory: a publish adds at most two entries. Whoever holds a pin was promised publish_slabs, and
// the slot leaves_slabs if all pins together could make it take leaves. Operations without a pin
// (clearing dirty bits, eviction) add an entry only where the given range cuts a fragment, which
// the whole range of the fragment's own key never does; IndexMemory's spare covers them.
class Stripe {
 public:
  static constexpr std::uint32_t publish_slabs = 3;  // runs at the range's ends, those between
  static constexpr std::uint32_t whole_slabs = 1;    // 64 runs of one entry, at worst
  static constexpr std::uint32_t leaves_slabs = 12;  // the table, and runs of each small size

  Stripe(RunStore store, StripeSlot& slot) : store_(store), slot_(slot) {}

  void publish(std::uint32_t begin, std::uint32_t end, const ExtentValue& value,
               FragmentVisitor on_displaced) {
    put(begin, end, &value, on_displaced);
  }
  void erase(std::uint32_t begin, std::uint32_t end, FragmentVisitor on_displaced) {
    put(begin, end, nullptr, on_displaced);
  }
  void erase_if(std::uint32_t begin, std::uint32_t end, const Owner& owner,
                FragmentVisitor on_displaced);
  // Sectors that became clean.
  std::uint64_t mark_clean(std::uint32_t begin, std::uint32_t end, const Owner& owner,
                           CleanZeros zeros);
  // Entries and holes in address order, clipped to [begin, end) by the two positions only.
  void visit(std::uint32_t begin, std::uint32_t end,
             FunctionRef<void(std::uint32_t, std::uint32_t, IndexEntry*)> piece) const;

  void clear() { free_all(); }  // the end of the index; nobody is told
  // After every operation that may have removed entries, and after unpinning.
  void settle();
  [[nodiscard]] bool disposable() const { return slot_.shape == 0 && slot_.pins == 0; }
  // Asks the CPU for what an operation at `sector` will need.
  void prefetch_run(std::uint32_t sector) const;
  void check_invariants() const;

 private:
  struct TakenPart {
    std::uint16_t begin;
    std::uint16_t end;
  };

  [[nodiscard]] bool in_leaves() const { return slot_.shape == StripeSlot::in_leaves; }
  [[nodiscard]] std::span<IndexEntry> flat_run() const;
  [[nodiscard]] std::span<IndexEntry> leaf_run(LeafTable::Leaf leaf) const {
    return {leaf.size == 0 ? nullptr : store_.entries(leaf.handle), leaf.size};
  }
  [[nodiscard]] LeafTable& table() const { return *store_.memory().as<LeafTable>(slot_.handle); }
  [[nodiscard]] Fragment fragment(const IndexEntry& entry) const;

  void put(std::uint32_t begin, std::uint32_t end, const ExtentValue* value,
           FragmentVisitor on_displaced);
  void put_whole(const ExtentValue* value, FragmentVisitor on_displaced);
  void put_in_leaf(std::uint32_t leaf, std::uint32_t begin, std::uint32_t end,
                   const IndexEntry* inserted, FragmentVisitor on_displaced);
  void splice_flat(std::span<IndexEntry> run, const RunCut& cut);
  void report(std::span<const IndexEntry> run, const RunCut& cut, std::uint32_t begin,
              std::uint32_t end, FragmentVisitor on_displaced) const;
  // Calls `act` for the parts of [begin, end) that have an entry which `wanted` accepts (with how
  // many sectors of it lie there), once they are no longer being walked.
  void for_parts(std::uint32_t begin, std::uint32_t end,
                 FunctionRef<bool(std::uint32_t, IndexEntry&)> wanted,
                 FunctionRef<void(std::uint32_t, std::uint32_t)> act);
  void take_leaves();
  void leave_leaves();
  void free_all();

  mutable RunStore store_;
  StripeSlot& slot_;
  // What this operation did to leaves, so that settle need not look (another cache miss).
  bool filled_ = false;
  bool shrank_ = false;
};

}  // namespace engine
