// Locks of parts of a file or block device that belong to an open file description (OFD).
#pragma once

#include "engine/foundation/units.h"

namespace engine {

struct FileRange {
  MediaOffset offset;
  ByteCount length;  // not zero
};

// Locks the range for the description `fd`, and for nobody else, also not in this process. The lock
// ends when the last descriptor is closed and the last request on it has ended, even if the process
// was killed before. Again by the same description: nothing changes. Returns 0 or a positive errno;
// EWOULDBLOCK: somebody else has a part of it.
[[nodiscard]] int lock_file_range(int fd, FileRange range);
[[nodiscard]] int unlock_file_range(int fd, FileRange range);

}  // namespace engine
