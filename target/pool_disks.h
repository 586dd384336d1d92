// What the status and the log tell of the disks of pools.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/volume/engine.h"
#include "target/control/status.h"
#include "target/smart_report.h"

namespace target {

[[nodiscard]] control::DiskStatus status_of_disk(const engine::DiskStatus& disk,
                                                 const SmartReport& smart = {});

// Remembers which disks had troubles, so that their end is told once. One thread.
class AilingDisks {
 public:
  // Those of the pool, by name, that had some when this was last asked and have none now.
  [[nodiscard]] std::vector<std::string> well_again(const engine::PoolStatus& pool);

 private:
  std::map<std::string, std::set<std::string>> ailing_;  // by pool
};

}  // namespace target
