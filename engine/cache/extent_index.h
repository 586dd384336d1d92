// ExtentIndex: where the newest data of every sector of one volume lies in the cache.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "engine/cache/extent.h"
#include "engine/cache/index_memory.h"
#include "engine/cache/publish_permit.h"
#include "engine/cache/stripe.h"
#include "engine/cache/stripe_table.h"
#include "engine/cache/turn_stock.h"
#include "engine/foundation/function_ref.h"

namespace engine {

using PieceVisitor = FunctionRef<void(const Piece&)>;

// A key of the log, as recovery gives it to the index.
struct ReplayKey {
  SectorRange range;
  ExtentValue value;
  bool erases = false;  // an invalidation: the value does not count
};
using ReplayKeys = std::span<const ReplayKey>;
// One key in one of its stripes.
struct ReplayItem {
  std::uint64_t stripe;
  const ReplayKey* key;
};
// One of `count` shares that the stripes of a volume are dealt out into.
struct ReplayShare {
  std::uint32_t number = 0;
  std::uint32_t count = 1;
};

// What the log says in DRAM: extents that never overlap; new covers old, cuts its head or tail, or
// splits it. Publishing in log order is the caller's duty (the volume's commit lock).
//
// Addresses are cut into stripes of 4 MiB, made when first published to. Stripes are hashed to
// shards, each with a spin-lock; an operation takes the lock of one stripe at a time, so a range
// over several stripes changes stripe by stripe, in address order. Any thread may call anything.
//
// Visitors run under that lock, which is what makes a pin taken in look_up's visitor, or a live
// count lowered in on_displaced, safe against everybody else. They are a few instructions: no call
// to an index, no lock, no allocation, no I/O.
//
// An extent is visited in parts where the index had to cut it (at stripes, and at 64 KiB in
// stripes with many extents): count sectors, not visits. look_up, still_points and for_each join
// such parts again inside a stripe.
//
// Memory: publishing is prepared at admission (prepare) and cannot fail afterwards. Stripes that
// become empty cost nothing; tables of stripes keep their largest size.
//
// Invariants: those of StripeShard and Stripe; a stripe is in the shard its hash names; a stripe
// without an extent exists only while a permit names it.
class ExtentIndex {
 public:
  // `volume_size` is a hint for the number of shards (a volume may grow). `memory` outlives this.
  ExtentIndex(IndexMemory& memory, SectorCount volume_size);
  ~ExtentIndex();
  ExtentIndex(const ExtentIndex&) = delete;
  ExtentIndex& operator=(const ExtentIndex&) = delete;

  // To publish or erase the range, which is not empty. nullopt: no memory; wait or give something
  // up. Maps and allocates memory: no lock may be held. Starts loading what publishing will touch.
  [[nodiscard]] std::optional<PublishPermit> prepare(SectorRange range);
  // The same of a turn that asks ahead; give_back() what is left of the stock.
  [[nodiscard]] std::optional<PublishPermit> prepare(SectorRange range, TurnStock& ahead);
  // Slabs that were promised, and are not needed any more.
  void give_back(std::uint64_t slabs) { memory_.unpromise(static_cast<std::uint32_t>(slabs)); }

  // The whole range of the permit now has this value; `value` is seen from its first sector. Data:
  // at most 1 MiB; zeros: any length, a whole stripe being a single mark.
  void publish(PublishPermit permit, const ExtentValue& value, FragmentVisitor on_displaced);
  // Invalidation: whatever was there, now nothing is.
  void erase(PublishPermit permit, FragmentVisitor on_displaced);

  // Pieces in address order, hits with place and origin advanced to the piece, holes between them.
  // Allocation free. `warm` counts a hit for second chance.
  enum class Heat : std::uint8_t { keep, warm };
  void look_up(SectorRange range, Heat heat, PieceVisitor visit);
  // The parts of the range that still belong to the owner.
  void still_points(SectorRange range, const Owner& owner, FragmentVisitor visit);
  // Clears the dirty bit where the range still belongs to the owner; how many sectors that were.
  SectorCount mark_clean(SectorRange range, const Owner& owner, CleanZeros zeros);
  // Eviction: forgets what still belongs to the owner.
  void erase_if(SectorRange range, const Owner& owner, FragmentVisitor on_displaced);

  // Recovery: publishes keys in the order given, those of `keys` one after the other, grouping them
  // by stripe, so that each stripe is filled while it is in the CPU's cache. Give it keys by the
  // hundred thousand. Only what lies in the share's stripes is looked at: threads may each take one
  // share of the same keys. False: no memory (some keys are in). Throws std::bad_alloc.
  [[nodiscard]] bool replay(std::span<const ReplayKeys> keys, const ReplayShare& share,
                            FragmentVisitor on_displaced);

  // All extents in address order; not a snapshot across stripes. Allocates.
  void for_each(FragmentVisitor visit);

  struct Figures {
    std::uint64_t fragments = 0;  // entries
    ByteCount bytes;              // blocks, tables, shards and the index itself
  };
  [[nodiscard]] Figures figures();
  // Exact; what IndexMemory holds beyond its indexes' blocks is in IndexMemory::memory_bytes.
  [[nodiscard]] ByteCount memory_bytes() { return figures().bytes; }
  // The part of memory_bytes that is not in IndexMemory.
  [[nodiscard]] ByteCount table_bytes();
  void check_invariants();

 private:
  friend class PublishPermit;
  // The part of a range that lies in one stripe.
  struct Part {
    std::uint64_t number;  // of the stripe
    std::uint32_t begin;   // sectors inside it
    std::uint32_t end;
    SectorCount offset;  // from the range's beginning
    [[nodiscard]] SectorRange range() const {
      return {Sector{number * stripe_sectors + begin}, SectorCount{end - begin}};
    }
  };

  [[nodiscard]] StripeShard& shard_of(std::uint64_t number) const {
    const std::uint64_t high = stripe_hash(number) >> 32;
    return shards_[(high * shard_count_) >> 32];
  }
  template <class Function>
  static void for_parts(SectorRange range, Function function);
  template <class Function>
  void change(SectorRange range, Function function);
  template <class Function>
  void spend(PublishPermit& permit, Function function);
  enum class Pinning : std::uint8_t { done, no_room, no_memory, too_many };
  [[nodiscard]] static std::uint32_t slabs_for(SectorRange range);
  [[nodiscard]] std::optional<PublishPermit> pin_all(SectorRange range, std::uint32_t promised);
  [[nodiscard]] bool pin(const Part& part);
  [[nodiscard]] Pinning try_pin(const Part& part, bool& leaves_promised);
  void unpin(SectorRange range);
  [[nodiscard]] bool make_room(StripeShard& shard);
  void tidy(StripeShard& shard, StripeSlot& slot, Stripe& stripe);
  [[nodiscard]] bool replay_part(std::span<const ReplayItem> items, FragmentVisitor on_displaced);

  IndexMemory& memory_;
  const std::uint64_t shard_count_;
  const std::unique_ptr<StripeShard[]> shards_;
};

}  // namespace engine
