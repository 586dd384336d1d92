// Reads one entry of `listeners`.
#pragma once

#include <string>

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// What is wrong is reported; an address or port that is wrong stands at line 0, a wrong port is 0.
[[nodiscard]] Listener read_listener(const std::string& name, SectionReader& reader);

}  // namespace config
