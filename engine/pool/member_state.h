// MemberState, HealedReplicas: what there is to say of a pool's disks and of what lies twice on
// them, beside its errors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/foundation/uuid.h"

namespace engine {

// A member of a device pool, by which an operator finds the disk.
struct MemberState {
  std::uint32_t index = 0;
  Uuid uuid;
  bool is_there = false;
  std::string path{};    // as it is configured; of one that is missing, where it was last
  std::string device{};  // the same without symbolic links
  std::string serial{};  // empty where there is none
  std::string reason{};  // why it is not there
};

// Replicas of labels and tables that were not whole when the pool was opened.
struct HealedReplicas {
  // No write that was cut off leaves them so: a disk, or somebody, has changed or lost what it had.
  std::uint32_t rotten = 0;
  // Or one was cut off: usual after a power loss, and nobody can tell.
  std::uint32_t cut_off = 0;
  std::vector<std::string> texts{};  // one sentence for each

  [[nodiscard]] bool empty() const { return texts.empty(); }
};

}  // namespace engine
