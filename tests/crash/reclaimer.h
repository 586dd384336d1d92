// Reclaimer: the least that truncation and reclaim will do to a volume's entries, so that space,
// chunks and generations are used again.
#pragma once

#include "engine/cache/volume_cache.h"
#include "engine/foundation/random.h"

namespace engine::test {

// With nothing of the volume in flight, and everything written back.
class Reclaimer {
 public:
  Reclaimer(CacheDevice& device, VolumeCache& volume, DurableWriter& writer)
      : device_(device), volume_(volume), writer_(writer) {}

  // Drops what some closed segments hold, and frees them; their keys stay in the log.
  void free_some(SeededRandom& random);
  // Drops everything: K is the end of the log, and chunks and segments are freed.
  void forget_all();

 private:
  void free_segment(std::uint32_t segment);
  [[nodiscard]] bool is_free_to_go(std::uint32_t segment) const;

  CacheDevice& device_;
  VolumeCache& volume_;
  DurableWriter& writer_;
};

}  // namespace engine::test
