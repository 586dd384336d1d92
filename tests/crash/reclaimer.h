// Reclaimer: the least that reclaim does to a volume's entries, where a test wants no re-logging.
#pragma once

#include "engine/cache/volume_cache.h"
#include "engine/foundation/random.h"

namespace engine::test {

// With nothing of the volume in flight.
class Reclaimer {
 public:
  Reclaimer(CacheDevice& device, VolumeCache& volume, DurableWriter& writer)
      : device_(device), volume_(volume), writer_(writer) {}

  // Drops what some closed segments hold, and frees them; their keys stay in the log.
  void free_some(SeededRandom& random);

 private:
  void free_segment(std::uint32_t segment);
  [[nodiscard]] bool is_free_to_go(std::uint32_t segment) const;

  CacheDevice& device_;
  VolumeCache& volume_;
  DurableWriter& writer_;
};

}  // namespace engine::test
