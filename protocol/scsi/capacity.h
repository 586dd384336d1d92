// READ CAPACITY (10) and (16) parameter data (SBC-4).
#pragma once

#include <cstdint>

#include "engine/foundation/units.h"
#include "protocol/scsi/answer.h"

namespace protocol::scsi {

struct Capacity {
  engine::BlockCount size{};  // at least 1
  engine::BlockSize block_size{};
  std::uint32_t physical_block_bytes = 4096;  // a power of two, at least the block size
  engine::Lba lowest_aligned{};               // LOWEST ALIGNED LOGICAL BLOCK ADDRESS
  bool unmap = true;                          // LBPME: UNMAP is offered
  bool unmapped_reads_zero = true;            // LBPRZ
};

inline constexpr std::uint32_t read_capacity10_bytes = 8;
inline constexpr std::uint32_t read_capacity16_bytes = 32;

// A last block beyond FFFF'FFFEh is shown as FFFF'FFFFh: the host then asks with (16).
void put_read_capacity10(Answer& answer, const Capacity& capacity);
void put_read_capacity16(Answer& answer, const Capacity& capacity);

}  // namespace protocol::scsi
