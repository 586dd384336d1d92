// READ DEFECT DATA (10) and (12) parameter data (SBC-3): the lists are always empty, because what
// stands behind a volume keeps none.
#pragma once

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"

namespace protocol::scsi {

void put_empty_defect_list(Answer& answer, const ReadDefectData& command);

}  // namespace protocol::scsi
