#include "engine/volume/cache_lanes.h"

#include <algorithm>

#include "engine/volume/cache_lane.h"

namespace engine {

void CacheLanes::add(CacheLane& lane) {
  const std::lock_guard lock(mutex_);
  std::uint32_t number = 0;
  const auto is_taken = [&number](const CacheLane* other) { return other->number() == number; };
  while (std::ranges::any_of(lanes_, is_taken)) ++number;
  lane.set_number(number);
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
