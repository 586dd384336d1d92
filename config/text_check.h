// What must hold of a file's bytes before a YAML reader may see them.
#pragma once

#include <string_view>

#include "config/report.h"

namespace config {

// Reports a byte order mark, bytes that are not UTF-8, control characters and tabs in the
// indentation. True if there is none of these.
[[nodiscard]] bool check_text(std::string_view text, Report& report);

}  // namespace config
