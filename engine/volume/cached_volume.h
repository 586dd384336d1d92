// CachedVolume: a volume that is served through its cache.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "engine/volume/backed_volume.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/engine.h"
#include "engine/volume/volume.h"

namespace engine {

// Late until its backing is there and its cache has joined it; from then on it is served as long as
// the cache can be written, whatever the backing does. Nothing is ever served without the cache.
//
// The backing's own state is its pool's; the cache's share of it is set by one thread, that of the
// cache's keeper.
class CachedVolume final : public Volume {
 public:
  // `backed` outlives it. `late_reason`: until more is known of the cache.
  CachedVolume(BackedVolume& backed, std::string late_reason);

  [[nodiscard]] const VolumeIdentity& identity() const override { return backed_.identity(); }
  [[nodiscard]] BlockCount size() const override {
    return {blocks_.load(std::memory_order_acquire)};
  }
  [[nodiscard]] VolumeState state() const override {
    return state_.load(std::memory_order_acquire);
  }
  [[nodiscard]] VolumeCondition condition() const override;
  [[nodiscard]] std::uint64_t changes() const override {
    return changes_.load(std::memory_order_acquire);
  }
  void submit(IoLane& lane, VolumeIo& io) override;

  void observe(VolumeObserver* observer) { observer_.store(observer, std::memory_order_release); }
  // Late because of its pool; any thread.
  [[nodiscard]] bool waits_for_backing() const;
  // Its backing's state or size has changed. Any thread.
  void backing_changed();

  // The keeper's thread, from here on.
  [[nodiscard]] BackedVolume& backed() { return backed_; }
  // While it has no front: why.
  void stay_late(const std::string& reason, Finding::About about, bool lacks_cache = false);
  // late -> served; the front stays for life.
  void serve(CacheFront& front, BlockCount size, VolumePromise promise);
  // The front's mode has changed, and with it what is promised.
  void set_promise(VolumePromise promise);
  // What is not well although it is served: empty, all is. `failed`: no write will be taken.
  void set_trouble(const std::string& trouble, bool failed);
  // The cache knows of the new size.
  void grow(BlockCount size);

 private:
  // With the lock held.
  [[nodiscard]] VolumeState state_now() const;
  void update();
  void tell(bool changed);

  BackedVolume& backed_;
  std::atomic<CacheFront*> front_{nullptr};
  std::atomic<std::uint64_t> blocks_;
  std::atomic<VolumeState> state_{VolumeState::late};
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<VolumeObserver*> observer_{nullptr};

  // Guards what follows, and changes of the atomics above; before the backed volume's.
  mutable std::mutex mutex_;
  std::string reason_;  // why it is late
  Finding::About about_ = Finding::About::cache_device;
  bool lacks_cache_ = false;
  std::string trouble_;
  bool failed_ = false;
  VolumePromise promise_;
};

}  // namespace engine
