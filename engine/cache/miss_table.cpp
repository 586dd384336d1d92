#include "engine/cache/miss_table.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

bool overlap(SectorRange a, SectorRange b) { return a.begin < b.end() && b.begin < a.end(); }

// From `begin` on, up to whichever comes first.
SectorRange front(Sector begin, Sector end, Sector other_end) {
  return {begin, std::min(end, other_end) - begin};
}

}  // namespace

void MissTable::begin(SectorRange gap, MissPart& part) {
  CHECK(!gap.empty());
  const Sector cut{(gap.begin.value / most_sectors + 1) * most_sectors};
  gap = front(gap.begin, gap.end(), cut);
  part.joined_ = part.leader_ = nullptr;
  part.overtaken_.store(false, std::memory_order_relaxed);
  Bucket& bucket = bucket_of(gap.begin);
  const std::lock_guard lock(bucket.lock);
  for (MissPart* other = bucket.parts; other != nullptr; other = other->next_) {
    if (!other->open_ || !overlap(other->range_, gap)) continue;
    if (gap.begin < other->range_.begin) {
      // Up to there somebody has to read.
      gap = front(gap.begin, gap.end(), other->range_.begin);
      continue;
    }
    part.range_ = front(gap.begin, gap.end(), other->range_.end());
    part.leader_ = other;
    part.open_ = false;
    part.next_ = std::exchange(other->joined_, &part);
    return;
  }
  part.range_ = gap;
  add(bucket, part, true);
}

void MissTable::begin_alone(MissPart& part) {
  CHECK(!part.range_.empty() && part.leader_ != nullptr);
  part.joined_ = part.leader_ = nullptr;
  part.overtaken_.store(false, std::memory_order_relaxed);
  Bucket& bucket = bucket_of(part.range_.begin);
  const std::lock_guard lock(bucket.lock);
  add(bucket, part, false);
}

void MissTable::add(Bucket& bucket, MissPart& part, bool open) {
  part.open_ = open;
  part.next_ = std::exchange(bucket.parts, &part);
  under_way_.fetch_add(1, std::memory_order_seq_cst);
  // Registered first: a direct write that begins from now on finds it.
  if (GUARD("a direct write under way") && is_written_directly(part.range_)) {
    part.overtaken_.store(true, std::memory_order_release);
  }
}

MissPart* MissTable::take_joined(MissPart& part) {
  Bucket& bucket = bucket_of(part.range_.begin);
  const std::lock_guard lock(bucket.lock);
  part.open_ = false;
  return std::exchange(part.joined_, nullptr);
}

void MissTable::end(MissPart& part) {
  Bucket& bucket = bucket_of(part.range_.begin);
  const std::lock_guard lock(bucket.lock);
  CHECK(part.reads() && part.joined_ == nullptr);
  MissPart** at = &bucket.parts;
  while (*at != &part) {
    CHECK(*at != nullptr);
    at = &(*at)->next_;
  }
  *at = part.next_;
  under_way_.fetch_sub(1, std::memory_order_relaxed);
}

// Each bucket that the range touches, once.
template <class Function>
void MissTable::for_buckets(SectorRange range, Function function) {
  const std::uint64_t first = range.begin.value / most_sectors;
  const std::uint64_t last = (range.end().value - 1) / most_sectors;
  const std::uint64_t count = std::min<std::uint64_t>(last - first + 1, bucket_count);
  for (std::uint64_t at = first; at < first + count; ++at) {
    Bucket& bucket = buckets_[at % bucket_count];
    const std::lock_guard lock(bucket.lock);
    function(bucket);
  }
}

void MissTable::mark(SectorRange range, bool changed) {
  for_buckets(range, [&](Bucket& bucket) {
    for (MissPart* part = bucket.parts; part != nullptr; part = part->next_) {
      if (!overlap(part->range_, range)) continue;
      if (GUARD("overtaken misses are closed")) part->open_ = false;
      part->overtaken_.store(true, std::memory_order_release);
    }
    if (!changed) return;
    for (ReadWatch::Place* at = bucket.watches; at != nullptr; at = at->next) {
      at->watch->mark(range);
    }
  });
}

void MissTable::watch(SectorRange range, ReadWatch& watch) {
  CHECK(!range.empty() && range.count.value <= ReadWatch::most_sectors);
  watch.range_ = range;
  for (std::uint64_t at = 0; at * 64 < range.count.value; ++at) {
    watch.changed_[at].store(0, std::memory_order_relaxed);
  }
  ReadWatch::Place* place = watch.places_.data();
  for_buckets(range, [&](Bucket& bucket) {
    place->watch = &watch;
    place->next = std::exchange(bucket.watches, place);
    ++place;
    under_way_.fetch_add(1, std::memory_order_seq_cst);
  });
}

void MissTable::unwatch(ReadWatch& watch) {
  for_buckets(watch.range_, [&](Bucket& bucket) {
    ReadWatch::Place** at = &bucket.watches;
    while ((*at)->watch != &watch) at = &(*at)->next;
    *at = (*at)->next;
    under_way_.fetch_sub(1, std::memory_order_relaxed);
  });
}

void ReadWatch::mark(SectorRange range) {
  const std::uint64_t begin = std::max(range.begin, range_.begin).value - range_.begin.value;
  const std::uint64_t last = std::min(range.end(), range_.end()).value - range_.begin.value;
  if (range.end() <= range_.begin || range_.end() <= range.begin) return;
  for (std::uint64_t at = begin; at < last;) {
    const std::uint64_t bits = std::min(64 - at % 64, last - at);
    const std::uint64_t mask = (bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1)
                               << at % 64;
    changed_[at / 64].fetch_or(mask, std::memory_order_relaxed);
    at += bits;
  }
}

bool ReadWatch::is_changed(SectorRange range) const {
  const std::uint64_t begin = (range.begin - range_.begin).value;
  for (std::uint64_t at = begin; at < begin + range.count.value; ++at) {
    if ((changed_[at / 64].load(std::memory_order_relaxed) >> at % 64 & 1) != 0) return true;
  }
  return false;
}

bool MissTable::is_written_directly(SectorRange range) {
  const std::lock_guard lock(direct_lock_);
  for (const DirectWrite* write = direct_; write != nullptr; write = write->next_) {
    if (overlap(write->range_, range)) return true;
  }
  return false;
}

void MissTable::begin_direct(SectorRange range, DirectWrite& write) {
  write.range_ = range;
  {
    const std::lock_guard lock(direct_lock_);
    write.next_ = std::exchange(direct_, &write);
  }
  overtake(range);
}

// Who asks after the acknowledgement must not join those who asked before it.
void MissTable::end_direct(DirectWrite& write) {
  overtake(write.range_);
  const std::lock_guard lock(direct_lock_);
  DirectWrite** at = &direct_;
  while (*at != &write) {
    CHECK(*at != nullptr);
    at = &(*at)->next_;
  }
  *at = write.next_;
}

void MissTable::check_invariants() {
  std::uint64_t count = 0;
  for (Bucket& bucket : buckets_) {
    const std::lock_guard lock(bucket.lock);
    for (const MissPart* part = bucket.parts; part != nullptr; part = part->next_) {
      ++count;
      CHECK(part->reads() && &bucket_of(part->range_.begin) == &bucket);
      CHECK(part->range_.begin.value / most_sectors ==
            (part->range_.end().value - 1) / most_sectors);
      for (const MissPart* other = part->next_; other != nullptr; other = other->next_) {
        CHECK(!part->open_ || !other->open_ || !overlap(part->range_, other->range_));
      }
    }
    for (const ReadWatch::Place* at = bucket.watches; at != nullptr; at = at->next) ++count;
  }
  CHECK(count == under_way_.load(std::memory_order_relaxed));
}

}  // namespace engine
