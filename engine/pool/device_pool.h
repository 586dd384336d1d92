// DevicePool: volumes by extents on disks, or files, that are members of the pool and nothing else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/extent_allocator.h"
#include "engine/pool/member_set.h"
#include "engine/pool/pool.h"

namespace engine {

struct DevicePoolForm {
  format::MemberLayout layout = format::MemberLayout::single;
  ByteCount chunk = 256_KiB;  // of a stripe; a power of two
  ByteCount slice = 4_MiB;    // at least; a stripe's is no less than its chunk
  LabelArea area{};
};

// What may be on a disk that becomes a member. Without permission only zeros, in its first and its
// last MiB.
struct InitPermission {
  bool content = false;     // anything that is no label of a pool
  std::vector<Uuid> pools;  // labels of these pools
};

// Makes the disks, in this order, the members of a new pool without volumes. Returns its UUID. A
// call that was cut off may be repeated; what it has left is no pool. Errors: missing, io, in_use,
// member_twice, already_labelled, not_blank, too_small, cannot_grow (so many members do not make
// that layout), unsupported.
[[nodiscard]] Result<Uuid, PoolError> init_device_pool(std::vector<MemberCandidate> disks,
                                                       const DevicePoolForm& form,
                                                       const InitPermission& permission = {});

// Why the pool of that label is not the one that is configured. Kinds: other_layout, other_chunk.
[[nodiscard]] std::optional<PoolError> difference(const MemberLabel& label,
                                                  std::optional<format::MemberLayout> layout,
                                                  std::optional<ByteCount> chunk);
// Of a pool whose table was never written since its first, empty one.
[[nodiscard]] PoolError never_completed(const Uuid& pool);

// How far the zeroing of a volume's units is, of those that it is to have.
struct ZeroingProgress {
  std::string volume;
  ByteCount done;
  ByteCount all;
};

// Crash safety: volumes and extents change together, in one image (MemberSet). What a volume gets
// is zeroed before hosts see it: its units are its own in the table first, then zeroed, then
// synced, then the table says that it is ready, or larger. Until then it stays what it was; how far
// zeroing has come is in the table now and then, and goes on from there after a crash. What a
// volume gives back keeps its data until it is given out again.
//
// Invariants: those of its table (contradiction_in()); behind the size of a volume its units hold
// zeros, as far as they are zeroed, since nobody writes there.
class DevicePool final : public Pool {
 public:
  // Refuses the pool as a whole where a member is not what it should be, or missing; the text names
  // all of that. A linear pool goes without those that are missing, foreign or do not answer as
  // they should: see is_whole(). `expected`: refuse any other pool. `predecessor`: what this
  // process has opened before, whose holds count as our own. Errors: those of find_members(), io.
  // `seen`: told which of its members are there, also where it is refused, as far as anybody knows.
  [[nodiscard]] static Result<std::unique_ptr<DevicePool>, PoolError> open(
      std::vector<MemberCandidate> candidates, std::optional<Uuid> expected = std::nullopt,
      const DevicePool* predecessor = nullptr, std::vector<MemberState>* seen = nullptr);

  // True: go on. Called between steps of zeroing, each of some MiB; after false, ensure() and
  // grow() answer `zeroing`, and the next one goes on. Never called: zeroing goes on to its end.
  using ZeroingWatch = std::function<bool(const ZeroingProgress&)>;
  void watch_zeroing(ZeroingWatch watch, ByteCount step = 64_MiB) {
    watch_ = std::move(watch);
    zero_step_ = step;
  }

  // Why it takes no other member, whichever disk that is: another layout, or too many. Kind:
  // cannot_grow.
  [[nodiscard]] std::optional<PoolError> why_no_more_members() const;
  // Whether that is one of its members; `device`: without symbolic links.
  [[nodiscard]] bool has_member(const std::string& device) const {
    return members_.at_device(device) != nullptr;
  }
  // What add_member() would refuse of the disk, by reading alone. Errors: as there.
  [[nodiscard]] Result<void, PoolError> check_newcomer(PoolMember& disk,
                                                       const InitPermission& permission) const;
  // Adds one more member to a linear pool, whose space is free at once. What a call that was cut
  // off has left on the disk needs no permission. Errors: cannot_grow, member_twice, as
  // init_device_pool(), io: then the next start may find it added.
  [[nodiscard]] Result<void, PoolError> add_member(MemberCandidate disk,
                                                   const InitPermission& permission = {});

  // See difference().
  [[nodiscard]] std::optional<PoolError> differs_from(std::optional<format::MemberLayout> layout,
                                                      std::optional<ByteCount> chunk) const {
    return difference(members_.label(), layout, chunk);
  }
  [[nodiscard]] PoolShape shape() const { return members_.shape(); }
  // As it was found, by index; of one that is missing what the table knows.
  [[nodiscard]] MemberInfo member(std::uint32_t index) const { return members_.info(index); }
  // False: some member is missing. Then whatever lies on it is refused (kind member_missing): the
  // volume itself, each change of it, and a new one, as nobody but all members together know
  // whether there is one of its name. What lies on the others alone is served, and grows there.
  [[nodiscard]] bool is_whole() const override;
  // Why the volume cannot be served, or changed; nullopt: all it lies on is there.
  [[nodiscard]] std::optional<PoolError> why_out_of_reach(const VolumeRecord& volume) const;
  // What the operator should know of the configured paths although the pool is served.
  [[nodiscard]] const std::vector<MemberTrouble>& notes() const { return notes_; }
  // Where the volume lies, as far as hosts see it; `volume` is one of volumes() that is ready.
  [[nodiscard]] ExtentMap extent_map(const VolumeRecord& volume) const;
  [[nodiscard]] std::vector<ExtentRun> runs_of(const VolumeRecord& volume) const;
  // IoSource::backing of a member's disk: the same for all openings of the pool by this process.
  [[nodiscard]] std::uint32_t backing_number(std::uint32_t index) const {
    return use_of(index).backing_number;
  }
  // Operations that each member's disk is given at once by all lanes, its labels and tables aside;
  // 0: the lanes' own caps. Holds for later openings and members, too.
  void set_queue_depth(std::uint32_t depth);
  // The same of where its I/O is counted.
  [[nodiscard]] const std::shared_ptr<DiskHealth>& health(std::uint32_t index) const {
    return use_of(index).health;
  }

  using Pool::bind;
  [[nodiscard]] bool has_inherited_lock() const override { return inherited_lock_; }
  [[nodiscard]] Uuid uuid() const override { return members_.label().pool; }
  [[nodiscard]] const std::vector<VolumeRecord>& volumes() const override {
    return table().volumes.records;
  }
  [[nodiscard]] FileResult<PoolDirectory::Space> space() override;
  [[nodiscard]] std::vector<PoolDisk> disks() const override;
  [[nodiscard]] std::vector<MemberState> members() const override;
  [[nodiscard]] HealedReplicas healed() const override { return members_.healed(); }
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
  // What all openings of the pool by this process have of a member's disk.
  struct MemberUse {
    std::uint32_t backing_number = 0;
    std::shared_ptr<DiskHealth> health;
  };
  // A volume that is not yet what is wanted of it.
  struct Wanted {
    std::size_t answer;  // which answer is to be the record
    std::string name;
    ByteCount size;
    ByteCount configured;
    bool is_new;
  };
  struct Plan {
    DeviceTable table;
    ExtentAllocator space;
    std::vector<Wanted> wanted;
    std::vector<Result<VolumeRecord, PoolError>> answers;
  };

  explicit DevicePool(MemberSet members) : members_(std::move(members)) {}

  [[nodiscard]] const DeviceTable& table() const { return members_.table(); }
  [[nodiscard]] const MemberUse& use_of(std::uint32_t index) const;
  [[nodiscard]] Plan begin_plan() const;
  [[nodiscard]] PoolError no_space(const std::string& what, std::uint64_t free_units) const;
  // Adds one answer to the plan, and what must still be done for it.
  void plan_wish(Plan& plan, const VolumeWish& wish);
  void plan_new(Plan& plan, const VolumeWish& wish) const;
  void plan_existing(Plan& plan, std::size_t volume, const VolumeWish& wish);
  [[nodiscard]] Result<void, PoolError> plan_units(Plan& plan, VolumePlace& place,
                                                   ByteCount size) const;
  // The table with the units, the zeros, then the table with what is finished.
  void carry_out(Plan& plan);
  // True: all units of the volume are zero and durable. False: the watch has ended it.
  [[nodiscard]] Result<bool, PoolError> zero_units(const std::string& name);
  [[nodiscard]] Result<void, PoolError> zero_run(const ExtentRun& run);
  [[nodiscard]] Result<void, PoolError> sync_members();
  [[nodiscard]] Result<void, PoolError> commit(DeviceTable planned);
  // Of what `plan.wanted` could not become.
  static void give_up(DeviceTable& planned, ExtentAllocator& space, const PoolShape& shape,
                      const Wanted& wanted);
  [[nodiscard]] const VolumePlace* place_of(const VolumeRecord& volume) const;
  [[nodiscard]] std::optional<PoolError> why_out_of_reach(const VolumePlace& place,
                                                          const std::string& what) const;
  [[nodiscard]] Result<void, PoolError> within_reach(const std::string& name) const;
  // Units of missing members are nobody's to give out.
  void withhold_missing(ExtentAllocator& space) const;
  [[nodiscard]] std::uint64_t zeroed_units_of(std::size_t volume) const;

  MemberSet members_;
  std::vector<MemberTrouble> notes_;
  ZeroingWatch watch_;
  ByteCount zero_step_ = 64_MiB;
  std::map<Uuid, std::uint64_t> zeroed_;  // of volumes whose zeroing is further than the table says
  bool inherited_lock_ = false;
  mutable std::map<std::string, MemberUse> uses_;  // by device
  std::uint32_t queue_depth_ = 0;
};

}  // namespace engine
