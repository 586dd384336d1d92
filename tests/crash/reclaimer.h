// Reclaimer: the least that write-back and reclaim do to a volume's entries, where a test wants
// neither I/O nor re-logging.
#pragma once

#include "engine/cache/volume_cache.h"
#include "engine/foundation/random.h"

namespace engine::test {

// With nothing of the volume in flight.
class Reclaimer {
 public:
  Reclaimer(CacheDevice& device, VolumeCache& volume, DurableWriter& writer)
      : device_(device), volume_(volume), writer_(writer) {}

  // Everything is on the backing, which the test keeps: D is the end of the log.
  void write_back();
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
