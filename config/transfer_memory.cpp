#include "config/transfer_memory.h"

#include <algorithm>

namespace config {

engine::ByteCount largest_transfer(const Config& config) {
  engine::ByteCount largest = config.targets.empty() ? engine::ByteCount{} : largest_scsi_transfer;
  for (const auto& [nqn, subsystem] : config.subsystems) {
    largest = std::max(largest, subsystem.mdts);
  }
  return largest;
}

engine::ByteCount least_transfer_memory(const Config& config) {
  constexpr std::uint64_t transfers_of_a_reactor = 2;
  return {largest_transfer(config).value * transfers_of_a_reactor * config.reactors.count};
}

}  // namespace config
