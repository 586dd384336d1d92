// DiskUse: who uses a disk already.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/pool/sys_block.h"

namespace engine {

struct DiskUse {
  // The gravest first.
  enum class Kind : std::uint8_t {
    boot,     // this system runs from it
    mounted,  // a file system on it, or on a partition of it
    swap,     // in use as swap
    held,     // something is built on it: device mapper, md, bcache; of a file: a loop device
  };
  Kind kind = Kind::held;
  std::string device;  // which part of the disk, as the kernel calls it: "sdb1"
  std::string what;    // where it is mounted, or what holds it: "/srv", "md0", "dm-3 (vg0-root)"
  friend bool operator==(const DiskUse&, const DiskUse&) = default;
};

// Of the device, of its partitions, and of the disk it is a partition of; the gravest first, none
// twice. A disk beneath the one that this system runs from (through partitions, device mapper and
// md) counts as that; another partition of the same disk does not. What happens in other mount
// namespaces is not seen: opening it exclusively tells.
[[nodiscard]] std::vector<DiskUse> uses_of(const SysBlock& device, const SystemRoots& roots);
// Of a regular file: loop devices over it, and swap.
[[nodiscard]] std::vector<DiskUse> uses_of(const struct stat& file, const SystemRoots& roots);

}  // namespace engine
