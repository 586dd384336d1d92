// How much of `memory:` transfers need, whatever else takes of it.
#pragma once

#include "config/config.h"

namespace config {

// Of a SCSI command: what a transfer buffer holds (VPD page B0h tells hosts).
inline constexpr engine::ByteCount largest_scsi_transfer = 2_MiB;

// The largest transfer that any subsystem or target allows.
[[nodiscard]] engine::ByteCount largest_transfer(const Config& config);
// Each reactor must be able to hold one of them that comes in beside one that waits for its disk:
// with less, hosts would only take memory from each other.
[[nodiscard]] engine::ByteCount least_transfer_memory(const Config& config);

}  // namespace config
