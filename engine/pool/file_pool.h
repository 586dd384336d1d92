// FilePool: a labelled directory of raw images, one for each volume, and the table of their
// identities.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/pool/pool.h"
#include "engine/pool/pool_label.h"

namespace engine {

// Makes `directory` a pool. It must be empty (lost+found apart, which a fresh file system has), or
// what an interrupted call has left. Nothing is ever overwritten. Returns the new pool's UUID.
// Errors: missing, not_empty, already_labelled, io.
[[nodiscard]] Result<Uuid, PoolError> init_file_pool(const std::string& directory);
// The same over a directory that is open already; for tests.
[[nodiscard]] Result<Uuid, PoolError> init_file_pool(PoolDirectory& directory);

// Serves an initialised pool.
//
// Crash safety: a volume enters the table as `creating`, then its image is allocated under a
// temporary name, renamed, and the entry becomes `ready`; a grown image is extended before the
// table says so. So whatever the table calls ready is there, as long as it says, and whatever is
// half made is recognised and finished or removed by the next open() and ensure(). What is ended is
// `destroying` in the table before its first file goes. Every change of
// the table writes two replicas, each by temporary file, fsync, rename, fsync of the directory;
// nothing depends on the change before both are durable.
class FilePool final : public Pool {
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

  using Pool::bind;
  [[nodiscard]] bool has_inherited_lock() const override { return inherited_lock_; }
  [[nodiscard]] Uuid uuid() const override { return table_.pool_uuid; }
  [[nodiscard]] const std::vector<VolumeRecord>& volumes() const override { return table_.records; }
  [[nodiscard]] std::string image_path(const VolumeRecord& volume) const;
  [[nodiscard]] FileResult<PoolDirectory::Space> space() override { return directory_->space(); }
  [[nodiscard]] std::vector<PoolDisk> disks() const override;
  [[nodiscard]] HealedReplicas healed() const override { return healed_; }
  // Where the I/O of its volumes is counted: the same for all openings of the pool.
  [[nodiscard]] const std::shared_ptr<DiskHealth>& health() const { return health_; }
  // Nothing is made or grown into what the operator wants to stay free, nor into what `promised`
  // says when it is asked, and does not become more than that until this is over.
  void keep_free(ByteCount reserve, std::function<ByteCount()> promised = {}) {
    kept_free_ = reserve;
    promised_ = std::move(promised);
  }
  [[nodiscard]] bool needs_space(const VolumeRecord& volume) override;
  [[nodiscard]] ByteCount lacking(const VolumeRecord& volume) override;
  [[nodiscard]] ByteCount reserve() const override;
  [[nodiscard]] std::vector<Result<VolumeRecord, PoolError>> ensure(
      std::span<const VolumeWish> wishes) override;
  [[nodiscard]] Result<VolumeRecord, PoolError> grow(const std::string& name, ByteCount size,
                                                     ByteCount configured = {}) override;
  [[nodiscard]] Result<std::unique_ptr<OpenedVolume>, PoolError> open_volume(
      const VolumeRecord& volume, IoSource source, VolumeSpace* space) override;
  [[nodiscard]] Result<std::unique_ptr<FileMarker>, PoolError> open_marker(
      const VolumeRecord& volume, IoSource source) override;
  [[nodiscard]] Result<std::unique_ptr<FileJournal>, PoolError> open_journal(
      const VolumeRecord& volume, IoSource source) override;
  [[nodiscard]] Result<void, PoolError> settle_journal(const std::string& name) override;
  [[nodiscard]] std::string what_is_left(const VolumeRecord& volume, const Uuid& cache) override;
  [[nodiscard]] std::vector<Result<VolumeRecord, PoolError>> bind(
      std::span<const NewBinding> bindings) override;
  [[nodiscard]] Result<VolumeRecord, PoolError> adopt(const Adoption& adoption) override;
  [[nodiscard]] Result<VolumeRecord, PoolError> rename(const std::string& name, const Uuid& uuid,
                                                       const std::string& to) override;
  [[nodiscard]] Result<void, PoolError> destroy(const std::string& name, const Uuid& uuid,
                                                const Uuid& cache = {}) override;
  [[nodiscard]] Result<void, PoolError> set_lost(const std::string& name,
                                                 const LostRanges& lost) override;
  [[nodiscard]] Result<void, PoolError> set_reservations(
      const std::string& name, const KeptReservations& reservations) override;
  [[nodiscard]] Result<void, PoolError> set_write_protected(const std::string& name,
                                                            bool write_protected) override;
  [[nodiscard]] Result<void, PoolError> set_formatting(const std::string& name,
                                                       std::optional<BlockSize> blocks) override;

 private:
  FilePool(std::unique_ptr<PoolDirectory> directory, VolumeTable table)
      : directory_(std::move(directory)), table_(std::move(table)) {}

  [[nodiscard]] Result<void, PoolError> remove_leftovers();
  [[nodiscard]] Result<VolumeRecord, PoolError> plan_adopted(const Adoption& adoption,
                                                             ByteCount length) const;
  [[nodiscard]] Result<void, PoolError> make_adopted_durable(const VolumeRecord& record);
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
  std::shared_ptr<DiskHealth> health_ = std::make_shared<DiskHealth>();
  VolumeTable table_;
  std::uint64_t tried_sequence_ = 0;  // the highest that may be on the media
  ByteCount kept_free_;
  std::function<ByteCount()> promised_;
  HealedReplicas healed_;
  bool inherited_lock_ = false;
};

}  // namespace engine
