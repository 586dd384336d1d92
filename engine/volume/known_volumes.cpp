#include "engine/volume/known_volumes.h"

#include <algorithm>
#include <utility>

#include "engine/pool/pool_directory.h"

namespace engine {
namespace {

// The path's directory, open, and the rest.
FileResult<std::pair<std::unique_ptr<PoolDirectory>, std::string>> open_place(
    const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  auto opened = open_pool_directory(directory);
  if (!opened) return opened.error();
  return std::pair(std::move(opened.value()),
                   slash == std::string::npos ? path : path.substr(slash + 1));
}

}  // namespace

KnownVolumes::KnownVolumes(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const auto place = open_place(path_);
  if (!place) return;
  const auto& [directory, name] = place.value();
  const auto bytes = directory->read(name, longest_volume_table());
  if (!bytes) return;
  auto table = decode_volume_table(bytes.value());
  if (table) table_ = std::move(table.value());
}

void KnownVolumes::remember(const VolumeRecord& record) {
  VolumeRecord* known = table_.find(record.name);
  if (known != nullptr && *known == record) return;
  changed_ = true;
  // One entry for each name, image and UUID: what the same data was called before is forgotten.
  std::erase_if(table_.records, [&record](const VolumeRecord& other) {
    return other.name == record.name || other.uuid == record.uuid || other.image == record.image;
  });
  if (table_.records.size() < VolumeTable::most_records) table_.records.push_back(record);
}

Result<void, std::string> KnownVolumes::save() {
  if (path_.empty() || !changed_) return boost::outcome_v2::success();
  const auto place = open_place(path_);
  if (!place) return place.error().text();
  auto& [directory, name] = place.value();
  ++table_.sequence;
  const std::string temporary = "." + name + ".new";
  auto written = directory->write(temporary, encode(table_));
  if (written) written = directory->rename(temporary, name, /*replace=*/true);
  if (written) written = directory->sync();
  if (!written) return written.error().text();
  changed_ = false;
  return boost::outcome_v2::success();
}

}  // namespace engine
