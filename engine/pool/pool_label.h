// PoolLabel: what makes a directory a pool. docs/pool-format.md.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/uuid.h"
#include "engine/pool/pool_error.h"

namespace engine {

struct PoolLabel {
  Uuid pool_uuid;
  std::uint64_t created_ms = 0;  // since 1970-01-01 UTC
  friend bool operator==(const PoolLabel&, const PoolLabel&) = default;
};

[[nodiscard]] std::vector<std::byte> encode(const PoolLabel& label);
// Errors: damaged (length, magic, CRC, contents), unsupported (version, kind, features).
[[nodiscard]] Result<PoolLabel, PoolError> decode_pool_label(std::span<const std::byte> bytes);

}  // namespace engine
