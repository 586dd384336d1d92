#include "engine/cache/extent_index.h"

#include <algorithm>
#include <mutex>

#include "engine/cache/extent_index_parts.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

// A shard's table is copied under its lock when it grows, so shards are kept small: 1024 possible
// stripes each, 32 bytes for 4 GiB of volume.
std::uint64_t shards_for(SectorCount volume_size) {
  const std::uint64_t stripes = volume_size.value / stripe_sectors + 1;
  return std::clamp<std::uint64_t>(stripes / 1024, 64, std::uint64_t{1} << 20);
}

Owner owner_at(const Owner& owner, SectorCount offset) {
  Owner part = owner;
  if (owner.kind == ExtentKind::data) part.place = owner.place + offset;
  return part;
}

// Joins what the index had to cut, inside one stripe. What `visit` refers to must outlive it: name
// the callable.
class Joiner {
 public:
  Joiner(std::uint64_t number, PieceVisitor visit)
      : base_(number * stripe_sectors), visit_(visit) {}

  void add(std::uint32_t begin, std::uint32_t end, const IndexEntry* entry) {
    if (entry == nullptr) {
      add_hole(begin, end);
    } else {
      add(entry->clipped(begin, end));
    }
  }
  void flush() {
    if (pending_) visit_(Piece{range(last_.begin(), last_.end()), last_.value()});
    pending_ = false;
    if (hole_end_ != hole_begin_) visit_(Piece{range(hole_begin_, hole_end_), std::nullopt});
    hole_begin_ = hole_end_ = 0;
  }

 private:
  void add_hole(std::uint32_t begin, std::uint32_t end) {
    if (pending_ || hole_end_ != begin || hole_begin_ == hole_end_) {
      flush();
      hole_begin_ = begin;
    }
    hole_end_ = end;
  }
  void add(const IndexEntry& entry) {
    if (pending_ && last_.continues_in(entry)) {
      ExtentValue value = last_.value();
      value.heat = std::max(value.heat, entry.heat());
      last_ = IndexEntry(last_.begin(), entry.end() - last_.begin(), value);
      return;
    }
    flush();
    last_ = entry;
    pending_ = true;
  }
  [[nodiscard]] SectorRange range(std::uint32_t begin, std::uint32_t end) const {
    return {Sector{base_ + begin}, SectorCount{end - begin}};
  }

  const std::uint64_t base_;
  PieceVisitor visit_;
  IndexEntry last_{};
  bool pending_ = false;
  std::uint32_t hole_begin_ = 0;
  std::uint32_t hole_end_ = 0;
};

}  // namespace

ExtentIndex::ExtentIndex(IndexMemory& memory, SectorCount volume_size)
    : memory_(memory),
      shard_count_(shards_for(volume_size)),
      shards_(std::make_unique<StripeShard[]>(shard_count_)) {
  memory_.add_tables(shard_count_ * sizeof(StripeShard));
}

ExtentIndex::~ExtentIndex() {
  memory_.remove_tables(shard_count_ * sizeof(StripeShard));
  for (std::uint64_t at = 0; at < shard_count_; ++at) {
    memory_.remove_tables(shards_[at].slots().size() * sizeof(StripeSlot));
    for (StripeSlot& slot : shards_[at].slots()) {
      if (slot.shape == StripeSlot::vacant) continue;
      CHECK(slot.pins == 0);  // permits must be gone before the index
      shards_[at].stripe(memory_, slot).clear();
    }
  }
}

void ExtentIndex::tidy(StripeShard& shard, StripeSlot& slot, Stripe& stripe) {
  stripe.settle();
  if (stripe.disposable()) shard.remove(slot);
}

void ExtentIndex::publish(PublishPermit permit, const ExtentValue& value,
                          FragmentVisitor on_displaced) {
  check_extent(permit.range_, value);
  spend(permit, [&](Stripe& stripe, const Part& part) {
    stripe.publish(part.begin, part.end, value.advanced(part.offset), on_displaced);
  });
}

void ExtentIndex::erase(PublishPermit permit, FragmentVisitor on_displaced) {
  spend(permit, [&](Stripe& stripe, const Part& part) {
    stripe.erase(part.begin, part.end, on_displaced);
  });
}

void ExtentIndex::look_up(SectorRange range, Heat heat, PieceVisitor visit) {
  for_parts(range, [&](const Part& part) {
    StripeShard& shard = shard_of(part.number);
    const std::lock_guard guard(shard.lock);
    StripeSlot* slot = shard.find(part.number);
    if (slot == nullptr) return visit(Piece{part.range(), std::nullopt});
    Joiner joiner(part.number, visit);
    shard.stripe(memory_, *slot)
        .visit(part.begin, part.end,
               [&](std::uint32_t begin, std::uint32_t end, IndexEntry* entry) {
                 if (entry != nullptr && heat == Heat::warm) entry->warm();
                 joiner.add(begin, end, entry);
               });
    joiner.flush();
  });
}

void ExtentIndex::still_points(SectorRange range, const Owner& owner, FragmentVisitor visit) {
  for_parts(range, [&](const Part& part) {
    StripeShard& shard = shard_of(part.number);
    const std::lock_guard guard(shard.lock);
    StripeSlot* slot = shard.find(part.number);
    if (slot == nullptr) return;
    const Owner here = owner_at(owner, part.offset);
    const auto only_fragments = [&](const Piece& piece) {
      if (piece.value) visit(Fragment{piece.range, *piece.value});
    };
    Joiner joiner(part.number, only_fragments);
    shard.stripe(memory_, *slot)
        .visit(part.begin, part.end,
               [&](std::uint32_t begin, std::uint32_t end, IndexEntry* entry) {
                 if (entry != nullptr && belongs(*entry, here, part.begin)) {
                   joiner.add(begin, end, entry);
                 }
               });
    joiner.flush();
  });
}

SectorCount ExtentIndex::mark_clean(SectorRange range, const Owner& owner, CleanZeros zeros) {
  SectorCount cleaned;
  change(range, [&](Stripe& stripe, const Part& part) {
    cleaned.value += stripe.mark_clean(part.begin, part.end, owner_at(owner, part.offset), zeros);
  });
  return cleaned;
}

void ExtentIndex::erase_if(SectorRange range, const Owner& owner, FragmentVisitor on_displaced) {
  change(range, [&](Stripe& stripe, const Part& part) {
    stripe.erase_if(part.begin, part.end, owner_at(owner, part.offset), on_displaced);
  });
}

}  // namespace engine
