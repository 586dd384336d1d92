// Which guard is off (engine/foundation/guard.h); in the mutants' build only.
#pragma once

#include <cstdint>
#include <string>

namespace engine::test {

// Empty: all are on. Starts counting anew.
void switch_guard_off(const std::string& name);
// How often the one that is off was asked for: 0 means that its name is not in the engine.
[[nodiscard]] std::uint64_t guard_uses();

}  // namespace engine::test
