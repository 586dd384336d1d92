// What pools refuse, as findings for the operator.
#pragma once

#include "engine/pool/pool_error.h"
#include "engine/volume/engine.h"
#include "engine/volume/finding.h"

namespace engine {

// What of its volume an error of this kind speaks of.
[[nodiscard]] Finding::About about(PoolError::Kind kind);
// Why the pool is not open.
[[nodiscard]] Finding pool_finding(const PoolSpec& spec, const PoolError& error);

}  // namespace engine
