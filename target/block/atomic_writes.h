// AtomicWrites: which writes of a volume hosts are told to be whole or not there at all.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/volume/volume.h"

namespace target::block {

// What the disks below like: 4 KiB whatever the logical block is.
inline constexpr std::uint32_t preferred_granularity_bytes = 4096;

// Also when power fails. Where the log of a cache makes it so, in what other hosts read and write
// meanwhile, too.
struct alignas(8) AtomicWrites {     // an atomic of it is one word
  std::uint32_t bytes = 0;           // at most so many; 0: nothing beyond one block
  std::uint32_t boundary_bytes = 0;  // and none across a multiple of this; 0: wherever it begins

  // What a host takes for the physical block, and file systems for what a power failure does not
  // tear: no more than is promised.
  [[nodiscard]] std::uint32_t physical_block_bytes(engine::BlockSize size) const {
    return std::max(size.bytes, std::min(bytes, preferred_granularity_bytes));
  }
  friend bool operator==(const AtomicWrites&, const AtomicWrites&) = default;
};

// Of what a disk keeps whole, no more is told than its physical block.
[[nodiscard]] inline AtomicWrites atomic_writes_of(const engine::VolumePromise& promise) {
  if (promise.is_atomic_anywhere) return {.bytes = promise.atomic_write_bytes};
  const std::uint32_t bytes = std::min(promise.atomic_write_bytes, preferred_granularity_bytes);
  return {.bytes = bytes, .boundary_bytes = bytes};
}

}  // namespace target::block
