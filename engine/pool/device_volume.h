// DeviceVolume: a volume of a device pool, opened on the members that it lies on.
#pragma once

#include <map>
#include <memory>

#include "engine/media/file_device.h"
#include "engine/pool/device_pool.h"
#include "engine/pool/extent_backing.h"
#include "engine/pool/opened_volume.h"

namespace engine {

// Has a descriptor of its own for each of those members, which locks what the volume has there.
class DeviceVolume final : public OpenedVolume {
 public:
  // `record` is ready. Errors: io, in_use (an earlier daemon's I/O on it has not ended).
  [[nodiscard]] static Result<std::unique_ptr<OpenedVolume>, PoolError> open(
      const DevicePool& pool, const VolumeRecord& record);

  [[nodiscard]] std::unique_ptr<BackingDevice> take_backing() override;
  [[nodiscard]] Result<void, PoolError> reopen(Pool& pool, const VolumeRecord& record) override;
  [[nodiscard]] Result<void, PoolError> grow(Pool& pool, const VolumeRecord& record) override;
  [[nodiscard]] BackingPromise promise() const override;

 private:
  explicit DeviceVolume(PoolShape shape) : shape_(std::move(shape)) {}
  // Opens those members of the volume on which it has nothing yet.
  [[nodiscard]] Result<std::vector<MemberDisk>, PoolError> open_disks(const DevicePool& pool,
                                                                      const VolumeRecord& record);

  PoolShape shape_;
  std::map<std::uint32_t, FileDevice*> disks_;  // by member; of the backing
  ExtentBacking* backing_ = nullptr;
  std::unique_ptr<ExtentBacking> untaken_;
};

}  // namespace engine
