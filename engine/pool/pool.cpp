#include "engine/pool/pool.h"

#include <utility>

#include "engine/foundation/check.h"
#include "engine/pool/cache_binding.h"

namespace engine {

using Kind = PoolError::Kind;

std::vector<Result<VolumeRecord, PoolError>> Pool::plan_bindings(
    VolumeTable& volumes, std::span<const NewBinding> bindings) {
  std::vector<Result<VolumeRecord, PoolError>> answers;
  for (const NewBinding& binding : bindings) {
    VolumeRecord* record = volumes.find(binding.volume);
    if (record == nullptr || !record->ready) {
      answers.push_back(PoolError{Kind::image_missing, "the pool has no volume " + binding.volume});
    } else if (binding.cache.epoch < record->cache.epoch) {
      answers.push_back(
          PoolError{Kind::cache_missing, "the pool's table is a later one: it says that volume " +
                                             binding.volume + " has joined a cache again since"});
    } else {
      record->cache = binding.cache;
      answers.push_back(*record);
    }
  }
  return answers;
}

Result<VolumeRecord, PoolError> Pool::adopt(const Adoption& adoption) {
  return PoolError{Kind::unsupported, adoption.file +
                                          " cannot be adopted: the volumes of this pool are no "
                                          "files"};
}

Result<VolumeRecord, PoolError> Pool::plan_rename(VolumeTable& volumes, const std::string& name,
                                                  const Uuid& uuid, const std::string& to) const {
  if (const VolumeRecord* const other = volumes.find(to); other != nullptr) {
    if (other->ready && other->uuid == uuid) return *other;  // again
    return PoolError{Kind::bad_name, "there is a volume " + to + " (UUID " + other->uuid.text() +
                                         ") in pool " + this->uuid().text() + " already"};
  }
  VolumeRecord* const record = volumes.find(name);
  if (record == nullptr || !record->ready || record->uuid != uuid) {
    return no_such_volume(name, uuid);
  }
  record->name = to;
  if (!valid(*record)) {
    return PoolError{Kind::bad_name, "\"" + to + "\" cannot be the name of a volume"};
  }
  return *record;
}

namespace {

Result<VolumeRecord*, PoolError> ready_record(VolumeTable& volumes, const std::string& name) {
  VolumeRecord* const record = volumes.find(name);
  if (record != nullptr && record->ready) return record;
  return PoolError{Kind::image_missing, "the pool has no volume " + name};
}

}  // namespace

Result<bool, PoolError> Pool::plan_reservations(VolumeTable& volumes, const std::string& name,
                                                const KeptReservations& reservations) {
  TRY(VolumeRecord* const record, ready_record(volumes, name));
  if (record->reservations == reservations) return false;
  record->reservations = reservations;
  CHECK(valid(*record));
  if (count_registrants(volumes) > VolumeTable::most_registrants) {
    return PoolError{Kind::no_space, "the pool has no room for more registrants of its volumes"};
  }
  return true;
}

Result<bool, PoolError> Pool::plan_write_protection(VolumeTable& volumes, const std::string& name,
                                                    bool write_protected) {
  TRY(VolumeRecord* const record, ready_record(volumes, name));
  return std::exchange(record->write_protected, write_protected) != write_protected;
}

Result<bool, PoolError> Pool::plan_formatting(VolumeTable& volumes, const std::string& name,
                                              std::optional<BlockSize> blocks) {
  TRY(VolumeRecord* const record, ready_record(volumes, name));
  const VolumeRecord before = *record;
  record->formatting = blocks.has_value();
  if (blocks && *blocks != record->block_size) {
    record->block_size = *blocks;
    record->blocks_by_host = true;
  }
  if (!valid(*record)) {
    return PoolError{Kind::bad_name, "volume " + name + " is no whole number of " +
                                         std::to_string(blocks->bytes) + "-byte blocks"};
  }
  return *record != before;
}

PoolError Pool::no_such_volume(const std::string& name, const Uuid& uuid) const {
  return {Kind::other_volume,
          "pool " + this->uuid().text() + " has no volume " + name + " with UUID " + uuid.text()};
}

Result<void, PoolError> Pool::may_be_destroyed(const VolumeRecord& volume, const Uuid& cache) {
  if (volume.cache.state == format::CacheBindingState::none) return success();
  const std::string device = volume.cache.device.text();
  if (volume.cache.device == cache) return success();
  if (!cache.is_nil()) {
    return PoolError{Kind::cache_missing, "volume " + volume.name +
                                              " belongs together with cache " + device +
                                              ", not with " + cache.text()};
  }
  const bool is_dirty = volume.cache.state == format::CacheBindingState::dirty;
  return PoolError{
      Kind::cache_missing,
      "volume " + volume.name + " belongs together with cache " + device +
          (is_dirty ? ", which may have what its image lacks" : ", which has parts of it") +
          ": to destroy that, too, name it with --cache " + device};
}

}  // namespace engine
