// OpenedVolume: the data of a pool's volume, opened for its I/O and locked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/media/backing_device.h"
#include "engine/pool/pool_error.h"
#include "engine/pool/volume_table.h"

namespace engine {

class Pool;

// What the disks beneath a volume do not promise by themselves.
struct BackingPromise {
  std::string note;  // for the operator; empty when all is well
  bool survives_power_loss = true;
  // A write of so many bytes at a multiple of them lands whole or not at all; 0: not known.
  std::uint32_t atomic_write_bytes = 0;
};

// One thread, while others submit to the backing. Whatever is locked stays so until the backing has
// ended.
class OpenedVolume {
 public:
  OpenedVolume() = default;
  OpenedVolume(const OpenedVolume&) = delete;
  OpenedVolume& operator=(const OpenedVolume&) = delete;
  virtual ~OpenedVolume() = default;

  // The backing; once. Whoever takes it keeps it while anything below is called.
  [[nodiscard]] virtual std::unique_ptr<BackingDevice> take_backing() = 0;
  // After a flush that failed: goes on with newly opened descriptors. `pool` is open, and perhaps
  // another opening than before; `record` is as it has it. Errors: io, in_use.
  [[nodiscard]] virtual Result<void, PoolError> reopen(Pool& pool, const VolumeRecord& record) = 0;
  // The pool has made it as large as `record` says. Errors: io, in_use.
  [[nodiscard]] virtual Result<void, PoolError> grow(Pool& pool, const VolumeRecord& record) = 0;
  [[nodiscard]] virtual BackingPromise promise() const = 0;
  // Writing there takes no space, as far as can be told. May wait for the disk.
  [[nodiscard]] virtual bool is_allocated(MediaOffset /*offset*/, ByteCount /*length*/) const {
    return true;
  }
};

}  // namespace engine
