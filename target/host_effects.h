// What a new configuration means for the hosts that are connected now.
#pragma once

#include <vector>

#include "target/plan.h"

namespace target {

// `access`: what is said of listeners, afterwards. Every host with an NVMe controller or an iSCSI
// session, by name; those that are not concerned have no sentences. Pure.
[[nodiscard]] std::vector<HostEffect> host_effects(const config::Config& before,
                                                   const config::Config& after,
                                                   const Running& running,
                                                   const AccessStates& access);

}  // namespace target
