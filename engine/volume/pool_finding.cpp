#include "engine/volume/pool_finding.h"

namespace engine {

Finding::About about(PoolError::Kind kind) {
  switch (kind) {
    case PoolError::Kind::shrink:
      return Finding::About::volume_size;
    case PoolError::Kind::block_size_changed:
      return Finding::About::volume_block_size;
    default:
      return Finding::About::volume;
  }
}

Finding pool_finding(const PoolSpec& spec, const PoolError& error) {
  return {.about = error.kind == PoolError::Kind::wrong_pool ? Finding::About::pool_uuid
                                                             : Finding::About::pool_directory,
          .name = spec.name,
          .text = error.text};
}

}  // namespace engine
