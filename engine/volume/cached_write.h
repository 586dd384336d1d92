// CachedWrite: one write, zeroing or deallocation on its way into the cache.
#pragma once

#include <cstdint>

#include "engine/cache/volume_cache.h"
#include "engine/foundation/clock.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/space_queue.h"
#include "engine/volume/volume.h"

namespace engine {

class CacheFront;

// Zeroings larger than one command may be go in pieces, in address order. Given back to its lane
// when `io` ends.
class CachedWrite final : public CacheCommand, public SpaceWaiter {
 public:
  explicit CachedWrite(CacheLane& lane) : CacheCommand(lane) {}

  void start(CacheFront& front, VolumeIo& io);
  void go_on() noexcept override;

 private:
  static constexpr unsigned most_tries = 3;  // places that turn out bad, for one command

  [[nodiscard]] Result<void, CacheRefusal> take();
  void settle(const Result<void, CacheRefusal>& taken);
  void look_for_space();
  void committed();
  void finish(IoStatus status);

  CacheFront* front_ = nullptr;
  VolumeIo* io_ = nullptr;
  SectorRange left_;
  SectorCount part_;  // of it that is on its way
  bool waits_for_space_ = false;
  Instant since_;  // it waits
  unsigned tries_ = 0;
};

}  // namespace engine
