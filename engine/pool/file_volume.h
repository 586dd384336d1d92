// FileVolume: a volume of a file pool, its image opened.
#pragma once

#include <memory>
#include <string>

#include "engine/media/file_device.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/opened_volume.h"

namespace engine {

class FileVolume final : public OpenedVolume {
 public:
  // As Pool::open_volume(). Errors: io, in_use (an earlier daemon's I/O on it has not ended).
  [[nodiscard]] static Result<std::unique_ptr<OpenedVolume>, PoolError> open(
      const FilePool& pool, const VolumeRecord& record, IoSource source, VolumeSpace* space);

  [[nodiscard]] std::unique_ptr<BackingDevice> take_backing() override;
  [[nodiscard]] Result<void, PoolError> reopen(Pool& pool, const VolumeRecord& record) override;
  [[nodiscard]] Result<void, PoolError> grow(Pool& pool, const VolumeRecord& record) override;
  [[nodiscard]] BackingPromise promise() const override;
  [[nodiscard]] bool is_allocated(MediaOffset offset, ByteCount length) const override {
    return device_->is_allocated(offset, length);
  }

 private:
  explicit FileVolume(std::unique_ptr<FileDevice> device)
      : device_(device.get()), untaken_(std::move(device)) {}

  FileDevice* const device_;
  std::unique_ptr<FileDevice> untaken_;
};

}  // namespace engine
