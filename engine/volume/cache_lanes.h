// CacheLanes: the lanes that work on one cache device, for what all of them must hear of.
#pragma once

#include <mutex>
#include <vector>

#include "engine/foundation/clock.h"

namespace engine {

class CacheLane;

// Any thread. One lock, taken before the lanes' own.
class CacheLanes {
 public:
  CacheLanes() = default;
  CacheLanes(const CacheLanes&) = delete;
  CacheLanes& operator=(const CacheLanes&) = delete;

  void add(CacheLane& lane);
  void remove(CacheLane& lane);

  // Somebody waits for space. What a lane has begun to fill is not given up before it is full, and
  // with many volumes and lanes that may be all there is: what they have not filled further since
  // the last recall, they close. Nothing sooner than a recall_period after that.
  static constexpr Duration recall_period = std::chrono::milliseconds(100);
  void recall_heads(Instant now);

 private:
  std::mutex mutex_;  // guards what follows
  std::vector<CacheLane*> lanes_;
  Instant recalled_{};
};

}  // namespace engine
