// What an outcome of the engine is in SCSI: the one place where it becomes a status or sense data.
#pragma once

#include <optional>
#include <variant>

#include "engine/volume/volume.h"
#include "protocol/scsi/sense.h"
#include "protocol/scsi/status.h"

namespace target::scsi {

using Outcome = std::variant<protocol::scsi::Status, protocol::scsi::Sense>;

// `status` is not ok.
[[nodiscard]] Outcome outcome_of(engine::IoStatus status, engine::VolumeIo::Kind kind,
                                 engine::VolumeState state);

// Why a volume in this state takes no command that needs its medium; nullopt: it does.
//
// Late: 04/01, becoming ready. A Linux host tries again as long as the command may take (by default
// three minutes), and its path checkers wait. Refused: 04/03, someone has to do something: tried
// again in vain, so the host gives up at once.
[[nodiscard]] std::optional<protocol::scsi::Sense> not_ready(engine::VolumeState state);

}  // namespace target::scsi
