#include "engine/cache/segment_shares.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {
namespace {

std::uint32_t above(std::uint32_t value, std::uint32_t bound) {
  return value > bound ? value - bound : 0;
}

}  // namespace

void SegmentShares::set_capacity(std::uint32_t segments) {
  const std::lock_guard lock(mutex_);
  CHECK(segments >= capacity_);
  capacity_ = segments;
}

const SegmentShares::Use* SegmentShares::find(std::uint32_t volume_tag) const {
  const auto at = uses_.find(volume_tag);
  return at == uses_.end() ? nullptr : &at->second;
}

Result<void, ShareFault> SegmentShares::set_share(std::uint32_t volume_tag, SegmentShare share) {
  if (share.maximum == 0 || share.maximum < share.minimum) return ShareFault::contradiction;
  const std::lock_guard lock(mutex_);
  if (lacking_for(volume_tag, share.minimum) != 0) return ShareFault::too_much;
  uses_[volume_tag].share = share;
  return success();
}

std::uint64_t SegmentShares::lacking_for(std::uint32_t volume_tag, std::uint32_t minimum) const {
  const Use* const use = find(volume_tag);
  const std::uint64_t others = minima() - (use == nullptr ? 0 : use->share.minimum);
  const std::uint64_t needed = others + minimum + log_need_ + device_reserve;
  return needed > capacity_ ? needed - capacity_ : 0;
}

std::uint64_t SegmentShares::lacking(std::uint32_t volume_tag, std::uint32_t minimum) const {
  const std::lock_guard lock(mutex_);
  return lacking_for(volume_tag, minimum);
}

Result<void, ShareFault> SegmentShares::set_log_need(std::uint32_t segments) {
  const std::lock_guard lock(mutex_);
  if (minima() + segments + device_reserve > capacity_) return ShareFault::too_much;
  log_need_ = segments;
  return success();
}

std::uint64_t SegmentShares::minima() const {
  std::uint64_t sum = 0;
  for (const auto& [tag, use] : uses_) sum += use.share.minimum;
  return sum;
}

std::uint32_t SegmentShares::kept_for_logs() const {
  return device_reserve + above(log_need_, log_used_);
}

void SegmentShares::log_took() {
  const std::lock_guard lock(mutex_);
  ++log_used_;
}

void SegmentShares::log_gave_back() {
  const std::lock_guard lock(mutex_);
  CHECK(log_used_ > 0);
  --log_used_;
}

bool SegmentShares::lends_to_logs(std::uint32_t free) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t kept = kept_for_logs();
  for (const auto& [tag, use] : uses_) kept += above(use.share.minimum, use.used);
  return free > kept;
}

SegmentShare SegmentShares::share(std::uint32_t volume_tag) const {
  const std::lock_guard lock(mutex_);
  const Use* const use = find(volume_tag);
  return use == nullptr ? SegmentShare{} : use->share;
}

void SegmentShares::forget(std::uint32_t volume_tag) {
  const std::lock_guard lock(mutex_);
  const auto at = uses_.find(volume_tag);
  if (at == uses_.end()) return;
  at->second.share = {};
  if (at->second.used == 0) uses_.erase(at);
}

// For certain is what is missing to the minimum; lent is what leaves enough for everybody else's.
std::uint32_t SegmentShares::room_of(const Use& of, std::uint32_t free) const {
  const std::uint32_t promised = above(of.share.minimum, of.used);
  if (!of.gets_on) return promised;
  std::uint64_t kept = kept_for_logs();  // and others', or will have to be
  std::uint32_t waited_for = 0;          // of these, what somebody has asked for already
  std::uint64_t recallable = 0;
  for (const auto& [tag, use] : uses_) {
    if (&use != &of) {
      const std::uint32_t missing = above(use.share.minimum, use.used);
      kept += missing;
      waited_for += use.waits ? missing : 0;
    }
    recallable += std::min(use.used - use.dirty, above(use.used, use.share.minimum));
  }
  const std::uint64_t lent =
      std::min<std::uint64_t>(above(free, kept_for_logs() + waited_for),
                              free + recallable > kept ? free + recallable - kept : 0);
  const auto most = std::min<std::uint64_t>(lent, above(of.share.maximum, of.used));
  return std::max(promised, static_cast<std::uint32_t>(most));
}

bool SegmentShares::take(std::uint32_t volume_tag, std::uint32_t free) {
  const std::lock_guard lock(mutex_);
  Use& use = uses_[volume_tag];
  if (free <= kept_for_logs() || room_of(use, free) == 0) {
    use.waits = use.used < use.share.minimum;
    return false;
  }
  use.waits = false;
  ++use.used;
  ++use.dirty;
  ++use.taken;
  return true;
}

void SegmentShares::count_in(std::uint32_t volume_tag) {
  const std::lock_guard lock(mutex_);
  Use& use = uses_[volume_tag];
  ++use.used;
  ++use.dirty;
}

void SegmentShares::give_back(std::uint32_t volume_tag) {
  const std::lock_guard lock(mutex_);
  const auto at = uses_.find(volume_tag);
  CHECK(at != uses_.end() && at->second.used > 0);
  Use& use = at->second;
  --use.used;
  // Only a clean one is given back; but a count may be older than what it has become clean by.
  use.dirty = std::min(use.dirty, use.used);
}

std::uint64_t SegmentShares::begin_count(std::uint32_t volume_tag) const {
  const std::lock_guard lock(mutex_);
  const Use* const use = find(volume_tag);
  return use == nullptr ? 0 : use->taken;
}

void SegmentShares::end_count(std::uint32_t volume_tag, std::uint64_t begun, std::uint32_t dirty) {
  const std::lock_guard lock(mutex_);
  const auto at = uses_.find(volume_tag);
  if (at == uses_.end()) return;
  Use& use = at->second;
  const std::uint64_t since = use.taken - begun;
  use.dirty = static_cast<std::uint32_t>(std::min<std::uint64_t>(use.used, dirty + since));
}

void SegmentShares::set_progress(std::uint32_t volume_tag, bool gets_on) {
  const std::lock_guard lock(mutex_);
  uses_[volume_tag].gets_on = gets_on;
}

std::uint32_t SegmentShares::room(std::uint32_t volume_tag, std::uint32_t free) const {
  const std::lock_guard lock(mutex_);
  const Use* const use = find(volume_tag);
  return room_of(use == nullptr ? Use{} : *use, free);
}

std::uint32_t SegmentShares::used(std::uint32_t volume_tag) const {
  const std::lock_guard lock(mutex_);
  const Use* const use = find(volume_tag);
  return use == nullptr ? 0 : use->used;
}

void SegmentShares::check_invariants() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [tag, use] : uses_) {
    CHECK(use.dirty <= use.used);
    CHECK(use.share.minimum <= use.share.maximum);
  }
  const std::uint64_t promised = minima() + log_need_;
  CHECK(promised == 0 || promised + device_reserve <= capacity_);
}

}  // namespace engine
