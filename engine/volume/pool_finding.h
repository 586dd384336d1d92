// What pools refuse, as findings for the operator.
#pragma once

#include "engine/pool/member_set.h"
#include "engine/pool/volume_table.h"
#include "engine/volume/engine.h"
#include "engine/volume/finding.h"

namespace engine {

// What of its volume an error of this kind speaks of.
[[nodiscard]] Finding::About about(PoolError::Kind kind);
// Why the pool is not open.
[[nodiscard]] Finding pool_finding(const PoolSpec& spec, const PoolError& error);
// What is amiss with one of its members.
[[nodiscard]] Finding member_finding(const PoolSpec& spec, const MemberTrouble& trouble);
// That as much of its file system is used as its operator wants to know of.
[[nodiscard]] Finding filling_finding(const PoolSpec& spec);
// Of a volume that is not as its pool's new ones would be.
[[nodiscard]] Finding provisioning_finding(const PoolSpec& spec, const VolumeRecord& record);

}  // namespace engine
