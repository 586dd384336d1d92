// Task management functions (SAM-5, "Task management functions") and what they are answered.
#pragma once

#include <cstdint>

#include "protocol/scsi/lun.h"

namespace target::scsi {

enum class ManagementFunction : std::uint8_t {
  abort_task,
  abort_task_set,
  clear_task_set,
  logical_unit_reset,
  // Every logical unit of the target device, whoever sees it. After a cold reset the transport also
  // ends the device's sessions (RFC 7143, 11.5.1).
  target_warm_reset,
  target_cold_reset,
  // Not supported: no task is ever kept for ACA, nor reassigned (ErrorRecoveryLevel 0).
  clear_aca,
  task_reassign,
};

struct ManagementRequest {
  ManagementFunction function = ManagementFunction::abort_task;
  protocol::scsi::Lun lun;  // not of target resets
  std::uint32_t tag = 0;    // of the task to abort
};

enum class ManagementResponse : std::uint8_t {
  complete,
  no_task,  // there is no such task (any more): it has been answered
  no_lun,   // the logical unit is not there for this initiator
  not_supported,
};

}  // namespace target::scsi
