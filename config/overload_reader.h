// Reads the `overload` section of a volume.
#pragma once

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// What it is by default if there is none. What is wrong is reported.
[[nodiscard]] VolumeOverload read_overload(SectionReader& volume);

}  // namespace config
