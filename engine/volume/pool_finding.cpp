#include "engine/volume/pool_finding.h"

#include <string>

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

Finding filling_finding(const PoolSpec& spec) {
  const bool is_thin = spec.provisioning == Provisioning::thin;
  return {.about = Finding::About::pool_warn_at,
          .name = spec.name,
          .text = std::to_string(spec.warn_at.value_or(0)) +
                  "% of its file system is used, or promised to what has been answered; make room" +
                  (is_thin ? ", or writes to its thin volumes are refused when only the reserve (" +
                                 size_text(spec.reserve) + ") is left"
                           : "")};
}

Finding provisioning_finding(const PoolSpec& spec, const VolumeRecord& record) {
  return {.about = Finding::About::pool_provisioning,
          .name = spec.name,
          .text = std::string(text(spec.provisioning)) + " is for new volumes; volume " +
                  record.name + " is " + text(record.provisioning) + " and stays so"};
}

}  // namespace engine
