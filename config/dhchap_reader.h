// Reads the `dhchap` section of a host.
#pragma once

#include <optional>

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// nullopt: there is none. What is wrong is reported and stands at line 0.
[[nodiscard]] std::optional<Dhchap> read_dhchap(SectionReader& host);

}  // namespace config
