// LocalEngine: the Engine over file and memory pools of this machine.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/hold_count.h"
#include "engine/volume/backed_volume.h"
#include "engine/volume/cache_keeper.h"
#include "engine/volume/cached_volume.h"
#include "engine/volume/disk_keeper.h"
#include "engine/volume/engine.h"
#include "engine/volume/known_volumes.h"
#include "engine/volume/pool_keeper.h"

namespace engine {

// Which volumes, pools and devices there are, and were: whatever has been one stays without what it
// held, so that nobody need know that it has gone; a volume until it is forgotten, the others until
// the end. What happens to them is their keepers'.
class LocalEngine final : public Engine {
 public:
  LocalEngine(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes, EngineOptions options);
  ~LocalEngine() override;

  [[nodiscard]] std::vector<Volume*> volumes() const override;
  [[nodiscard]] Volume* find(const std::string& name) const override;
  [[nodiscard]] std::vector<PoolStatus> pools() const override;
  [[nodiscard]] std::vector<CacheStatus> caches() const override;
  [[nodiscard]] std::vector<Finding> findings() const override;
  void observe(VolumeObserver* observer) override;
  void retry_now() override;
  [[nodiscard]] bool settle(Duration patience) override;
  void grow(const std::string& name, ByteCount new_size, Done done) override;
  void destroy(const std::string& name, const Uuid& uuid, const Uuid& cache,
               DestroyDone done) override;
  void rename(const std::string& name, const Uuid& uuid, const std::string& to, Done done) override;
  void adopt(const std::string& pool, const Adoption& adoption, AdoptDone done) override;
  [[nodiscard]] std::uint64_t backing_errors_of(const std::string& name) const override;
  void add_member(const std::string& pool, const std::string& disk,
                  const std::vector<std::string>& permitted, AddMemberDone done) override;
  [[nodiscard]] LossStatus losses_of(const std::string& name) const override;
  [[nodiscard]] std::optional<VolumeCacheStatus> cache_of(const std::string& name) const override;
  void set_cache_mode(const std::string& name, CacheMode mode, Done done) override;
  void drain(const std::string& name, Done done) override;
  void cancel_drain(const std::string& name, Done done) override;
  void detach_cache(const std::string& name, Done done) override;
  void attach_cache(const std::string& name, const std::string& device, Done done) override;
  void retire_cache(const std::string& device, Done done) override;
  void abandon_cache(const std::string& name, const Uuid& cache, GivenUp done) override;
  void give_up_lost(const std::string& name, Done done) override;
  [[nodiscard]] Result<void, std::string> add_pool(const PoolSpec& spec) override;
  [[nodiscard]] Result<void, std::string> add_cache(const CacheSpec& spec) override;
  [[nodiscard]] Result<Volume*, std::string> add_volume(const VolumeSpec& spec) override;
  void remove_volume(const std::string& name, Done done) override;
  [[nodiscard]] bool forget(const Volume& removed) override;
  void rename_volume(const std::string& name, const std::string& to, Done done) override;
  void keep_names() override;
  void remove_pool(const std::string& name, Done done) override;
  void remove_cache(const std::string& name, Done done) override;
  void set_volume_size(const std::string& name, ByteCount size, Done done) override;
  void set_volume_cache(const std::string& name, const VolumeCacheSpec& spec, Done done) override;
  void set_pool_space(const std::string& name, const PoolSpec& spec, Done done) override;
  [[nodiscard]] std::string why_not_remove_pool(
      const std::string& name, const std::vector<std::string>& leaving) const override;
  [[nodiscard]] std::string why_not_remove_cache(
      const std::string& name, const std::vector<std::string>& leaving) const override;
  [[nodiscard]] std::string why_not_set_volume_cache(const std::string& name,
                                                     const VolumeCacheSpec& spec) const override;
  [[nodiscard]] std::string why_not_set_pool_space(const std::string& name,
                                                   const PoolSpec& spec) const override;
  [[nodiscard]] bool stop(Duration patience) override;

 private:
  // Who is told of a volume's backing, wherever its cache is now.
  struct Relay final : BackingUser {
    void backing_came(BackingArrival arrival) override {
      to.load(std::memory_order_acquire)->backing_came(std::move(arrival));
    }
    void backing_changed() noexcept override {
      to.load(std::memory_order_acquire)->backing_changed();
    }
    std::atomic<BackingUser*> to{nullptr};
  };
  // Of a volume that has never had a cache, or whose device has been removed.
  struct Alone final : BackingUser {
    void backing_came(BackingArrival /*arrival*/) override { CHECK(false && "it has no cache"); }
    void backing_changed() noexcept override { face->backing_changed(); }
    CachedVolume* face = nullptr;
  };
  struct Slot {
    VolumeSpec spec;  // as it is now; of lists_mutex_
    std::unique_ptr<BackedVolume> backed;
    std::unique_ptr<CachedVolume> face;
    PoolKeeper* pool = nullptr;  // null: its pool is not configured
    // Whose the cache is, or was last; null: it has never had one. Changed by attach_cache().
    std::atomic<CacheKeeper*> cache{nullptr};
    Relay relay;
    Alone alone;
    // Of lists_mutex_: the volume on each device, and what goes on with it.
    std::map<const CacheKeeper*, BackingUser*> users;
    bool is_attaching = false;  // or renamed
    bool is_leaving = false;
    // By what is asked of keepers' threads, and by these.
    HoldCount holds;
  };
  [[nodiscard]] std::vector<DiskKeeper::PoolDisks> disks() const;
  // Any thread: what there is now.
  [[nodiscard]] std::vector<PoolKeeper*> pool_keepers() const;
  [[nodiscard]] std::vector<CacheKeeper*> cache_keepers() const;
  [[nodiscard]] Slot* slot_called(const std::string& name) const;
  [[nodiscard]] PoolKeeper* pool_called(const std::string& name) const;
  // With lists_mutex_ held, or before anybody else is there.
  Slot& add(const VolumeSpec& spec);
  void add_to(CacheKeeper& keeper, Slot& slot, bool is_here);
  // The name, or that no more can be added; empty: neither. With lists_mutex_ held.
  [[nodiscard]] std::string why_not_added(const std::string& what, bool is_taken) const;
  // Removed ones of that name have ended, and what they needed goes, too. False: not yet.
  template <class Keeper>
  [[nodiscard]] bool have_let_go(const std::vector<std::unique_ptr<Keeper>>& former,
                                 const std::string& name) const;
  // No cache uses the volume any more.
  void leave_pool(Slot& slot, const Done& done);
  // Behind its pool, one device after the other: `left` of them.
  void rename_on(std::vector<CacheKeeper*> left, Slot& slot, const std::string& to,
                 const Done& done);
  void has_left(Slot& slot);
  void has_left(CacheKeeper& keeper);
  // What the cache has of a volume that no pool has.
  void destroy_remains(const std::string& name, const Uuid& uuid, const Uuid& cache,
                       const DestroyDone& done);
  [[nodiscard]] CacheKeeper* keeper_of_cache(const Uuid& cache) const;
  // `to`: as what it was to be renamed; empty: it was to be destroyed.
  [[nodiscard]] std::string why_not_retained(const std::string& name, const Uuid& uuid,
                                             const std::string& to = {}) const;
  // Empty: a volume of the pool may be called so.
  [[nodiscard]] std::string why_not_named(const std::string& name, const PoolKeeper& pool) const;
  // False: the device is not there any more.
  [[nodiscard]] bool keep_on(Slot& slot, CacheKeeper& keeper);
  void end_attaching(Slot& slot);
  // `arrival` stays until `done`.
  void find_journal(Slot& slot, BackingArrival& arrival, const Done& done);
  [[nodiscard]] static Done follow_growth(Slot& slot, Done done);
  [[nodiscard]] static std::string why_no_cache(const Slot& slot);
  [[nodiscard]] CacheKeeper* keeper_called(const std::string& device) const;
  // Who keeps the volume's cache; null, and `done` has been told, if nobody does.
  [[nodiscard]] CacheKeeper* keeper_of(const std::string& name, const Done& done) const;

  // In this order: the keepers end before what they use, and write-back before the backings.
  KnownVolumes known_;
  MemoryBudget* const memory_;
  std::atomic<VolumeObserver*> observer_{nullptr};
  // Guards the lists of what there is; never held while a keeper is asked for anything.
  mutable std::mutex lists_mutex_;
  // Before it: threads of what has been removed are joined, by one at a time.
  mutable std::mutex letting_go_mutex_;
  std::vector<std::unique_ptr<Slot>> former_slots_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::map<std::string, Slot*> slots_by_name_;  // by each that it has had since the start
  std::vector<std::unique_ptr<PoolKeeper>> former_pools_;  // these two: removed, or about to be
  std::vector<std::unique_ptr<PoolKeeper>> pools_;
  RecoveryWorkers workers_;
  std::vector<std::unique_ptr<CacheKeeper>> former_caches_;
  std::vector<std::unique_ptr<CacheKeeper>> caches_;
  const SystemClock clock_;
  DiskKeeper disks_;
};

}  // namespace engine
