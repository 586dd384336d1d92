// ReclaimTrigger: when a volume begins to give space up, and when that is enough.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/cache/volume_log.h"

namespace engine {

// Between the two watermarks it goes on with what it did. Segments, of the volume's room: what it
// may still take (SegmentShares::room).
class ReclaimTrigger {
 public:
  struct Watermarks {
    std::uint32_t start = 0;  // less room than that
    std::uint32_t stop = 0;   // at least so much
  };
  // A thirty-second of what the volume may have at all, up to a sixteenth. Where less is left than
  // a command may need (a segment of data and its checksums), whoever waits for it would wait for
  // volumes that see no reason to give anything up.
  [[nodiscard]] static Watermarks watermarks_of(std::uint32_t most) {
    const std::uint32_t command = most < 8 ? 1 : 2;
    return {.start = std::max(command, most / 32), .stop = std::max(command + 1, most / 16)};
  }
  // `logs_need`: the device has nothing free but what its logs go on with.
  [[nodiscard]] bool update(std::uint32_t room, Watermarks marks, bool logs_need,
                            std::size_t chunks) {
    if (room >= marks.stop) wanted_ = false;
    if (room < marks.start) wanted_ = true;
    return wanted_ || (logs_need && chunks > VolumeLog::few_chunks);
  }

 private:
  bool wanted_ = false;
};

}  // namespace engine
