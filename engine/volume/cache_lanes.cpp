#include "engine/volume/cache_lanes.h"

#include <algorithm>

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

bool CacheLanes::all_say(const LaneQuestion& question) {
  const std::lock_guard lock(mutex_);
  bool all = true;
  for (CacheLane* const lane : lanes_) all = lane->says(question) && all;
  if (all) forget(question);
  return all;
}

void CacheLanes::take_back(const LaneQuestion& question) {
  const std::lock_guard lock(mutex_);
  forget(question);
}

void CacheLanes::forget(const LaneQuestion& question) {
  for (CacheLane* const lane : lanes_) lane->forget(question);
}

}  // namespace engine
