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
// More of a PRE-FETCH is not done: the cache would drop what came first.
inline constexpr engine::ByteCount largest_prefetch{16U << 20};
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

// What WRITE ATOMIC may write: 0 if nothing beyond single blocks is promised.
[[nodiscard]] inline engine::BlockCount atomic_blocks(const block::AtomicWrites& atomic,
                                                      engine::BlockSize size) {
  return atomic.bytes <= size.bytes ? engine::BlockCount{} : blocks_of({atomic.bytes}, size);
}

[[nodiscard]] inline protocol::scsi::BlockLimits block_limits(engine::BlockSize size,
                                                              const block::AtomicWrites& writes) {
  const engine::BlockCount granularity{
      std::max<std::uint64_t>(1, block::preferred_granularity_bytes / size.bytes)};
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
          .max_atomic = atomic_blocks(writes, size),
          // A write that crosses a border of a disk's physical blocks may be torn there.
          .atomic_alignment = blocks_of({writes.boundary_bytes}, size),
          .atomic_granularity = {}};
}

}  // namespace target::scsi
