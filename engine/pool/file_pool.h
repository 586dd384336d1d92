// FilePool: a labelled directory of raw images, one for each volume, and the table of their
// identities.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/file_journal.h"
#include "engine/pool/file_marker.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/pool_label.h"
#include "engine/pool/volume_table.h"

namespace engine {

// What the configuration wants of a volume.
struct VolumeWish {
  std::string name;
  ByteCount size;
  BlockSize block_size;
  std::optional<Uuid>
      uuid{};  // known from before: only this one will do, and it is never made anew
  // Served through a cache, which judges by the record whether the image may be.
  bool is_cached = false;
};

// Makes `directory` a pool. It must be empty (lost+found apart, which a fresh file system has), or
// what an interrupted call has left. Nothing is ever overwritten. Returns the new pool's UUID.
// Errors: missing, not_empty, already_labelled, io.
[[nodiscard]] Result<Uuid, PoolError> init_file_pool(const std::string& directory);
// The same over a directory that is open already; for tests.
[[nodiscard]] Result<Uuid, PoolError> init_file_pool(PoolDirectory& directory);

// Serves an initialised pool; locked for this process while it lives. One thread.
//
// Crash safety: a volume enters the table as `creating`, then its image is allocated under a
// temporary name, renamed, and the entry becomes `ready`; a grown image is extended before the
// table says so. So whatever the table calls ready is there, as long as it says, and whatever is
// half made is recognised and finished or removed by the next open() and ensure(). What is ended is
// `destroying` in the table before its first file goes. Every change of
// the table writes two replicas, each by temporary file, fsync, rename, fsync of the directory;
// nothing depends on the change before both are durable.
class FilePool {
 public:
  // `expected`: refuse any other pool. `predecessor`: what this process has opened there before,
  // whose lock counts as our own; no longer used for anything but its lock, whatever is returned.
  // Errors: missing, not_labelled, damaged, unsupported, wrong_pool, in_use, io.
  [[nodiscard]] static Result<std::unique_ptr<FilePool>, PoolError> open(
      const std::string& directory, std::optional<Uuid> expected = std::nullopt,
      const FilePool* predecessor = nullptr);
  [[nodiscard]] static Result<std::unique_ptr<FilePool>, PoolError> open(
      std::unique_ptr<PoolDirectory> directory, std::optional<Uuid> expected = std::nullopt,
      const FilePool* predecessor = nullptr);

  // Ours is the predecessor's lock: it may end.
  [[nodiscard]] bool has_inherited_lock() const { return inherited_lock_; }

  [[nodiscard]] Uuid uuid() const { return table_.pool_uuid; }
  // Every volume of the table, also those that no configuration names any more (their data stays).
  [[nodiscard]] const std::vector<VolumeRecord>& volumes() const { return table_.records; }
  [[nodiscard]] std::string image_path(const VolumeRecord& volume) const;
  [[nodiscard]] FileResult<PoolDirectory::Space> space() { return directory_->space(); }

  // Finds, grows or makes each wished volume; one answer for each wish, in order. An answer that is
  // a record is durable; it is larger than wished where the wish has not followed a grow. Errors:
  // no_space, image_missing, image_foreign, other_volume, shrink, block_size_changed, bad_name, io.
  [[nodiscard]] std::vector<Result<VolumeRecord, PoolError>> ensure(
      std::span<const VolumeWish> wishes);
  // `configured`: the wish that does not know of it, and will still be served as large as it is
  // then; zero: none. Errors: as ensure(), image_missing for an unknown name.
  [[nodiscard]] Result<VolumeRecord, PoolError> grow(const std::string& name, ByteCount size,
                                                     ByteCount configured = {});
  // The marker beside the volume's image. Errors: those of FileMarker::open().
  [[nodiscard]] Result<std::unique_ptr<FileMarker>, PoolError> open_marker(
      const VolumeRecord& volume, IoSource source);
  // The journal beside it. Errors: those of FileJournal::open().
  [[nodiscard]] Result<std::unique_ptr<FileJournal>, PoolError> open_journal(
      const VolumeRecord& volume, IoSource source);
  // Brings the image, which nobody has open for writing, to the moment that its journal holds,
  // where its marker speaks of one; the marker is another file afterwards. A journal that is
  // damaged does not count from then on, and the marker says so. May be repeated, also after a
  // crash in the middle. Errors: image_missing for an unknown name, damaged, io.
  [[nodiscard]] Result<void, PoolError> settle_journal(const std::string& name);
  // For the operator: what the image is without `cache`, and what is lost with that, as its marker
  // says.
  [[nodiscard]] std::string what_is_left(const VolumeRecord& volume, const Uuid& cache);
  // Writes what the records say of their caches, in one change; one answer for each, in order,
  // durable on return. A dirty binding comes before the first dirty key, a clean one after the last
  // is on the media. Errors: image_missing for an unknown name, cache_missing where the epoch would
  // go back, io: then either may be there.
  struct NewBinding {
    std::string volume;
    CacheBinding cache;
  };
  [[nodiscard]] std::vector<Result<VolumeRecord, PoolError>> bind(
      std::span<const NewBinding> bindings);
  [[nodiscard]] Result<VolumeRecord, PoolError> bind(const std::string& name,
                                                     const CacheBinding& cache) {
    const NewBinding binding{.volume = name, .cache = cache};
    return bind({&binding, 1}).front();
  }

  // Ends a volume that nobody serves and no cache knows: its entry, its image and what lies beside
  // that. After an error it may be asked for again; what a crash cuts off the next open() ends.
  // Errors: other_volume where none has that name and UUID, cache_missing, io.
  [[nodiscard]] Result<void, PoolError> destroy(const std::string& name, const Uuid& uuid);

  // What of the volume is lost from now on; durable on return. Errors: image_missing, io.
  [[nodiscard]] Result<void, PoolError> set_lost(const std::string& name, const LostRanges& lost);

 private:
  FilePool(std::unique_ptr<PoolDirectory> directory, VolumeTable table)
      : directory_(std::move(directory)), table_(std::move(table)) {}

  [[nodiscard]] Result<void, PoolError> remove_leftovers();
  // The files, and then the entries, of all that are being destroyed.
  [[nodiscard]] Result<void, PoolError> finish_destroying();
  // Writes `table` with the next sequence and, when that is durable, makes it the pool's.
  [[nodiscard]] Result<void, PoolError> save(VolumeTable table);
  [[nodiscard]] Result<VolumeRecord, PoolError> find_existing(const VolumeRecord& record,
                                                              const VolumeWish& wish);
  [[nodiscard]] Result<VolumeRecord, PoolError> plan_new(const VolumeWish& wish);
  [[nodiscard]] static Result<VolumeRecord, PoolError> plan_again(const VolumeRecord& known,
                                                                  const VolumeWish& wish);
  // Adds what `record` needs to `promised`, if it fits.
  [[nodiscard]] Result<void, PoolError> reserve_space(const VolumeRecord& record,
                                                      ByteCount& promised);
  // Stays free whatever is made.
  [[nodiscard]] ByteCount reserve() const;
  // What the image of `record` will take of the file system beside what it has.
  [[nodiscard]] Result<ByteCount, PoolError> missing_space(const VolumeRecord& record);
  // For records that the table calls `creating`: afterwards each image is there and durable under
  // its name, or its answer is an error and nothing of it is left. Errors of all of them together:
  // io.
  [[nodiscard]] Result<void, PoolError> make_images(
      std::vector<Result<VolumeRecord, PoolError>>& answers,
      const std::vector<std::size_t>& indices);
  // Returns what of the volume is lost then.
  [[nodiscard]] Result<LostRanges, PoolError> apply_to_image(const VolumeRecord& volume,
                                                             const BackingMark& mark);
  [[nodiscard]] Result<void, PoolError> allocate_image(const VolumeRecord& record);
  // `more` beside what is promised already, and the pool's own files can still be written.
  [[nodiscard]] Result<void, PoolError> check_space(const std::string& what, ByteCount more,
                                                    ByteCount promised = {});

  std::unique_ptr<PoolDirectory> directory_;
  VolumeTable table_;
  std::uint64_t tried_sequence_ = 0;  // the highest that may be on the media
  bool inherited_lock_ = false;
};

}  // namespace engine
