// REPORT LUNS parameter data (SPC-4).
#pragma once

#include <cstdint>
#include <span>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/lun.h"

namespace protocol::scsi {

// `units`: those that the asking nexus may use, ascending, without well-known ones: whether those
// and these belong into the list is decided here.
void put_report_luns(Answer& answer, ReportLuns::Select select, std::span<const Lun> units);

}  // namespace protocol::scsi
