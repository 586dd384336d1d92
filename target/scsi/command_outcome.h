// What metrics count a SCSI command as.
#pragma once

#include <cstddef>
#include <span>

#include "protocol/scsi/sense.h"
#include "protocol/scsi/status.h"
#include "target/block/volume_counters.h"

namespace target::scsi {

// By its operation code, however wrong the rest may be.
[[nodiscard]] block::CommandKind counted_kind(std::span<const std::byte> cdb);
// `sense`: what comes with CHECK CONDITION, else null.
[[nodiscard]] block::CommandOutcome counted_outcome(protocol::scsi::Status status,
                                                    const protocol::scsi::Sense* sense);

}  // namespace target::scsi
