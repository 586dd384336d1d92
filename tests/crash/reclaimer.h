// Reclaimer: the least that write-back will do to a volume's entries; and segments that are freed
// in no order.
#pragma once

#include "engine/cache/volume_cache.h"
#include "engine/foundation/random.h"

namespace engine::test {

// With nothing of the volume in flight. The test keeps the backing.
class Reclaimer {
 public:
  Reclaimer(CacheDevice& device, VolumeCache& volume, DurableWriter& writer)
      : device_(device), volume_(volume), writer_(writer) {}

  // Everything is on the backing: D is the end of the log.
  void write_back();
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
