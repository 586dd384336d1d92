// KnownVolumes: what the pools last said of their volumes, for the time when a pool is late.
#pragma once

#include <optional>
#include <string>

#include "engine/foundation/result.h"
#include "engine/pool/volume_table.h"

namespace engine {

// A file in the volume table's format. Never a source of truth: an unreadable one is as good as
// none, and the pool decides when it is there.
class KnownVolumes {
 public:
  // Empty path: remembers nothing.
  explicit KnownVolumes(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] const VolumeRecord* find(const std::string& name) { return table_.find(name); }
  // In memory; save() makes it last.
  void remember(const VolumeRecord& record);
  // Writes the file if anything is new. The error says why it could not; the next call tries again.
  Result<void, std::string> save();

 private:
  const std::string path_;
  VolumeTable table_;
  bool changed_ = false;
};

}  // namespace engine
