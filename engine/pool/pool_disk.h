// PoolDisk: what a pool lies on, as an operator recognises it, and what is counted of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/media/disk_health.h"
#include "engine/pool/disk_identity.h"

namespace engine {

// A member of a device pool, or what lies beneath the directory of a file pool. Whatever nobody
// tells is empty.
struct PoolDisk {
  std::string path;            // the member, or the directory, as the operator wrote it
  std::string device{};        // the kernel's name for it: "/dev/sdb1"; empty: none (tmpfs, btrfs)
  std::string whole_device{};  // the same, or what it is a partition of: "/dev/sdb"
  std::string model{};
  std::string serial{};
  bool is_rotational = false;
  bool is_missing = false;  // a member that is not there; path and serial are what it had last
  // Offsets that are counted are the device's own; else those of some file on it.
  bool is_whole = false;
  std::shared_ptr<DiskHealth> health{};  // never null; the same for all openings of the pool
};

// The disk beneath a file or directory, or the block device itself. May wait for it.
[[nodiscard]] PoolDisk disk_at(const std::string& path, const SystemRoots& roots = {});

// "/dev/disk/by-id/ata-X (/dev/sdb, ST8000, serial WRQ0)": what is known of it.
[[nodiscard]] std::string name_of(const PoolDisk& disk);

// "a read at LBA 4711 failed: Input/output error".
[[nodiscard]] std::string text(const DiskFault& fault, const PoolDisk& disk);
// In sectors of 512 bytes; only of a whole device, and not of a sync.
[[nodiscard]] std::optional<std::uint64_t> lba_of(const DiskFault& fault, const PoolDisk& disk);

}  // namespace engine
