// DiskIdentity: by what an operator recognises a disk.
#pragma once

#include <string>
#include <vector>

#include "engine/pool/sys_block.h"

namespace engine {

// Of a partition, what its disk has; printable, and empty where nobody tells.
struct DiskIdentity {
  std::string kernel_name;  // "sdb1"
  std::string model{};
  std::string serial{};  // of a device-mapper device its UUID
  std::string wwn{};     // "0x5000c500a1b2c3d4", "eui.0025388b91d0a1c2"
  // Links in /dev/disk/by-id to this very device, the most telling first: "ata-ST8000-WRQ0BBBB".
  std::vector<std::string> links{};
  bool is_rotational = false;
};

// From udev's database, and from sysfs where there is none.
[[nodiscard]] DiskIdentity identity_of(const SysBlock& device, const SystemRoots& roots);

// What a disk says of itself, as it may stand in a message: other characters than printable ASCII,
// quotes and backslashes become '?'.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace engine
