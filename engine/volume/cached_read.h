// CachedRead: one read of which the cache lacks something.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>

#include "engine/cache/volume_cache.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/volume.h"

namespace engine {

class CacheFront;
class CacheLane;

// Its gaps are read beside each other (MissRead); it ends when the last of them has. On its lane's
// thread; given back to it when `io` ends.
class CachedRead {
 public:
  using Gaps = boost::container::small_vector<CacheGap, 8>;

  explicit CachedRead(CacheLane& lane) : lane_(lane) {}
  CommandTicket ticket;  // the lane's, and its parts'
  CachedRead(const CachedRead&) = delete;
  CachedRead& operator=(const CachedRead&) = delete;

  void start(CacheFront& front, VolumeIo& io, const Gaps& gaps);
  void part_done(IoStatus status);

  [[nodiscard]] CacheFront& front() const { return *front_; }
  // Of a part of it, in the caller's buffer.
  [[nodiscard]] std::span<std::byte> bytes_of(SectorRange range) const;

 private:
  CacheLane& lane_;
  CacheFront* front_ = nullptr;
  VolumeIo* io_ = nullptr;
  std::size_t parts_ = 0;  // under way
  IoStatus status_ = IoStatus::ok;
};

}  // namespace engine
