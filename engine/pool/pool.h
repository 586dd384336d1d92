// Pool: volumes and their identities on disks of their own, whatever their kind.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/pool/adoption.h"
#include "engine/pool/file_journal.h"
#include "engine/pool/file_marker.h"
#include "engine/pool/member_state.h"
#include "engine/pool/opened_volume.h"
#include "engine/pool/pool_directory.h"
#include "engine/pool/pool_disk.h"
#include "engine/pool/pool_error.h"
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
  Provisioning provisioning = Provisioning::thick;  // if it is made anew
  std::string was{};  // for an inspection: what its pool may call it yet
};

// Locked for this process while it lives. One thread.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  virtual ~Pool() = default;

  // Ours is the predecessor's lock: it may end.
  [[nodiscard]] virtual bool has_inherited_lock() const = 0;

  [[nodiscard]] virtual Uuid uuid() const = 0;
  // Every volume of the table, also those that no configuration names any more (their data stays).
  [[nodiscard]] virtual const std::vector<VolumeRecord>& volumes() const = 0;
  [[nodiscard]] virtual FileResult<PoolDirectory::Space> space() = 0;
  // False: a part of it is missing, or was when it was last asked for something; opening it anew
  // may find that.
  [[nodiscard]] virtual bool is_whole() const { return true; }
  // What it lies on: its members by index, or what its directory is on. May wait for them.
  [[nodiscard]] virtual std::vector<PoolDisk> disks() const = 0;
  // Its members by index; none where it has none.
  [[nodiscard]] virtual std::vector<MemberState> members() const { return {}; }
  // When it was opened.
  [[nodiscard]] virtual HealedReplicas healed() const { return {}; }
  // What of the free space nobody is to be promised.
  [[nodiscard]] virtual ByteCount reserve() const { return {}; }
  // Whether the volume may lack space for what is written to it.
  [[nodiscard]] virtual bool needs_space(const VolumeRecord& /*volume*/) { return false; }
  // About how much the volume lacks that only its cache has: as its marker last said. Of one that
  // needs space.
  [[nodiscard]] virtual ByteCount lacking(const VolumeRecord& /*volume*/) { return {}; }

  // Finds, grows or makes each wished volume; one answer for each wish, in order. An answer that is
  // a record is durable; it is larger than wished where the wish has not followed a grow. Errors:
  // no_space, image_missing, image_foreign, other_volume, shrink, block_size_changed, bad_name,
  // zeroing, io.
  [[nodiscard]] virtual std::vector<Result<VolumeRecord, PoolError>> ensure(
      std::span<const VolumeWish> wishes) = 0;
  // `configured`: the wish that does not know of it, and will still be served as large as it is
  // then; zero: none. Errors: as ensure(), image_missing for an unknown name.
  [[nodiscard]] virtual Result<VolumeRecord, PoolError> grow(const std::string& name,
                                                             ByteCount size,
                                                             ByteCount configured = {}) = 0;
  // Opens the data of one that is ready, and locks it. `source`: where the pool is one disk.
  // `space`: of one that needs it, and outlives its backing; else null. Errors: io, in_use (an
  // earlier daemon's I/O on it has not ended), image_missing for an unknown name.
  [[nodiscard]] virtual Result<std::unique_ptr<OpenedVolume>, PoolError> open_volume(
      const VolumeRecord& volume, IoSource source, VolumeSpace* space) = 0;
  // The marker of the volume. Errors: those of FileMarker::open().
  [[nodiscard]] virtual Result<std::unique_ptr<FileMarker>, PoolError> open_marker(
      const VolumeRecord& volume, IoSource source) = 0;
  // Its journal. Errors: those of FileJournal::open(); unsupported where the pool has none.
  [[nodiscard]] virtual Result<std::unique_ptr<FileJournal>, PoolError> open_journal(
      const VolumeRecord& volume, IoSource source) = 0;
  // Brings the image, which nobody has open for writing, to the moment that its journal holds,
  // where its marker speaks of one; the marker is another file afterwards. A journal that is
  // damaged does not count from then on, and the marker says so. May be repeated, also after a
  // crash in the middle. Errors: image_missing for an unknown name, damaged, io.
  [[nodiscard]] virtual Result<void, PoolError> settle_journal(const std::string& name) = 0;
  // For the operator: what the image is without `cache`, and what is lost with that, as its marker
  // says.
  [[nodiscard]] virtual std::string what_is_left(const VolumeRecord& volume, const Uuid& cache) = 0;

  // Writes what the records say of their caches, in one change; one answer for each, in order,
  // durable on return. A dirty binding comes before the first dirty key, a clean one after the last
  // is on the media. Errors: image_missing for an unknown name, cache_missing where the epoch would
  // go back, io: then either may be there.
  struct NewBinding {
    std::string volume;
    CacheBinding cache;
  };
  [[nodiscard]] virtual std::vector<Result<VolumeRecord, PoolError>> bind(
      std::span<const NewBinding> bindings) = 0;
  [[nodiscard]] Result<VolumeRecord, PoolError> bind(const std::string& name,
                                                     const CacheBinding& cache) {
    const NewBinding binding{.volume = name, .cache = cache};
    return bind({&binding, 1}).front();
  }

  // Makes an image that somebody else has made that of a new volume, as it is and where it is, and
  // durable first: thin if it has holes. Nobody may have it open meanwhile. A second time it is the
  // same volume. Errors: unsupported where volumes have no images, image_missing, bad_name for what
  // is no image or has a name or size that is impossible or taken, no_space, io.
  [[nodiscard]] virtual Result<VolumeRecord, PoolError> adopt(const Adoption& adoption);
  // Of a volume that nobody serves: UUID and data stay. A second time it is done already. Errors:
  // other_volume where none has that name and UUID, bad_name where the new one is taken, or none;
  // io.
  [[nodiscard]] virtual Result<VolumeRecord, PoolError> rename(const std::string& name,
                                                               const Uuid& uuid,
                                                               const std::string& to) = 0;
  // Ends a volume that nobody serves: its entry, its data and what lies beside that; also if it
  // belongs together with a cache, where that is `cache`. After an error it may be asked for again;
  // what a crash cuts off the next opening ends. Errors: other_volume where none has that name and
  // UUID, cache_missing where it belongs to another cache than that, io.
  [[nodiscard]] virtual Result<void, PoolError> destroy(const std::string& name, const Uuid& uuid,
                                                        const Uuid& cache = {}) = 0;

  // Why a volume of the table that somebody asks for by name and UUID cannot be destroyed, with
  // what `cache` has of it.
  [[nodiscard]] static Result<void, PoolError> may_be_destroyed(const VolumeRecord& volume,
                                                                const Uuid& cache);

  // What of the volume is lost from now on; durable on return. Errors: image_missing, io.
  [[nodiscard]] virtual Result<void, PoolError> set_lost(const std::string& name,
                                                         const LostRanges& lost) = 0;
  // Who may use the volume, across restarts; whether it may be written. As set_lost(), and no_space
  // where no more registrants fit.
  [[nodiscard]] virtual Result<void, PoolError> set_reservations(
      const std::string& name, const KeptReservations& reservations) = 0;
  [[nodiscard]] virtual Result<void, PoolError> set_write_protected(const std::string& name,
                                                                    bool write_protected) = 0;
  // Whether all of it counts as zeros, though not all of it is yet; if so, with blocks of `blocks`
  // from now on (the same change; of a size that is a whole number of them). As set_lost().
  [[nodiscard]] virtual Result<void, PoolError> set_formatting(const std::string& name,
                                                               std::optional<BlockSize> blocks) = 0;

 protected:
  // Puts `bindings` into `volumes`; the answers that bind() gives if that becomes durable.
  [[nodiscard]] static std::vector<Result<VolumeRecord, PoolError>> plan_bindings(
      VolumeTable& volumes, std::span<const NewBinding> bindings);
  // Gives a volume of `volumes` its new name; what rename() answers if that becomes durable.
  [[nodiscard]] Result<VolumeRecord, PoolError> plan_rename(VolumeTable& volumes,
                                                            const std::string& name,
                                                            const Uuid& uuid,
                                                            const std::string& to) const;
  // Changes one record of `volumes`. False: it says so already. Errors: image_missing, no_space.
  [[nodiscard]] static Result<bool, PoolError> plan_reservations(
      VolumeTable& volumes, const std::string& name, const KeptReservations& reservations);
  [[nodiscard]] static Result<bool, PoolError> plan_write_protection(VolumeTable& volumes,
                                                                     const std::string& name,
                                                                     bool write_protected);
  [[nodiscard]] static Result<bool, PoolError> plan_formatting(VolumeTable& volumes,
                                                               const std::string& name,
                                                               std::optional<BlockSize> blocks);
  [[nodiscard]] PoolError no_such_volume(const std::string& name, const Uuid& uuid) const;
};

}  // namespace engine
