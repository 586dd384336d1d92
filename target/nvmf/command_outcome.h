// What metrics count a command of NVMe as.
#pragma once

#include <cstdint>

#include "protocol/nvme/status.h"
#include "target/block/volume_counters.h"

namespace target::nvmf {

// Of an I/O queue.
[[nodiscard]] block::CommandKind counted_kind(std::uint8_t opcode);
[[nodiscard]] block::CommandOutcome counted_outcome(protocol::nvme::Status status);

}  // namespace target::nvmf
