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

// Its gaps are read beside each other (MissRead); it ends when the last of them has. A read of
// several blocks then looks once more at what the cache has, so that of a write that came meanwhile
// it has all or nothing. On its lane's thread; given back to it when `io` ends.
class CachedRead {
 public:
  using Gaps = boost::container::small_vector<CacheGap, 8>;

  explicit CachedRead(CacheLane& lane) : lane_(lane) {}
  CommandTicket ticket;  // the lane's, and its parts'
  CachedRead(const CachedRead&) = delete;
  CachedRead& operator=(const CachedRead&) = delete;

  // Gives out what the cache has, and the rest to `gaps`, in address order. False: the cache alone
  // has had some of it, and has lost that. Any thread.
  [[nodiscard]] static bool look(CacheFront& front, VolumeIo& io, Gaps& gaps);
  // All that the cache did not give out.
  void start(CacheFront& front, VolumeIo& io, const Gaps& gaps);
  void part_done(IoStatus status);

  [[nodiscard]] CacheFront& front() const { return *front_; }
  // Of a part of it, in the caller's buffer.
  [[nodiscard]] std::span<std::byte> bytes_of(SectorRange range) const;

 private:
  // Whether what the backing has of it is to be put into the cache; if not, that is counted.
  [[nodiscard]] bool is_filled(const CacheGap& gap);
  enum class Found : std::uint8_t { whole, lost, changed };

  void begin();
  [[nodiscard]] bool needs_watch() const;
  [[nodiscard]] Found look_again();
  void begin_once_more();
  [[nodiscard]] bool has(const Piece& piece) const;
  [[nodiscard]] bool was_read(SectorRange range) const;
  void finish(IoStatus status);

  CacheLane& lane_;
  CacheFront* front_ = nullptr;
  VolumeIo* io_ = nullptr;
  Gaps gaps_;
  std::size_t parts_ = 0;  // under way
  Instant asked_;          // of the backing, by IoLane::now()
  IoStatus status_ = IoStatus::ok;
  bool is_watched_ = false;
  ReadWatch watch_;
};

}  // namespace engine
