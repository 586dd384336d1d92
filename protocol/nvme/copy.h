// The source ranges of Copy (NVM Command Set 1.1, "Copy - Source Range Entries"), formats 0h and
// 2h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/io_command.h"

namespace protocol::nvme {

// Format 2h. In format 0h the first eight bytes and SOPT are reserved.
struct CopyRangeEntry {
  wire_types::U32 source_nsid;
  wire_types::U32 reserved4;
  wire_types::U64 first_block;
  wire_types::U16 block_count;  // 0's based
  std::uint8_t reserved18[4];
  wire_types::U16 options;     // SOPT; bit 0: FCO
  std::uint8_t protection[8];  // no namespace has any
};
static_assert(sizeof(CopyRangeEntry) == copy_range_bytes && alignof(CopyRangeEntry) == 1);
static_assert(offsetof(CopyRangeEntry, first_block) == 8);
static_assert(offsetof(CopyRangeEntry, block_count) == 16);
static_assert(offsetof(CopyRangeEntry, options) == 22);

struct CopySource {
  NamespaceId nsid{};  // may be none that exists
  BlockRange blocks{};
  bool fast_only = false;  // FCO: not at all rather than as slowly as by Read and Write
};

// Range `number` of `command`, whose `list` has all of them: at least range_count entries.
[[nodiscard]] CopySource copy_source(std::span<const std::byte> list, const Copy& command,
                                     std::uint32_t number);

}  // namespace protocol::nvme
