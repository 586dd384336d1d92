// Reads a `chap` section: of a host, of a target, of discovery.
#pragma once

#include <optional>
#include <string_view>

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// nullopt: there is none under that key. `pattern` is the section's own. What is wrong is reported
// and stands at line 0.
[[nodiscard]] std::optional<Chap> read_chap(SectionReader& owner, std::string_view key,
                                            std::string_view pattern);

}  // namespace config
