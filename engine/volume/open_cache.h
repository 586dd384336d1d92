// OpenCache: a cache device that is open, with what everybody who works on it shares.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/cache/cache_actor.h"
#include "engine/cache/cache_device.h"
#include "engine/cache/index_memory.h"
#include "engine/cache/page_committer.h"
#include "engine/volume/cache_lanes.h"

namespace engine {

// Lives until every lane that has worked on it is gone; the device may be closed before, when all
// lanes have.
struct OpenCache {
  std::unique_ptr<PmemRegion> region;
  std::unique_ptr<CacheDevice> device;
  std::unique_ptr<IndexMemory> memory;
  std::uint32_t volumes = 1;                 // that share the device
  std::unique_ptr<PageCommitter> committer;  // page granularity, else null
  CacheLanes lanes;
  // Any thread: the device's own thread has something to do.
  std::function<void()> wake;

  // For the calling thread. Null: the region takes no more writers.
  [[nodiscard]] std::unique_ptr<CacheActor> make_actor() const {
    if (committer != nullptr) return CacheActor::make(*committer);
    auto actor = CacheActor::make(*device);
    return actor ? std::move(actor.value()) : nullptr;
  }
};

}  // namespace engine
