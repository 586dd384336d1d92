#include "engine/pool/file_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/format/pool_format.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/file_volume.h"
#include "engine/pool/marker_file.h"
#include "engine/pool/pool_check.h"
#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using boost::outcome_v2::success;
using Kind = PoolError::Kind;

// Stays free when images are made or grown: for the table, the lock, the file system's own needs.
constexpr std::uint64_t reserve_bytes = std::uint64_t{16} << 20;

PoolError bad_wish(const VolumeWish& wish) {
  return {Kind::bad_name, "\"" + wish.name + "\" of " + size_text(wish.size) + " with blocks of " +
                              std::to_string(wish.block_size.bytes) +
                              " bytes cannot be a volume of a file pool"};
}

PoolError other_volume(const PoolDirectory& directory, const Uuid& pool, const VolumeWish& wish) {
  return {Kind::other_volume, "pool " + pool.text() + " in " + directory.path() +
                                  " has no volume " + wish.name + " with UUID " +
                                  wish.uuid->text() +
                                  ", which was served before; is the right file system mounted?"};
}

}  // namespace

Result<std::unique_ptr<FilePool>, PoolError> FilePool::open(const std::string& directory,
                                                            std::optional<Uuid> expected,
                                                            const FilePool* predecessor) {
  auto opened = open_pool_directory(directory);
  if (!opened) return pool_opening_error(directory, opened.error());
  return open(std::move(opened.value()), expected, predecessor);
}

Result<std::unique_ptr<FilePool>, PoolError> FilePool::open(
    std::unique_ptr<PoolDirectory> directory, std::optional<Uuid> expected,
    const FilePool* predecessor) {
  // The label first: nothing is written, not even a lock file, into what may be a bare mount point.
  TRY(const auto label, read_pool_label(*directory, expected));
  const auto holder = directory->lock(
      pool_lock_name, predecessor != nullptr ? predecessor->directory_.get() : nullptr);
  if (!holder) return pool_io_error(*directory, "cannot be locked", holder.error());
  if (!holder.value().locked) {
    const pid_t process = holder.value().holder;
    return PoolError{Kind::in_use,
                     directory->path() + " is served by another process" +
                         (process > 0 ? " (pid " + std::to_string(process) + ")" : "") +
                         "; stop that one first"};
  }
  HealedReplicas healed;
  TRY(auto table, read_volume_table(*directory, label.pool_uuid, &healed));
  std::unique_ptr<FilePool> pool(new FilePool(std::move(directory), std::move(table)));
  pool->healed_ = std::move(healed);
  pool->tried_sequence_ = pool->table_.sequence;
  pool->inherited_lock_ = holder.value().inherited;
  if (predecessor != nullptr) pool->health_ = predecessor->health_;
  TRY(pool->remove_leftovers());
  TRY(pool->finish_destroying());
  return pool;
}

Result<void, PoolError> FilePool::remove_leftovers() {
  const auto names = directory_->list();
  if (!names) return pool_io_error(*directory_, "cannot be listed", names.error());
  for (const std::string& name : names.value()) {
    // Only names that this class gives: of its own files, and of images that the table knows.
    const auto is_left_from = [&name](const std::string& file) {
      return name == temporary_name(file);
    };
    const bool own =
        is_left_from(pool_label_name) ||
        std::any_of(volume_table_names.begin(), volume_table_names.end(), is_left_from) ||
        std::any_of(table_.records.begin(), table_.records.end(), [&](const VolumeRecord& record) {
          return is_left_from(record.image) || is_left_from(marker_name(record.image));
        });
    if (!own) continue;
    const auto removed = directory_->remove(name);
    if (!removed) return pool_io_error(*directory_, name + " cannot be removed", removed.error());
  }
  return success();
}

std::vector<PoolDisk> FilePool::disks() const {
  PoolDisk disk = disk_at(directory_->path());
  disk.health = health_;
  return {std::move(disk)};
}

std::string FilePool::image_path(const VolumeRecord& volume) const {
  return directory_->path() + "/" + volume.image;
}

Result<void, PoolError> FilePool::save(VolumeTable table) {
  // After a failure either replica may hold what was tried, so that number is not used again.
  table.sequence = ++tried_sequence_;
  const auto written = write_volume_table(*directory_, table);
  if (!written)
    return pool_io_error(*directory_, "the volume table cannot be written", written.error());
  table_ = std::move(table);
  return success();
}

Result<VolumeRecord, PoolError> FilePool::find_existing(const VolumeRecord& record,
                                                        const VolumeWish& wish) {
  if (auto refused = refusal_of(record, wish)) {
    add_what_is_left(*refused, *directory_, record);
    return std::move(*refused);
  }
  const auto length = directory_->size_of(record.image);
  if (!length) return pool_io_error(*directory_, record.image, length.error());
  if (!length.value()) {
    return PoolError{Kind::image_missing,
                     "the pool's table knows volume " + record.name + " (UUID " +
                         record.uuid.text() + "), but its image " + image_path(record) +
                         " is missing; put it back (an empty one is never made in its place)"};
  }
  if (*length.value() < record.size) {
    return PoolError{Kind::image_missing, image_path(record) + " holds only " +
                                              size_text(*length.value()) + " of " +
                                              size_text(record.size) +
                                              ": it has been truncated or replaced; put it back"};
  }
  if (wish.size <= record.size) return record;  // less: the wish has not followed a grow
  return grow(record.name, wish.size);
}

Result<VolumeRecord, PoolError> FilePool::plan_new(const VolumeWish& wish) {
  const VolumeRecord record{.uuid = Uuid::random(),
                            .name = wish.name,
                            .image = table_.free_image(wish.name),
                            .size = wish.size,
                            .block_size = wish.block_size,
                            .created_ms = wall_clock_ms(),
                            .ready = false,
                            .provisioning = wish.provisioning};
  if (!valid(record)) return bad_wish(wish);
  if (table_.records.size() >= VolumeTable::most_records) {
    return PoolError{Kind::no_space, "the pool's table is full"};
  }
  const auto length = directory_->size_of(record.image);
  if (!length) return pool_io_error(*directory_, record.image, length.error());
  if (length.value()) {
    return PoolError{Kind::image_foreign,
                     "there is a file " + image_path(record) +
                         " that the pool's table does not know; move it away, or name the volume "
                         "differently (nothing is overwritten)"};
  }
  return record;
}

Result<VolumeRecord, PoolError> FilePool::plan_again(const VolumeRecord& known,
                                                     const VolumeWish& wish) {
  VolumeRecord changed = known;
  changed.size = wish.size;
  changed.block_size = wish.block_size;
  if (!valid(changed)) return bad_wish(wish);
  return changed;
}

Result<void, PoolError> FilePool::reserve_space(const VolumeRecord& record, ByteCount& promised) {
  TRY(const ByteCount more, missing_space(record));
  TRY(check_space(size_text(record.size), more, promised));
  promised = promised + more;
  return success();
}

// Before trying: allocating until the file system is full would hurt everybody else on it
// meanwhile.
Result<void, PoolError> FilePool::check_space(const std::string& what, ByteCount more,
                                              ByteCount promised) {
  if (more.value == 0) return success();
  std::uint64_t taken = promised.value + reserve().value;
  if (promised_) taken += promised_().value;
  const auto space = directory_->space();
  if (!space) return pool_io_error(*directory_, "its space cannot be determined", space.error());
  const ByteCount free{space.value().free.value - std::min(space.value().free.value, taken)};
  if (more <= free) return success();
  return PoolError{Kind::no_space, "there is no space for " + what + " in " + directory_->path() +
                                       " (" + size_text(free) +
                                       " free); thick volumes are fully allocated"};
}

ByteCount FilePool::reserve() const {
  // Both replicas are rewritten beside the old ones, one after the other.
  const std::uint64_t table =
      sizeof(format::VolumeTableHeader) + (table_.records.size() + 1) * sizeof(format::VolumeEntry);
  return {2 * table + reserve_bytes + kept_free_.value};
}

bool FilePool::needs_space(const VolumeRecord& volume) {
  if (volume.provisioning == Provisioning::thin) return true;
  // One that was put back from a backup may have holes.
  const auto missing = missing_space(volume);
  return !missing || missing.value().value != 0;
}

Result<ByteCount, PoolError> FilePool::missing_space(const VolumeRecord& record) {
  if (record.provisioning == Provisioning::thin) return ByteCount{};
  const auto has = directory_->allocated(record.image);
  if (!has) return pool_io_error(*directory_, record.image, has.error());
  const std::uint64_t wanted = image_length(record.size).value;
  return ByteCount{wanted - std::min(wanted, has.value().value)};
}

Result<void, PoolError> FilePool::allocate_image(const VolumeRecord& record) {
  CHECK(!record.ready);
  const std::string temporary = temporary_name(record.image);
  auto made = directory_->remove(temporary);
  if (made) {
    if (record.provisioning == Provisioning::thick) {
      TRY(check_space(size_text(record.size), image_length(record.size)));
    }
    made = directory_->allocate(temporary, image_length(record.size), record.provisioning);
  }
  if (made) return success();
  if (made.error().code == EOPNOTSUPP) {
    return PoolError{Kind::io, directory_->path() + " is on a file system that cannot " +
                                   (record.provisioning == Provisioning::thick
                                        ? "allocate space ahead (fallocate); use ext4, xfs or btrfs"
                                        : "take space back (punch holes); use ext4, xfs or btrfs")};
  }
  return pool_io_error(*directory_, "the image of volume " + record.name + " cannot be made",
                       made.error());
}

Result<void, PoolError> FilePool::make_images(std::vector<Result<VolumeRecord, PoolError>>& answers,
                                              const std::vector<std::size_t>& indices) {
  std::vector<std::size_t> allocated;
  for (const std::size_t index : indices) {
    const VolumeRecord record = answers[index].value();
    const auto existing = directory_->size_of(record.image);
    if (!existing) {
      answers[index] = pool_io_error(*directory_, record.image, existing.error());
      continue;
    }
    if (existing.value() == image_length(record.size)) continue;  // renamed, then a crash
    // Made by an earlier try for another size, and never used.
    const auto removed = existing.value() ? directory_->remove(record.image) : success();
    if (!removed) {
      answers[index] = pool_io_error(*directory_, record.image, removed.error());
    } else if (auto image = allocate_image(record); !image) {
      answers[index] = image.error();
    } else {
      allocated.push_back(index);
    }
  }
  auto synced = allocated.empty() ? success() : directory_->sync_allocated();
  for (const std::size_t index : allocated) {
    const VolumeRecord record = answers[index].value();
    const std::string temporary = temporary_name(record.image);
    auto named = synced;
    if (named) named = directory_->rename(temporary, record.image, /*replace=*/false);
    if (named) continue;
    (void)directory_->remove(temporary);
    answers[index] = pool_io_error(
        *directory_, "the image of volume " + record.name + " cannot be made", named.error());
  }
  if (synced) synced = directory_->sync();
  if (!synced)
    return pool_io_error(*directory_, "new images cannot be made durable", synced.error());
  return success();
}

std::vector<Result<VolumeRecord, PoolError>> FilePool::ensure(std::span<const VolumeWish> wishes) {
  std::vector<Result<VolumeRecord, PoolError>> answers;
  std::vector<std::size_t> missing;  // indices of wishes whose volume is to be made
  std::vector<std::size_t> unbound;  // of those that had a cache
  ByteCount promised;                // to the images of those
  VolumeTable planned = table_;
  for (const VolumeWish& wish : wishes) {
    VolumeRecord* known = planned.find(wish.name);
    if (known != nullptr && known->destroying) {
      answers.push_back(PoolError{
          Kind::image_missing,
          "volume " + wish.name + " of pool " + table_.pool_uuid.text() + " is being destroyed"});
      continue;
    }
    if (wish.uuid && (known == nullptr || !known->ready || known->uuid != *wish.uuid)) {
      answers.push_back(other_volume(*directory_, table_.pool_uuid, wish));
      continue;
    }
    if (known != nullptr && known->ready) {
      answers.push_back(find_existing(*known, wish));
      if (!answers.back()) continue;
      *known = answers.back().value();
      if (wish.is_cached || known->cache.state == format::CacheBindingState::none) continue;
      // What a cache had is older than the image from now on.
      known->cache = forgotten(known->cache);
      answers.back() = *known;
      unbound.push_back(answers.size() - 1);
      continue;
    }
    // Half made: nobody has seen it, so it becomes what is wanted now.
    answers.push_back(known != nullptr ? plan_again(*known, wish) : plan_new(wish));
    if (answers.back()) {
      // Before anything of it is written: a volume that does not fit costs nothing at each attempt.
      const VolumeRecord record = answers.back().value();
      const auto fits = reserve_space(record, promised);
      if (!fits) answers.back() = fits.error();
    }
    if (!answers.back()) continue;
    if (known != nullptr) {
      *known = answers.back().value();
    } else {
      planned.records.push_back(answers.back().value());
    }
    missing.push_back(answers.size() - 1);
  }
  const auto fail = [&answers](const std::vector<std::size_t>& indices, const PoolError& error) {
    for (const std::size_t index : indices) answers[index] = error;
  };
  const auto fail_missing = [&](const PoolError& error) {
    fail(missing, error);
    return answers;
  };
  if (planned.records != table_.records) {
    if (auto saved = save(planned); !saved) {
      fail(unbound, saved.error());
      return fail_missing(saved.error());
    }
  }
  if (missing.empty()) return answers;
  if (auto made = make_images(answers, missing); !made) return fail_missing(made.error());
  planned = table_;
  std::vector<std::size_t> made;
  for (const std::size_t index : missing) {
    if (!answers[index]) continue;
    VolumeRecord* record = planned.find(answers[index].value().name);
    record->ready = true;
    answers[index] = *record;
    made.push_back(index);
  }
  // What could not be made is forgotten; a start would try it again from nothing.
  std::erase_if(planned.records, [&](const VolumeRecord& record) {
    return !record.ready && std::any_of(missing.begin(), missing.end(), [&](std::size_t index) {
      return wishes[index].name == record.name;
    });
  });
  missing = std::move(made);
  if (auto saved = save(planned); !saved) return fail_missing(saved.error());
  return answers;
}

Result<VolumeRecord, PoolError> FilePool::grow(const std::string& name, ByteCount size,
                                               ByteCount configured) {
  VolumeTable planned = table_;
  VolumeRecord* record = planned.find(name);
  if (record == nullptr || !record->ready) {
    return PoolError{Kind::image_missing, "the pool has no volume " + name};
  }
  if (size < record->size) return shrink_error(record->size, size);
  VolumeRecord grown = *record;
  grown.size = size;
  grown.configured = configured < size ? configured : ByteCount{};
  if (!valid(grown)) {
    return PoolError{Kind::bad_name, std::to_string(size.value) +
                                         " bytes are not a whole number of " +
                                         std::to_string(record->block_size.bytes) + "-byte blocks"};
  }
  if (size == record->size) return *record;
  TRY(const ByteCount more, missing_space(grown));
  TRY(check_space(size_text(size) + " of volume " + name, std::min(more, size - record->size)));
  // From the first byte that hosts have not seen. Space first: the table never promises more than
  // there is.
  const auto extended =
      directory_->extend(record->image, record->size, image_length(size), record->provisioning);
  if (!extended) {
    return pool_io_error(*directory_, "volume " + name + " cannot grow to " + size_text(size),
                         extended.error());
  }
  *record = grown;
  TRY(save(std::move(planned)));
  return grown;
}

Result<std::unique_ptr<OpenedVolume>, PoolError> FilePool::open_volume(const VolumeRecord& volume,
                                                                       IoSource source,
                                                                       VolumeSpace* space) {
  return FileVolume::open(*this, volume, source, space);
}

Result<std::unique_ptr<FileMarker>, PoolError> FilePool::open_marker(const VolumeRecord& volume,
                                                                     IoSource source) {
  return FileMarker::open(*directory_, volume.image, volume.uuid, source);
}

Result<std::unique_ptr<FileJournal>, PoolError> FilePool::open_journal(const VolumeRecord& volume,
                                                                       IoSource source) {
  const std::string name = journal_name(volume.image);
  const auto has = directory_->allocated(name);
  if (!has) return pool_io_error(*directory_, name, has.error());
  if (has.value() < journal_room) {
    TRY(check_space("the journal of volume " + volume.name + " (" + size_text(journal_room) + ")",
                    journal_room - has.value()));
  }
  return FileJournal::open(*directory_, volume.image, source);
}

Result<LostRanges, PoolError> FilePool::apply_to_image(const VolumeRecord& volume,
                                                       const BackingMark& mark) {
  if (mark.cache != volume.cache.device || mark.journal.epoch > volume.cache.epoch) {
    return PoolError{Kind::damaged, "its journal is of another cache, or of another time"};
  }
  const std::string name = journal_name(volume.image);
  const auto journal = directory_->open(name);
  if (!journal && journal.error().code == ENOENT) {
    return PoolError{Kind::damaged, "its journal is missing"};
  }
  if (!journal) return pool_io_error(*directory_, name, journal.error());
  const auto image = directory_->open(volume.image);
  if (!image) return pool_io_error(*directory_, volume.image, image.error());
  TRY(engine::apply_journal(*journal.value(), *image.value(), volume.size, mark));
  // What the list has no room to be cut for stays an error: never older data.
  LostRanges lost = volume.lost;
  const auto has = [&lost](const JournalPiece& piece, auto) -> Result<void, PoolError> {
    (void)lost.remove({.begin = {piece.offset.value / sector_bytes},
                       .count = {piece.length.value / sector_bytes}});
    return success();
  };
  if (!lost.empty()) {
    TRY(read_journal(*journal.value(), mark, has));
  }
  return lost;
}

Result<void, PoolError> FilePool::settle_journal(const std::string& name) {
  const VolumeRecord* const record = table_.find(name);
  if (record == nullptr || !record->ready) {
    return PoolError{Kind::image_missing, "the pool has no volume " + name};
  }
  const VolumeRecord volume = *record;
  TRY(const auto stored, read_marker(*directory_, volume.image, volume.uuid));
  if (!stored || stored->mark.state != BackingMark::State::journalled) return success();
  const auto lost = apply_to_image(volume, stored->mark);
  if (!lost && lost.error().kind != Kind::damaged) return lost.error();
  BackingMark mark = stored->mark;
  mark.journal = {};
  mark.state = BackingMark::State::in_progress;
  const ByteCount journalled =
      mark.backlog ? std::exchange(mark.backlog->journalled, {}) : ByteCount{};
  if (lost) {
    TRY(set_lost(name, lost.value()));
    if (mark.backlog) mark.backlog->bytes = mark.backlog->bytes - journalled;
    mark.state = BackingMark::State::clean;
    mark.from = mark.to;
    mark.from_time_ms = mark.to_time_ms;
  }
  TRY(make_marker(*directory_, volume.image, {.mark = mark, .sequence = stored->sequence + 1}));
  if (lost) return success();
  return PoolError{Kind::damaged, lost.error().text +
                                      ", and nothing has been changed; what the image has is of no "
                                      "moment. If that will do, abandon the cache again"};
}

std::string FilePool::what_is_left(const VolumeRecord& volume, const Uuid& cache) {
  const auto stored = read_marker(*directory_, volume.image, volume.uuid);
  if (!stored || !stored.value()) {
    return "of no known moment: there is no marker beside its image. How much is lost with the "
           "cache, only that knew.";
  }
  return engine::what_is_left(stored.value()->mark, cache);
}

ByteCount FilePool::lacking(const VolumeRecord& volume) {
  if (volume.cache.state != format::CacheBindingState::dirty) return {};
  const auto stored = read_marker(*directory_, volume.image, volume.uuid);
  if (!stored || !stored.value()) return {};
  const BackingMark& mark = stored.value()->mark;
  return mark.cache == volume.cache.device && mark.backlog ? mark.backlog->bytes : ByteCount{};
}

std::vector<Result<VolumeRecord, PoolError>> FilePool::bind(std::span<const NewBinding> bindings) {
  VolumeTable planned = table_;
  auto answers = plan_bindings(planned, bindings);
  if (planned.records == table_.records) return answers;
  if (auto saved = save(std::move(planned)); !saved) {
    for (auto& answer : answers) {
      if (answer) answer = saved.error();
    }
  }
  return answers;
}

Result<void, PoolError> FilePool::set_lost(const std::string& name, const LostRanges& lost) {
  VolumeTable planned = table_;
  VolumeRecord* const record = planned.find(name);
  if (record == nullptr || !record->ready) {
    return PoolError{Kind::image_missing, "the pool has no volume " + name};
  }
  if (record->lost == lost) return boost::outcome_v2::success();
  record->lost = lost;
  return save(std::move(planned));
}

Result<void, PoolError> FilePool::set_reservations(const std::string& name,
                                                   const KeptReservations& reservations) {
  VolumeTable planned = table_;
  TRY(const bool changes, plan_reservations(planned, name, reservations));
  if (!changes) return boost::outcome_v2::success();
  return save(std::move(planned));
}

Result<void, PoolError> FilePool::set_write_protected(const std::string& name,
                                                      bool write_protected) {
  VolumeTable planned = table_;
  TRY(const bool changes, plan_write_protection(planned, name, write_protected));
  if (!changes) return boost::outcome_v2::success();
  return save(std::move(planned));
}

Result<void, PoolError> FilePool::set_formatting(const std::string& name,
                                                 std::optional<BlockSize> blocks) {
  VolumeTable planned = table_;
  TRY(const bool changes, plan_formatting(planned, name, blocks));
  if (!changes) return boost::outcome_v2::success();
  return save(std::move(planned));
}

}  // namespace engine
