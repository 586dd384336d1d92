// Scrubbing: is every copy of a volume's blocks still what it should be?
#pragma once

#include <cstdint>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/media/backing_device.h"

namespace engine {

// What a scrub has found amiss, in blocks of the volume.
struct ScrubFinding {
  enum class Kind : std::uint8_t {
    cache_healed,        // the cache had it badly; its backing has it well, and it comes from there
    cache_bad,           // the same, but the backing could not give it either
    cache_lost,          // the cache had it badly, and nobody else has it
    backing_unreadable,  // the backing does not give it back
    backing_differs,     // it does, but other bytes than the cache has of it
  };
  Kind kind = Kind::cache_healed;
  Lba lba;
  BlockCount blocks;
  friend bool operator==(const ScrubFinding&, const ScrubFinding&) = default;
};
[[nodiscard]] constexpr const char* text(ScrubFinding::Kind kind) {
  switch (kind) {
    case ScrubFinding::Kind::cache_healed:
      return "cache-healed";
    case ScrubFinding::Kind::cache_bad:
      return "cache-bad";
    case ScrubFinding::Kind::cache_lost:
      return "cache-lost";
    case ScrubFinding::Kind::backing_unreadable:
      return "backing-unreadable";
    case ScrubFinding::Kind::backing_differs:
      return "backing-differs";
  }
  return "";
}

// One piece of a volume that is scrubbed; see Scrubbable. Owned by the caller, untouched by
// him until `done` runs.
struct ScrubIo {
  static constexpr ByteCount largest{128U << 10};

  Lba lba;
  BlockCount blocks;  // at least one, at most as many as `largest` has
  // On the lane's thread; may run inside scrub().
  void (*done)(ScrubIo& io, IoStatus status) noexcept = nullptr;
  void* context = nullptr;  // the caller's own

  // When it is done: nothing for what is not amiss.
  std::vector<ScrubFinding> findings{};
  ByteCount in_cache;  // that the cache has, and was checked there
  ByteCount compared;  // of that what the backing was found to have alike, or not
};

class Volume;

// A volume that can be scrubbed: each of an Engine.
class Scrubbable {
 public:
  // Any thread, each with its own lane. Looks at every copy that there is of these blocks: what the
  // cache has of them is checked as a read would check it, and healed as a read would heal it; the
  // backing is read, and where the cache has the same, clean, compared with it. Without a cache
  // only the latter can be told: whether it is read. `ok`: all of that was done, whatever has been
  // found; else as Volume::submit(). What hosts do meanwhile is no finding. Blocks that are known
  // to be lost are unreadable.
  virtual void scrub(IoLane& lane, ScrubIo& io) = 0;

 protected:
  ~Scrubbable() = default;
};
// Of a volume that is none: unavailable.
void scrub(Volume& volume, IoLane& lane, ScrubIo& io);

}  // namespace engine
