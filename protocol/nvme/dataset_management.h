// The range list of a Dataset Management command.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/io_command.h"
#include "protocol/nvme/refusal.h"

namespace protocol::nvme {

// NVM Command Set 1.1, "Dataset Management - Range Definition".
struct DatasetRangeEntry {
  wire_types::U32 context_attributes;
  wire_types::U32 block_count;  // not 0's based: 0 is no block
  wire_types::U64 first_block;
};
static_assert(sizeof(DatasetRangeEntry) == dataset_range_bytes && alignof(DatasetRangeEntry) == 1);
static_assert(offsetof(DatasetRangeEntry, block_count) == 4);
static_assert(offsetof(DatasetRangeEntry, first_block) == 8);

inline constexpr std::uint32_t max_dataset_ranges = 256;

// In the order of the data; a count of 0 is legal and means nothing to do.
struct DatasetRanges {
  std::array<BlockRange, max_dataset_ranges> entries{};
  std::uint32_t count = 0;

  [[nodiscard]] std::span<const BlockRange> span() const { return std::span(entries).first(count); }
};

// The first `range_count` (1..256) entries of `data`, which may be longer.
// Refusals: data_sgl_length_invalid when `data` is shorter, invalid_field for a count out of range.
[[nodiscard]] Parsed<DatasetRanges> parse_dataset_ranges(std::span<const std::byte> data,
                                                         std::uint32_t range_count);

}  // namespace protocol::nvme
