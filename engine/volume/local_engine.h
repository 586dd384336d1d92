// LocalEngine: the Engine over file and memory pools of this machine.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/volume/backed_volume.h"
#include "engine/volume/cache_keeper.h"
#include "engine/volume/cached_volume.h"
#include "engine/volume/disk_keeper.h"
#include "engine/volume/engine.h"
#include "engine/volume/known_volumes.h"
#include "engine/volume/pool_keeper.h"

namespace engine {

// Which volumes and pools there are never changes; what happens to them is their PoolKeepers'.
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
  void destroy(const std::string& name, const Uuid& uuid, Done done) override;
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
  // Of a volume that has never had a cache.
  struct Alone final : BackingUser {
    void backing_came(BackingArrival /*arrival*/) override { CHECK(false && "it has no cache"); }
    void backing_changed() noexcept override { face->backing_changed(); }
    CachedVolume* face = nullptr;
  };
  struct Slot {
    std::unique_ptr<BackedVolume> backed;
    std::unique_ptr<CachedVolume> cached;  // null: it cannot have a cache
    PoolKeeper* pool = nullptr;            // null: its pool is not configured
    // Whose the cache is, or was last; null: it has never had one. Changed by attach_cache().
    std::atomic<CacheKeeper*> cache{nullptr};
    Relay relay;
    Alone alone;
    std::map<const CacheKeeper*, BackingUser*> users;  // the volume on each device

    [[nodiscard]] Volume& face() const {
      return cached != nullptr ? static_cast<Volume&>(*cached) : *backed;
    }
  };
  [[nodiscard]] std::vector<DiskKeeper::PoolDisks> disks() const;
  void add(const VolumeSpec& spec);
  void add_cached(const VolumeSpec& spec, Slot& slot);
  [[nodiscard]] std::string why_not_retained(const std::string& name, const Uuid& uuid,
                                             const char* wanted) const;
  // Empty: a volume of the pool may be called so.
  [[nodiscard]] std::string why_not_named(const std::string& name, const PoolKeeper& pool) const;
  void keep_on(Slot& slot, CacheKeeper& keeper);
  [[nodiscard]] static std::string why_no_cache(const Slot& slot);
  [[nodiscard]] CacheKeeper* keeper_called(const std::string& device) const;
  // Who keeps the volume's cache; null, and `done` has been told, if nobody does.
  [[nodiscard]] CacheKeeper* keeper_of(const std::string& name, const Done& done) const;

  // In this order: the keepers end before what they use, and write-back before the backings.
  KnownVolumes known_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::map<std::string, Slot*> slots_by_name_;
  std::vector<std::unique_ptr<PoolKeeper>> pools_;
  RecoveryWorkers workers_;
  std::vector<std::unique_ptr<CacheKeeper>> caches_;
  const SystemClock clock_;
  DiskKeeper disks_;
};

}  // namespace engine
