// How fast dirty data goes to a disk, beside a plain writer to the same file in the same run.
#pragma once

#include <string>

#include "engine/media/pmem_region.h"

namespace engine {

// Takes 512 MiB in `directory` while it runs. Prints.
void measure_write_back(PmemRegion& region, const std::string& directory);

}  // namespace engine
