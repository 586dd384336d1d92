// FilePool: what an operator does to a volume that nobody serves: adopts, renames or destroys it.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/format/pool_format.h"
#include "engine/foundation/guard.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/marker_file.h"
#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using boost::outcome_v2::success;
using Kind = PoolError::Kind;

PoolError cannot_adopt(const std::string& file, const std::string& why) {
  return {Kind::bad_name, file + " cannot be adopted: " + why};
}

}  // namespace

// ---- adopting

Result<VolumeRecord, PoolError> FilePool::plan_adopted(const Adoption& adoption,
                                                       ByteCount length) const {
  const std::string& file = adoption.file;
  for (const VolumeRecord& record : table_.records) {
    if (record.name == adoption.name) {
      return cannot_adopt(file, "there is a volume " + record.name + " already, in " +
                                    record.image + "; name it otherwise");
    }
    for (const std::string& own :
         {record.image, marker_name(record.image), journal_name(record.image)}) {
      if (own == file) return cannot_adopt(file, "it belongs to volume " + record.name);
    }
  }
  const std::uint32_t block = adoption.block_size.bytes;
  VolumeRecord record{.uuid = Uuid::random(),
                      .name = adoption.name,
                      .image = file,
                      .size = length,
                      .block_size = adoption.block_size,
                      .created_ms = wall_clock_ms(),
                      .ready = true};
  if (valid(record)) return record;
  if (!is_volume_name(adoption.name)) {
    return cannot_adopt(file, "\"" + adoption.name + "\" cannot be the name of a volume");
  }
  return cannot_adopt(file, "its " + std::to_string(length.value) +
                                " bytes are not a whole number of blocks of " +
                                std::to_string(block) + " (512 or 4096)");
}

Result<VolumeRecord, PoolError> FilePool::adopt(const Adoption& adoption) {
  const std::string& file = adoption.file;
  for (const VolumeRecord& record : table_.records) {
    const bool is_done = record.ready && record.name == adoption.name && record.image == file &&
                         record.block_size == adoption.block_size;
    if (is_done) return record;
  }
  if (!is_image_name(file)) {
    return cannot_adopt(file, "it must lie in " + directory_->path() +
                                  ", and be called *.raw, of A-Z a-z 0-9 . _ - alone and without "
                                  "its directory");
  }
  const auto length = directory_->size_of(file);
  if (!length && length.error().code == EINVAL) return cannot_adopt(file, "it is no regular file");
  if (!length) return pool_io_error(*directory_, file, length.error());
  if (!length.value()) {
    return PoolError{Kind::image_missing, "there is no file " + file + " in " + directory_->path()};
  }
  for (const std::string& beside : {marker_name(file), journal_name(file)}) {
    const auto there = directory_->size_of(beside);
    if (there && !there.value()) continue;
    return cannot_adopt(file, beside +
                                  " says that a cache may have what it lacks; if it has all, "
                                  "remove that");
  }
  TRY(VolumeRecord record, plan_adopted(adoption, *length.value()));
  if (table_.records.size() >= VolumeTable::most_records) {
    return PoolError{Kind::no_space, "the pool's table is full"};
  }
  const auto has = directory_->allocated(file);
  if (!has) return pool_io_error(*directory_, file, has.error());
  if (has.value() < record.size) record.provisioning = Provisioning::thin;
  TRY(make_adopted_durable(record));
  VolumeTable planned = table_;
  planned.records.push_back(record);
  TRY(save(std::move(planned)));
  return record;
}

// Who has copied it here may not have waited for that. And it ends as every image does.
Result<void, PoolError> FilePool::make_adopted_durable(const VolumeRecord& record) {
  const ByteCount whole = image_length(record.size);
  if (whole != record.size) {
    const auto extended = directory_->extend(record.image, record.size, whole, record.provisioning);
    if (!extended) return pool_io_error(*directory_, record.image, extended.error());
  }
  if (!GUARD("adopted image durable before its entry")) return success();
  const auto opened = directory_->open(record.image);
  if (!opened) return pool_io_error(*directory_, record.image, opened.error());
  const auto synced = opened.value()->sync();
  if (!synced) return pool_io_error(*directory_, record.image, synced.error());
  const auto named = directory_->sync();
  if (!named) return pool_io_error(*directory_, record.image, named.error());
  return success();
}

// ---- renaming

Result<VolumeRecord, PoolError> FilePool::rename(const std::string& name, const Uuid& uuid,
                                                 const std::string& to) {
  VolumeTable planned = table_;
  TRY(auto renamed, plan_rename(planned, name, uuid, to));
  if (planned == table_) return renamed;
  TRY(save(std::move(planned)));
  return renamed;
}

// ---- destroying

Result<void, PoolError> FilePool::destroy(const std::string& name, const Uuid& uuid,
                                          const Uuid& cache) {
  VolumeTable planned = table_;
  VolumeRecord* const record = planned.find(name);
  if (record == nullptr || record->uuid != uuid) return no_such_volume(name, uuid);
  TRY(may_be_destroyed(*record, cache));
  record->ready = false;
  record->destroying = true;
  if (GUARD("destroying before its files are removed")) {
    TRY(save(std::move(planned)));
  } else {
    table_ = std::move(planned);
  }
  return finish_destroying();
}

Result<void, PoolError> FilePool::finish_destroying() {
  VolumeTable left = table_;
  const auto ended =
      std::erase_if(left.records, [](const auto& record) { return record.destroying; });
  if (ended == 0) return success();
  for (const VolumeRecord& record : table_.records) {
    if (!record.destroying) continue;
    for (const std::string& name :
         {record.image, marker_name(record.image), journal_name(record.image)}) {
      const auto removed = directory_->remove(name);
      if (!removed) return pool_io_error(*directory_, name + " cannot be removed", removed.error());
    }
  }
  // Or a start that finds no entry would take an image that is there still for somebody else's.
  const auto synced = GUARD("removed before its entry") ? directory_->sync() : success();
  if (!synced) return pool_io_error(*directory_, "removing images", synced.error());
  return save(std::move(left));
}

}  // namespace engine
