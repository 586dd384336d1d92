#include "engine/pool/file_volume.h"

#include <utility>

#include "engine/foundation/check.h"

namespace engine {

using Kind = PoolError::Kind;

Result<std::unique_ptr<OpenedVolume>, PoolError> FileVolume::open(const FilePool& pool,
                                                                  const VolumeRecord& record,
                                                                  IoSource source,
                                                                  VolumeSpace* space) {
  const std::string path = pool.image_path(record);
  auto file = OpenFile::open(path, record.size);
  if (!file) return PoolError{Kind::io, path + ": " + file.error()};
  // Before the first request: the lock is of this very description, which requests hold on to.
  if (const auto locked = file.value().lock(); !locked) {
    return PoolError{Kind::in_use, path + ": " + locked.error()};
  }
  const FileSpace zeroed = space != nullptr ? FileSpace::given_back : FileSpace::kept;
  auto device = std::make_unique<FileDevice>(std::move(file.value()), record.size, source, zeroed,
                                             space, pool.health());
  return std::unique_ptr<OpenedVolume>(new FileVolume(std::move(device)));
}

std::unique_ptr<BackingDevice> FileVolume::take_backing() {
  CHECK(untaken_ != nullptr);
  return std::move(untaken_);
}

Result<void, PoolError> FileVolume::reopen(Pool& pool, const VolumeRecord& record) {
  const std::string path = dynamic_cast<const FilePool&>(pool).image_path(record);
  auto file = OpenFile::open(path, record.size);
  if (!file) return PoolError{Kind::io, path + ": " + file.error()};
  if (auto reopened = device_->reopen(std::move(file.value())); !reopened) {
    return PoolError{Kind::io, path + ": " + reopened.error()};
  }
  return grow(pool, record);
}

Result<void, PoolError> FileVolume::grow(Pool&, const VolumeRecord& record) {
  device_->grow(record.size);
  return success();
}

BackingPromise FileVolume::promise() const {
  const FileGeometry& geometry = device_->geometry();
  return {.note = device_->note(),
          .survives_power_loss = geometry.survives_power_loss,
          .atomic_write_bytes = geometry.atomic_write_bytes};
}

}  // namespace engine
