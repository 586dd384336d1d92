// What metrics count a command of NVMe as.
#pragma once

#include <cstdint>

#include "protocol/nvme/status.h"
#include "target/block/volume_counters.h"

namespace target::nvmf {

// Of an I/O queue. A Compare counts as a read (Base 2.1, SMART: Host Read Commands).
[[nodiscard]] block::CommandKind counted_kind(std::uint8_t opcode);
// Not of success.
[[nodiscard]] block::CommandOutcome counted_failure(protocol::nvme::Status status);
[[nodiscard]] inline block::CommandOutcome counted_outcome(protocol::nvme::Status status) {
  return status.is_success() ? block::CommandOutcome::ok : counted_failure(status);
}

}  // namespace target::nvmf
