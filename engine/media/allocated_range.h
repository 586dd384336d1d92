// Whether a range of a file has its space.
#pragma once

#include "engine/foundation/units.h"

namespace engine {

// True: writing there takes no space of the file system. False where that is not sure: on file
// systems that write everything to a new place (btrfs), where others share the space (reflinks),
// and after an error. May wait for the disk.
[[nodiscard]] bool is_allocated(int fd, MediaOffset offset, ByteCount length);

}  // namespace engine
