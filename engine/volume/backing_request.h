// What a request to a volume is to the disk behind it.
#pragma once

#include "engine/volume/volume.h"

namespace engine {

// `request` does to the backing what `io` asks of a volume with such blocks, durably where it
// changes anything; who waits for it is the caller's to fill in. Not for flush and verify.
void ask_backing(const VolumeIo& io, BlockSize block_size, BackingIo& request);

}  // namespace engine
