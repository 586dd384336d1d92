// CacheKeeper::Slot: one volume of a cache device: joined, served, looked after.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/cache/recovery.h"
#include "engine/volume/cache_keeper.h"

namespace engine {

// All of it on the keeper's thread, but for what its pool tells.
class CacheKeeper::Slot final : public BackingUser {
 public:
  Slot(CacheKeeper& keeper, VolumeSpec spec, CachedVolume& face, BindingKeeper& bindings);

  void backing_came(BackingArrival arrival) override;
  void backing_changed() noexcept override;

  void device_came();
  // The device is not there.
  void stay_late(const std::string& reason);
  // As large as its backing is now; before it is served, serving sees to that.
  Result<void, std::string> follow_size();
  // What could not be written down is tried again.
  void try_again(Instant now) {
    if (phase_ == Phase::retrying && now >= retry_at_) judge();
  }
  void try_again_now() { try_again(retry_at_); }
  [[nodiscard]] bool is_settled() const {
    return phase_ == Phase::served || phase_ == Phase::refused || phase_ == Phase::retrying ||
           !arrival_.marker;
  }
  // Somebody else works on it: the device must stay as it is.
  [[nodiscard]] bool is_recovering() const { return phase_ == Phase::recovering; }
  void tick();
  // Any phase; durable where it is served.
  Result<void, std::string> set_mode(CacheMode mode);
  Result<void, std::string> drain();
  Result<void, std::string> cancel_drain();
  Result<void, std::string> give_up_lost();
  void abandon(const Uuid& cache, const Engine::Done& done);
  // After end_clean(): the image may be served without its cache from now on.
  void unbind_dirt();

  // Null until it is served.
  [[nodiscard]] VolumeUpkeep* upkeep() const { return upkeep_.get(); }
  [[nodiscard]] CacheFront* front() const { return front_.get(); }
  // Any thread.
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  // Any thread. What keeps it from being served, unless that is its pool's or its device's to tell.
  [[nodiscard]] std::string why_late() const;
  // Any thread. nullopt: it is not served.
  [[nodiscard]] std::optional<VolumeCacheStatus> status() const;

 private:
  enum class Phase : std::uint8_t {
    waiting,     // for its backing, or the device
    binding,     // the pool writes down what is cached
    retrying,    // it could not
    recovering,  // workers read its log
    served,
    refused,
  };

  [[nodiscard]] CacheDevice& device() const { return *keeper_.cache_.device; }
  [[nodiscard]] std::uint32_t slot_on_device() const;

  void publish_status();
  void judge();
  void refuse(const std::string& reason, bool lacks_cache = false);
  // Behind a message that says which cache is missing.
  [[nodiscard]] std::string what_abandoning_does() const;
  [[nodiscard]] Result<void, CacheError> attach(const std::optional<CacheContents>& contents);
  [[nodiscard]] Result<void, CacheError> resume(std::uint32_t slot, const CacheContents& contents);
  void bind();
  void bind_later(const std::string& why);
  void recover();
  [[nodiscard]] Result<void, CacheError> serve(RecoveredVolume recovered);
  [[nodiscard]] Result<void, CacheError> extend(BlockCount blocks);
  [[nodiscard]] VolumePromise promise() const;

  CacheKeeper& keeper_;
  const VolumeSpec spec_;
  CachedVolume& face_;
  BindingKeeper& bindings_;

  CacheMode mode_;
  Phase phase_ = Phase::waiting;
  Instant retry_at_{};
  BackingArrival arrival_;
  CacheBinding binding_;
  std::unique_ptr<VolumeCache> cache_;
  std::unique_ptr<CacheFront> front_;
  std::unique_ptr<VolumeUpkeep> upkeep_;
  std::string trouble_;

  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::optional<VolumeCacheStatus> status_;
};

}  // namespace engine
