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

std::optional<VolumeRecord> KnownVolumes::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(table_.records.begin(), table_.records.end(),
                   [&name](const VolumeRecord& record) { return record.name == name; });
  return found == table_.records.end() ? std::nullopt : std::optional(*found);
}

// Pools may call their images the same, and nobody asks here what they are called.
void KnownVolumes::remember(const VolumeRecord& record) {
  VolumeRecord next = record;
  next.image = record.name + ".raw";
  next.reservations = {};  // the pool's to say
  next.write_protected = false;
  next.formatting = false;
  const std::lock_guard lock(mutex_);
  VolumeRecord* known = table_.find(record.name);
  if (known != nullptr && *known == next) return;
  changed_ = true;
  // One entry for each name and UUID: what the same data was called before is forgotten.
  std::erase_if(table_.records, [&next](const VolumeRecord& other) {
    return other.name == next.name || other.uuid == next.uuid || other.image == next.image;
  });
  if (table_.records.size() < VolumeTable::most_records) table_.records.push_back(std::move(next));
}

void KnownVolumes::follow(const VolumeRecord& record) {
  {
    const std::lock_guard lock(mutex_);
    const bool is_known = std::ranges::any_of(
        table_.records, [&record](const auto& known) { return known.uuid == record.uuid; });
    if (!is_known) return;
  }
  remember(record);
}

void KnownVolumes::forget(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  const auto forgotten = std::erase_if(
      table_.records, [&uuid](const VolumeRecord& record) { return record.uuid == uuid; });
  changed_ = changed_ || forgotten != 0;
}

Result<void, std::string> KnownVolumes::save() {
  if (path_.empty()) return boost::outcome_v2::success();
  const std::lock_guard saving(save_mutex_);
  std::vector<std::byte> bytes;
  {
    const std::lock_guard lock(mutex_);
    if (!changed_) return boost::outcome_v2::success();
    changed_ = false;
    ++table_.sequence;
    bytes = encode(table_);
  }
  const auto written = write(bytes);
  const std::lock_guard lock(mutex_);
  save_error_.clear();
  if (written) return boost::outcome_v2::success();
  changed_ = true;
  save_error_ = written.error().text();
  return save_error_;
}

std::string KnownVolumes::save_error() const {
  const std::lock_guard lock(mutex_);
  return save_error_;
}

FileResult<void> KnownVolumes::write(std::span<const std::byte> bytes) const {
  const auto place = open_place(path_);
  if (!place) return place.error();
  const auto& [directory, name] = place.value();
  const std::string temporary = "." + name + ".new";
  auto written = directory->write(temporary, bytes);
  if (written) written = directory->rename(temporary, name, /*replace=*/true);
  if (written) written = directory->sync();
  return written;
}

}  // namespace engine
