// CachedPins: a read whose pieces are given out where they lie in the cache.
#pragma once

#include <array>
#include <cstdint>

#include "engine/cache/volume_cache.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/pinned_read.h"

namespace engine {

class CacheFront;
class CacheLane;

// On its lane's thread, and given back to it when it is let go of. Until then it counts as a
// command under way.
class CachedPins final : public ReadPins {
 public:
  // A read in more pieces is copied.
  static constexpr std::size_t most_hits = 16;

  explicit CachedPins(CacheLane& lane) : lane_(lane) {}
  CommandTicket ticket;  // the lane's

  // False: the cache has not all of it as data that can be read, or it lies in too many pieces, or
  // the volume has too much pinned; nothing is, and it is the caller's to give back.
  [[nodiscard]] bool pin(CacheFront& front, SectorRange range, bool needs_checksum);

  [[nodiscard]] bool copy(std::span<const std::byte> part, std::span<std::byte> to) override;
  void let_go() noexcept override;

 private:
  [[nodiscard]] std::span<VolumeCache::Hit> hits() { return std::span(hits_).first(count_); }
  [[nodiscard]] bool check(bool needs_checksum);
  void unpin();

  CacheLane& lane_;
  CacheFront* front_ = nullptr;
  std::uint32_t count_ = 0;
  std::array<VolumeCache::Hit, most_hits> hits_;
  std::array<std::span<const std::byte>, most_hits> places_;
};

}  // namespace engine
