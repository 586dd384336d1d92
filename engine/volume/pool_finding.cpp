#include "engine/volume/pool_finding.h"

#include <string>

namespace engine {
namespace {

Finding::About about_pool(const PoolSpec& spec, PoolError::Kind kind) {
  const bool is_device = spec.kind == PoolSpec::Kind::device;
  switch (kind) {
    case PoolError::Kind::wrong_pool:
      // Without a UUID there is only what the members say of each other.
      if (is_device && !spec.uuid) return Finding::About::pool_members;
      return Finding::About::pool_uuid;
    case PoolError::Kind::other_layout:
      return Finding::About::pool_layout;
    case PoolError::Kind::other_chunk:
      return Finding::About::pool_chunk_size;
    default:
      return is_device ? Finding::About::pool_members : Finding::About::pool_directory;
  }
}

}  // namespace

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
  return {.about = about_pool(spec, error.kind), .name = spec.name, .text = error.text};
}

Finding member_finding(const PoolSpec& spec, const MemberTrouble& trouble) {
  return {.about = Finding::About::pool_members,
          .name = spec.name,
          .text = trouble.error.text,
          .member = trouble.path};
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
