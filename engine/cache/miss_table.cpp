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

void MissTable::mark(SectorRange range) {
  const std::uint64_t first = range.begin.value / most_sectors;
  const std::uint64_t last = (range.end().value - 1) / most_sectors;
  const std::uint64_t count = std::min<std::uint64_t>(last - first + 1, bucket_count);
  for (std::uint64_t at = first; at < first + count; ++at) {
    Bucket& bucket = buckets_[at % bucket_count];
    const std::lock_guard lock(bucket.lock);
    for (MissPart* part = bucket.parts; part != nullptr; part = part->next_) {
      if (!overlap(part->range_, range)) continue;
      if (GUARD("overtaken misses are closed")) part->open_ = false;
      part->overtaken_.store(true, std::memory_order_release);
    }
  }
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
  }
  CHECK(count == under_way_.load(std::memory_order_relaxed));
}

}  // namespace engine
