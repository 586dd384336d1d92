// GET LBA STATUS parameter data (SBC-4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"

namespace protocol::scsi {

// PROVISIONING STATUS.
enum class ProvisioningStatus : std::uint8_t { mapped = 0, deallocated = 1, anchored = 2 };

struct LbaStatus {
  BlockRange blocks{};  // at most 2^32 - 1 of them
  ProvisioningStatus status = ProvisioningStatus::mapped;
};

// Ascending, without gaps; the first one holds the block asked for. The host gets as many as fit
// in whole, and at least the length says what there is.
void put_lba_status(Answer& answer, std::span<const LbaStatus> ranges);

// How many descriptors `allocation_bytes` have room for.
[[nodiscard]] constexpr std::size_t lba_status_room(std::uint32_t allocation_bytes) {
  return allocation_bytes < 24 ? 1 : (allocation_bytes - 8) / 16;
}

}  // namespace protocol::scsi
