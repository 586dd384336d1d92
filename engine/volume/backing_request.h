// What a request to a volume is to the disk behind it.
#pragma once

#include "engine/volume/volume.h"

namespace engine {

// Has the backing do what `io` asks of a volume with such blocks, durably where it changes
// anything. Who waits for it is the caller's to fill in before, and whether it has its space. Not
// for flush and verify.
void ask_backing(BackingDevice& backing, IoLane& lane, const VolumeIo& io, BlockSize block_size,
                 BackingIo& request);

}  // namespace engine
