// What a command counts as among the limits of its volume (docs/qos.md).
#pragma once

#include <optional>

#include "protocol/scsi/command.h"
#include "target/block/volume_limiter.h"
#include "target/scsi/task.h"

namespace target::scsi {

// Nullopt: it is free. So is what is going to be refused for its length. `task` has its logical
// unit.
[[nodiscard]] std::optional<block::Traffic> traffic_of(const Task& task,
                                                       const protocol::scsi::Command& command);

}  // namespace target::scsi
