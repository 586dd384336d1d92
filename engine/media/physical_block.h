// The physical block of a disk: what it writes whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace engine {

// Bytes of the physical block of the block device `device`, as the kernel tells; a power of two.
// 0: it does not tell, or blocks of that length at their multiples are not those of the disk (a
// partition that begins in the middle of one).
[[nodiscard]] std::uint32_t physical_block_bytes(dev_t device,
                                                 const std::string& sysfs = "/sys/dev/block");

}  // namespace engine
