// What a plan warns of, whatever else it says.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/message.h"
#include "target/plan.h"

namespace target {

// Where that is new, or where the file says otherwise than it is.
[[nodiscard]] std::vector<config::Message> plan_warnings(const config::Config& before,
                                                         const config::Config& after,
                                                         const Running& running);

}  // namespace target
