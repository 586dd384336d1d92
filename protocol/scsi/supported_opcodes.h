// REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4), from
// command_table.h.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

// Errors: invalid_cdb at byte 2 or 4: one_opcode of an opcode with service actions,
// one_service_action of one without. Nothing is put then.
[[nodiscard]] std::optional<Sense> put_supported_opcodes(Answer& answer,
                                                         const ReportSupportedOpcodes& command,
                                                         const UnitFeatures& features);

// A list of all with command time-outs is not longer.
inline constexpr std::uint32_t max_supported_opcodes_bytes = 2048;

// RFC 7143's functions as they are served: ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT
// RESET, TARGET RESET; not CLEAR ACA, and no QUERY functions.
void put_supported_task_management(Answer& answer, const ReportSupportedTaskManagement& command);

}  // namespace protocol::scsi
