// Limits that a logical unit shows (VPD page B0h) and holds commands to.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/media/buffer_pool.h"
#include "protocol/scsi/unmap.h"
#include "protocol/scsi/vpd.h"
#include "target/block/block_volume.h"

namespace target::scsi {

// Of one command: what one buffer holds.
inline constexpr engine::ByteCount largest_transfer = engine::BufferPool::largest;
// Commands that read beside their data do so in pieces of this size.
inline constexpr engine::ByteCount side_buffer{128U << 10};
inline constexpr std::uint64_t most_compared_blocks = 255;  // COMPARE AND WRITE has one byte
static_assert(2 * most_compared_blocks * 4096 <= largest_transfer.value);

// UNMAP: more is taken for nonsense by libiscsi's conformance suite.
inline constexpr std::uint64_t most_unmapped_blocks = 1U << 20;
// WRITE SAME: 16 bits of blocks, as the field is used to.
inline constexpr std::uint64_t most_same_blocks = 0xffff;

[[nodiscard]] inline engine::BlockCount blocks_of(engine::ByteCount bytes, engine::BlockSize size) {
  return {bytes.value / size.bytes};
}

[[nodiscard]] inline engine::BlockCount largest_unmap(engine::BlockSize size) {
  return {std::min(blocks_of(block::largest_zeroing, size).value, most_unmapped_blocks)};
}
[[nodiscard]] inline engine::BlockCount largest_write_same(engine::BlockSize size) {
  return {std::min(blocks_of(block::largest_zeroing, size).value, most_same_blocks)};
}

// What a volume promises beyond single blocks (WRITE ATOMIC, as NVMe's NAWUPF): 0 if nothing.
[[nodiscard]] inline engine::BlockCount atomic_blocks(std::uint32_t atomic_write_bytes,
                                                      engine::BlockSize size) {
  const engine::ByteCount bytes{std::min(atomic_write_bytes, block::preferred_granularity_bytes)};
  return bytes.value <= size.bytes ? engine::BlockCount{} : blocks_of(bytes, size);
}

// What a host takes for the physical block, and file systems for what a power failure does not
// tear: no more than the volume promises.
[[nodiscard]] inline std::uint32_t physical_block_bytes(std::uint32_t atomic_write_bytes,
                                                        engine::BlockSize size) {
  return std::max(size.bytes, std::min(atomic_write_bytes, block::preferred_granularity_bytes));
}

[[nodiscard]] inline protocol::scsi::BlockLimits block_limits(engine::BlockSize size,
                                                              std::uint32_t atomic_write_bytes) {
  const engine::BlockCount granularity{
      std::max<std::uint64_t>(1, block::preferred_granularity_bytes / size.bytes)};
  const engine::BlockCount atomic = atomic_blocks(atomic_write_bytes, size);
  return {.max_transfer = blocks_of(largest_transfer, size),
          // Linux makes no request longer than this.
          .optimal_transfer = blocks_of(largest_transfer, size),
          .optimal_granularity = granularity,
          .max_prefetch = {},
          .max_compare_and_write = {most_compared_blocks},
          .max_unmap = largest_unmap(size),
          .max_unmap_descriptors = protocol::scsi::max_unmap_descriptors,
          .unmap_granularity = granularity,
          .unmap_alignment = engine::BlockCount{0},
          .max_write_same = largest_write_same(size),
          .write_same_needs_count = true,
          .max_atomic = atomic,
          // A write that crosses a multiple of the promised length may be torn there.
          .atomic_alignment = atomic,
          .atomic_granularity = {}};
}

}  // namespace target::scsi
