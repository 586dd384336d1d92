// forebayctl detach, attach, retire: which cache device a volume of a running daemon is served
// through.
#pragma once

#include <string>

#include "appliance/cli/change_report.h"

namespace cli {

// Returns when the volume that the report is for is served without its cache; shows how far it is,
// and SIGINT cancels (exit code 1). Reports what it did or why not; returns the exit code.
[[nodiscard]] int cache_detach(const std::string& socket, const ChangeReport& report);
// A volume that is detached is served through `device`, where it begins empty. As above.
[[nodiscard]] int cache_attach(const std::string& socket, const ChangeReport& report,
                               const std::string& device);
// Returns when every volume is detached from the device that the report is for, and it is closed.
// SIGINT only ends the waiting (exit code 1). As above; also says what to change in the
// configuration.
[[nodiscard]] int cache_retire(const std::string& socket, const ChangeReport& report);

}  // namespace cli
