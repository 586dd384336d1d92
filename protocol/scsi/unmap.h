// The parameter list of UNMAP (SBC-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

inline constexpr std::uint32_t max_unmap_descriptors = 256;  // MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT
inline constexpr std::uint32_t max_unmap_list_bytes = 8 + 16 * max_unmap_descriptors;

// In the order of the list; counts of 0 are legal and mean nothing to do.
struct UnmapList {
  std::array<BlockRange, max_unmap_descriptors> entries{};
  std::uint32_t count = 0;
  [[nodiscard]] std::span<const BlockRange> span() const { return std::span(entries).first(count); }
};

// `data` is `command.parameter_bytes` long, or shorter where the host sent less. A list of no bytes
// is empty. `max_blocks`: of all descriptors together (MAXIMUM UNMAP LBA COUNT).
// Errors: parameter_list_length_error for a header cut short; invalid_list for more descriptors or
// more blocks than the limits. What a descriptor's length says beyond the data is cut, and half a
// descriptor is not read (SBC-4, UNMAP: "truncated").
[[nodiscard]] Parsed<UnmapList> parse_unmap_list(std::span<const std::byte> data,
                                                 engine::BlockCount max_blocks);

}  // namespace protocol::scsi
