#include "protocol/nvme/dataset_management.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"

namespace protocol::nvme {

Parsed<DatasetRanges> parse_dataset_ranges(std::span<const std::byte> data,
                                           std::uint32_t range_count) {
  if (range_count == 0 || range_count > max_dataset_ranges) {
    return Refusal{status::invalid_field, at_dword(10)};
  }
  DatasetRanges ranges;
  engine::ByteReader reader(data);
  for (; ranges.count < range_count; ++ranges.count) {
    const auto entry = reader.read<DatasetRangeEntry>();
    if (!entry) return Refusal{status::data_sgl_length_invalid, at_byte(32)};
    ranges.entries[ranges.count] = {.first = {entry->first_block}, .count = {entry->block_count}};
  }
  return ranges;
}

}  // namespace protocol::nvme
