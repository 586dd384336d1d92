// BackingUser: who stands between a backing and the hosts.
#pragma once

#include <memory>

#include "engine/media/backing_journal.h"
#include "engine/media/backing_marker.h"
#include "engine/pool/cache_binding.h"
#include "engine/volume/volume.h"

namespace engine {

// What a pool knows of a backing that has come.
struct BackingArrival {
  CacheBinding binding;
  std::unique_ptr<BackingMarker> marker;
  std::unique_ptr<BackingJournal> journal{};  // null: the volume is configured without
  VolumePromise promise;
};

// The pool's thread, but for backing_changed(): any.
class BackingUser {
 public:
  // Its BackedVolume is online; once.
  virtual void backing_came(BackingArrival arrival) = 0;
  // State or size of its BackedVolume.
  virtual void backing_changed() noexcept = 0;

 protected:
  ~BackingUser() = default;
};

}  // namespace engine
