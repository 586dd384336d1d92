// KnownVolumes: what the pools last said of their volumes, for the time when a pool is late.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "engine/foundation/result.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/volume_table.h"

namespace engine {

// A file in the volume table's format. Never a source of truth: an unreadable one is as good as
// none, and the pool decides when it is there. Any thread.
class KnownVolumes {
 public:
  // Empty path: remembers nothing.
  explicit KnownVolumes(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] std::optional<VolumeRecord> find(const std::string& name) const;
  // In memory; save() makes it last.
  void remember(const VolumeRecord& record);
  // The same of one that is remembered already, perhaps by another name.
  void follow(const VolumeRecord& record);
  // As remember(): a name that is used again is another volume's.
  void forget(const Uuid& uuid);
  // Writes the file if anything is new. The error says why it could not; the next call tries again.
  Result<void, std::string> save();
  // Why the last save() failed; empty when it did not.
  [[nodiscard]] std::string save_error() const;

 private:
  [[nodiscard]] FileResult<void> write(std::span<const std::byte> bytes) const;

  const std::string path_;
  std::mutex save_mutex_;     // one writes at a time; held over the file, before mutex_
  mutable std::mutex mutex_;  // guards what follows; a leaf
  VolumeTable table_;
  bool changed_ = false;
  std::string save_error_;
};

}  // namespace engine
