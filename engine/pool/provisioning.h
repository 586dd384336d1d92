// Provisioning: whether a volume has all its space from the beginning.
#pragma once

#include "engine/format/pool_format.h"

namespace engine {

// thick: it has, for good. thin: it takes space as it is written, and gives back what is zeroed or
// deallocated.
using format::Provisioning;

[[nodiscard]] inline const char* text(Provisioning provisioning) {
  return provisioning == Provisioning::thin ? "thin" : "thick";
}

}  // namespace engine
