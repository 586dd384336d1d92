// PoolKeeper: what volumes are called, here and in the pool's table, and what they were called.
#include <algorithm>
#include <mutex>
#include <utility>

#include "engine/volume/pool_keeper.h"

namespace engine {

// Its name of now first: one that it had before may be another's by the next start.
PoolKeeper::Slot* PoolKeeper::slot_of(const std::string& volume) const {
  const auto called = [&volume](const auto& slot) { return slot->spec.name == volume; };
  const auto was_called = [&volume](const auto& slot) {
    return std::ranges::count(slot->former_names, volume) != 0;
  };
  auto slot = std::ranges::find_if(slots_, called);
  if (slot == slots_.end()) slot = std::ranges::find_if(slots_, was_called);
  return slot == slots_.end() ? nullptr : slot->get();
}

bool PoolKeeper::is_configured(const std::string& volume) const {
  return slot_of(volume) != nullptr;
}

const VolumeRecord* PoolKeeper::record_called(const std::string& name) const {
  if (pool_ == nullptr) return nullptr;
  const auto& records = pool_->volumes();
  const auto found = std::ranges::find_if(
      records, [&name](const VolumeRecord& record) { return record.ready && record.name == name; });
  return found == records.end() ? nullptr : &*found;
}

const VolumeRecord* PoolKeeper::record_of(const std::string& volume) const {
  if (const VolumeRecord* const record = record_called(volume)) return record;
  const Slot* const slot = slot_of(volume);
  if (slot == nullptr) return nullptr;
  if (const VolumeRecord* const record = record_called(slot->spec.name)) return record;
  for (const std::string& name : slot->former_names) {
    if (const VolumeRecord* const record = record_called(name)) return record;
  }
  return nullptr;
}

std::string PoolKeeper::name_in_pool(const std::string& volume) const {
  const VolumeRecord* const record = record_of(volume);
  return record == nullptr ? volume : record->name;
}

bool PoolKeeper::serves(const VolumeRecord& record) const {
  const Slot* const slot = slot_of(record.name);
  if (slot == nullptr) return false;
  const VolumeRecord* const own = record_of(slot->spec.name);
  return own == nullptr || own->uuid == record.uuid;
}

// ---- another name for one that is served

void PoolKeeper::rename_served(const std::string& volume, const std::string& to,
                               Engine::Done done) {
  ask(changes_,
      {.work = [this, volume, to, done] { done(rename_served_now(volume, to)); }, .done = done});
}

// In memory: what the pool has written down stays as it is until keep_names().
Result<void, std::string> PoolKeeper::rename_served_now(const std::string& volume,
                                                        const std::string& to) {
  Slot* const slot = slot_of(volume);
  if (slot == nullptr) return is_not_there(volume);
  const VolumeRecord* const other = record_called(to);
  if (other != nullptr && !serves(*other)) {
    return "pool " + spec_.name + " retains a volume " + to + " (UUID " + other->uuid.text() +
           "): rename or destroy that first";
  }
  {
    const std::lock_guard lock(mutex_);
    slot->former_names.push_back(std::exchange(slot->spec.name, to));
    std::erase(slot->former_names, to);
  }
  keeps_names_ = false;
  write_names();
  return success();
}

void PoolKeeper::keep_names() {
  ask(changes_, {.work =
                     [this] {
                       keeps_names_ = true;
                       write_names();
                       publish_retained();
                       (void)known_.save();
                     },
                 .done = [](const auto&) {}});
}

// Each is one change of the table: whenever power fails, the volume has the one name or the other,
// and the next start knows both.
void PoolKeeper::write_names() {
  std::vector<std::string> renaming;
  std::vector<Finding> errors;
  for (const auto& slot : slots_) {
    const std::string& name = slot->spec.name;
    if (pool_ == nullptr && is_on_disk() && !slot->former_names.empty()) renaming.push_back(name);
    const VolumeRecord* const record = record_of(name);
    if (record == nullptr || record->name == name) continue;
    const std::string before = record->name;
    if (keeps_names_) {
      const auto renamed = pool_->rename(before, record->uuid, name);
      if (renamed) {
        known_.remember(renamed.value());
        continue;
      }
      errors.push_back({.about = Finding::About::volume,
                        .name = name,
                        .text = "its pool calls it " + before +
                                " yet, and cannot rename it: " + renamed.error().text +
                                " (tried again; keep `was: " + before + "` until then)"});
    }
    renaming.push_back(name);
  }
  const std::lock_guard lock(mutex_);
  status_.renaming = std::move(renaming);
  name_errors_ = std::move(errors);
}

}  // namespace engine
