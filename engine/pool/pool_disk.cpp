#include "engine/pool/pool_disk.h"

#include <sys/stat.h>

#include <optional>
#include <system_error>

namespace engine {
namespace {

constexpr std::uint64_t lba_bytes = 512;  // as the kernel counts in its own messages

std::optional<SysBlock> block_at(const struct stat& status, const SystemRoots& roots) {
  return SysBlock::find(S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev, roots);
}

}  // namespace

PoolDisk disk_at(const std::string& path, const SystemRoots& roots) {
  PoolDisk disk{.path = path};
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return disk;
  disk.is_whole = S_ISBLK(status.st_mode);
  const auto block = block_at(status, roots);
  if (!block) return disk;
  DiskIdentity identity = identity_of(*block, roots);
  disk.device = "/dev/" + identity.kernel_name;
  disk.whole_device = "/dev/" + block->disk().name();
  disk.model = std::move(identity.model);
  disk.serial = std::move(identity.serial);
  disk.is_rotational = identity.is_rotational;
  return disk;
}

std::string name_of(const PoolDisk& disk) {
  std::string known;
  const auto add = [&known](const std::string& one) { known += (known.empty() ? "" : ", ") + one; };
  if (!disk.device.empty() && disk.device != disk.path) add(disk.device);
  if (!disk.model.empty()) add(disk.model);
  if (!disk.serial.empty()) add("serial " + disk.serial);
  return known.empty() ? disk.path : disk.path + " (" + known + ")";
}

std::optional<std::uint64_t> lba_of(const DiskFault& fault, const PoolDisk& disk) {
  if (!disk.is_whole || fault.work == DiskWork::sync) return std::nullopt;
  return fault.offset.value / lba_bytes;
}

std::string text(const DiskFault& fault, const PoolDisk& disk) {
  std::string sentence = std::string("a ") + text(fault.work);
  if (const auto lba = lba_of(fault, disk)) {
    sentence += " at LBA " + std::to_string(*lba);
  } else if (fault.work != DiskWork::sync) {
    sentence += " at byte " + std::to_string(fault.offset.value) + " of a file there";
  }
  return sentence + " failed: " + std::generic_category().message(fault.error);
}

}  // namespace engine
