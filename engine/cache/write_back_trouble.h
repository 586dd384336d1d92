// WriteBackTrouble: why a volume's log cannot be written back any further.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/cache/extent.h"
#include "engine/cache/kset.h"
#include "engine/cache/log_damage.h"

namespace engine {

// Everything before kset `sequence` can go to the backing; nothing from there on does until newer
// writes cover the place, or somebody decides.
struct WriteBackTrouble {
  enum class Kind : std::uint8_t {
    log,          // the log is damaged there: see `log`
    key,          // a key says something impossible: see `fault`
    stale,        // a key names a segment that is somebody else's by now
    unreadable,   // media error in data that nobody else has
    bad_checksum  // that data is not what was written
  };
  Kind kind = Kind::unreadable;
  std::uint64_t sequence = 0;
  SectorRange range{};  // on the volume; empty: log
  MediaOffset place;    // on the cache device
  KeyFault fault = KeyFault::none;
  std::optional<LogDamage> log{};

  // Some of the data itself cannot be given any more, and nothing else is wrong.
  [[nodiscard]] bool is_lost_data() const {
    return kind == Kind::unreadable || kind == Kind::bad_checksum;
  }
  // A sentence: what, where, and what follows.
  [[nodiscard]] std::string text() const;
};

}  // namespace engine
