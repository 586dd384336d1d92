// The status byte that ends a SCSI command (SAM-5, "Status codes").
#pragma once

#include <cstdint>

namespace protocol::scsi {

enum class Status : std::uint8_t {
  good = 0x00,
  check_condition = 0x02,
  condition_met = 0x04,  // PRE-FETCH: all the blocks fit in the cache
  busy = 0x08,
  reservation_conflict = 0x18,
  task_set_full = 0x28,
  aca_active = 0x30,
  task_aborted = 0x40,
};

}  // namespace protocol::scsi
