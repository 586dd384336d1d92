// What is known of blocks without reading them; one truth for NVMe's Get LBA Status and SCSI's.
#pragma once

#include <vector>

#include "engine/volume/volume.h"
#include "target/block/extent.h"

namespace target::block {

// From `first` on, up to the volume's end: those that have a place, as far as is known. Which
// blocks have space behind them only the pool's file system knows, so that is all of them: nobody
// takes them for free. `first` is one of the volume's.
[[nodiscard]] Extent mapped_from(const engine::Volume& volume, engine::Lba first);

// Of `range`, those that are an error to read until they are written, because nobody has them:
// ascending, not touching each other. Not what has yet to be found out by reading.
[[nodiscard]] std::vector<Extent> lost_in(const engine::Volume& volume, const Extent& range);

}  // namespace target::block
