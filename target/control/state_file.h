// What the daemon remembers from one start to the next, a small file each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"

namespace target::control {

// `directory`/`name`: in place of the one before it at once, or not at all, and on the disk when it
// returns. For the daemon's user alone. May wait for a disk. The error is "PATH cannot be written:
// REASON".
[[nodiscard]] engine::Result<void, std::string> write_state_file(const std::string& directory,
                                                                 const std::string& name,
                                                                 std::string_view text);

// What stands between tabs.
[[nodiscard]] std::vector<std::string> tab_fields(std::string_view line);

}  // namespace target::control
