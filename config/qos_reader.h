// Reads the `qos` section of a volume.
#pragma once

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// No limit at all if there is none. What is wrong is reported.
[[nodiscard]] VolumeQos read_qos(SectionReader& volume);

}  // namespace config
