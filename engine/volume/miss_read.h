// MissRead: one part of a read that the backing has, on its way to the reader and into the cache.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>

#include "engine/cache/miss_table.h"
#include "engine/cache/volume_cache.h"
#include "engine/media/backing_device.h"
#include "engine/volume/cache_command.h"

namespace engine {

class CachedRead;
class CacheFront;

// Either it reads the backing, gives what it got to those who have joined it, and fills the cache
// if it is worth it, or heals what was bad there; or it has joined another one, and is handed its
// bytes (and reads by itself, if there are none). Given back to its lane when that is over, which
// may be after the reader has gone.
class MissRead final : public CacheCommand, private MissPart {
 public:
  explicit MissRead(CacheLane& lane) : CacheCommand(lane) {}

  // Takes the front of the gap, and says how much that is. The reader is told once, perhaps in
  // here.
  [[nodiscard]] SectorCount start(CachedRead& reader, SectorRange gap, bool fills);
  void go_on() noexcept override;

 private:
  enum class Phase : std::uint8_t { joined, reading, filling };

  void look_again();
  void read_holes();
  void backing_done(IoStatus status);
  void hand_out(IoStatus status);
  void receive(IoStatus status, std::span<const std::byte> bytes);
  [[nodiscard]] bool fill();
  void filled();
  void end();

  CachedRead* reader_ = nullptr;
  CacheFront* front_ = nullptr;
  Phase phase_ = Phase::joined;
  bool fills_ = false;
  std::optional<Fragment> bad_;                           // all of it, in the cache
  boost::container::small_vector<SectorRange, 4> holes_;  // that are left to read
  IoStatus status_ = IoStatus::ok;  // of the backing; joined: that was handed over
  // A read may end inside its submission; then the one who submits goes on.
  bool submitting_ = false;
  bool reading_ = false;
  BackingIo io_;
  BufferLease copy_;  // what is filled from, where that takes time
};

}  // namespace engine
