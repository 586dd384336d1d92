// The rules that need two places of the file to judge: references, collisions, what one setting
// means for another.
#pragma once

#include "config/build.h"
#include "config/report.h"

namespace config {

void validate(const Draft& draft, Report& report);

}  // namespace config
