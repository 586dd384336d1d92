// Reads `control`.
#pragma once

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// What is wrong is reported.
[[nodiscard]] Control read_control(SectionReader& reader);

}  // namespace config
