// `repair`: says what can be mended and what that costs, and does it when told so by the cache's
// UUID.
#pragma once

#include <string>
#include <vector>

#include "appliance/media/check_command.h"

namespace media {

struct RepairOptions {
  bool yes = false;
  std::string uuid;              // of the cache; needed with `yes`
  std::vector<std::string> cut;  // UUIDs of volumes whose damaged log may be cut
  Output output = Output::text;
};

// Without `yes` nothing is written. The exit code (ExitCode) is the verdict on the cache: as it is,
// or as it is afterwards.
[[nodiscard]] int repair(const std::string& path, const RepairOptions& options);

}  // namespace media
