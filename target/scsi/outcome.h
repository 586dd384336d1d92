// What an outcome of the engine is in SCSI: the one place where it becomes a status or sense data.
#pragma once

#include <optional>
#include <variant>

#include "engine/volume/volume.h"
#include "protocol/scsi/sense.h"
#include "protocol/scsi/status.h"

namespace target::scsi {

struct Task;

using Outcome = std::variant<protocol::scsi::Status, protocol::scsi::Sense>;

// `status` is not ok.
[[nodiscard]] Outcome outcome_of(engine::IoStatus status, engine::VolumeIo::Kind kind,
                                 engine::VolumeState state);

// What a command is answered for which there is no memory now (SAM-5, "Status codes"): TASK SET
// FULL if the nexus has other commands at the unit, so that it sends fewer at a time; BUSY if not.
[[nodiscard]] protocol::scsi::Status status_without_room(const Task& task);

// Why a volume in this state takes no command that needs its medium; nullopt: it does.
//
// Late: 04/01, becoming ready. A Linux host tries again as long as the command may take (by default
// three minutes), and its path checkers wait. Refused: 04/03, someone has to do something: tried
// again in vain, so the host gives up at once.
[[nodiscard]] std::optional<protocol::scsi::Sense> not_ready(engine::VolumeState state);
// The same, and whether it is being formatted.
[[nodiscard]] std::optional<protocol::scsi::Sense> not_ready(const engine::Volume& volume);

}  // namespace target::scsi
