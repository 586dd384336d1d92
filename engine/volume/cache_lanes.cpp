#include "engine/volume/cache_lanes.h"

#include "engine/volume/cache_lane.h"

namespace engine {

void CacheLanes::add(CacheLane& lane) {
  const std::lock_guard lock(mutex_);
  lanes_.push_back(&lane);
}

void CacheLanes::remove(CacheLane& lane) {
  const std::lock_guard lock(mutex_);
  std::erase(lanes_, &lane);
}

void CacheLanes::recall_heads(Instant now) {
  const std::lock_guard lock(mutex_);
  if (now - recalled_ < recall_period) return;
  recalled_ = now;
  for (CacheLane* const lane : lanes_) lane->recall_heads();
}

}  // namespace engine
