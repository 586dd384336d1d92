// What Get LBA Status answers (NVM Command Set 1.1, "Get LBA Status command").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/io_command.h"

namespace protocol::nvme {

struct LbaStatusHeader {
  wire_types::U32 descriptor_count;  // NLSD
  std::uint8_t completion;           // CMPC
  std::uint8_t reserved5[3];
};
static_assert(sizeof(LbaStatusHeader) == 8 && alignof(LbaStatusHeader) == 1);
static_assert(offsetof(LbaStatusHeader, completion) == 4);

struct LbaStatusDescriptor {
  wire_types::U64 first_block;  // DSLBA
  wire_types::U32 block_count;  // NLB
  std::uint8_t reserved12;
  std::uint8_t status;  // 0: nothing to add to what the action type says
  std::uint8_t reserved14[2];
};
static_assert(sizeof(LbaStatusDescriptor) == 16 && alignof(LbaStatusDescriptor) == 1);
static_assert(offsetof(LbaStatusDescriptor, block_count) == 8);
static_assert(offsetof(LbaStatusDescriptor, status) == 13);

// CMPC.
inline constexpr std::uint8_t lba_status_incomplete = 1;  // there are more than there was room for
inline constexpr std::uint8_t lba_status_complete = 2;

// The header, and as many whole descriptors as fit into `bytes`; never longer than that. `ranges`
// ascend; one that is longer than a descriptor can say takes several.
[[nodiscard]] std::vector<std::byte> build_lba_status(std::span<const BlockRange> ranges,
                                                      std::uint64_t bytes);

}  // namespace protocol::nvme
