// Looking at a pool without opening it: what it would refuse, told before anything is served.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/file_pool.h"

namespace engine {

// Why `record` cannot become what is wished; nullopt if it can. Kinds: shrink, block_size_changed.
[[nodiscard]] std::optional<PoolError> refusal_of(const VolumeRecord& record,
                                                  const VolumeWish& wish);

// What FilePool::open() and ensure() would say, as far as reading alone can tell.
struct PoolFindings {
  std::optional<PoolError> pool;
  std::vector<std::optional<PoolError>> volumes;  // in the order of the wishes
};
// Writes nothing, locks nothing: the pool may be served by another process meanwhile.
[[nodiscard]] PoolFindings inspect_file_pool(const std::string& directory,
                                             std::optional<Uuid> expected,
                                             std::span<const VolumeWish> wishes);

}  // namespace engine
