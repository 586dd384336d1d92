// CacheKeeper::Slot: one volume of a cache device: joined, served, looked after.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/cache/recovery.h"
#include "engine/volume/cache_keeper.h"

namespace engine {

// All of it on the keeper's thread, but for what its pool tells.
class CacheKeeper::Slot final : public BackingUser {
 public:
  // `is_here`: its volume begins on this device; else it may be moved here, see join().
  Slot(CacheKeeper& keeper, VolumeSpec spec, CachedVolume& face, BindingKeeper& bindings,
       bool is_here, HoldCount::Hold hold);

  void backing_came(BackingArrival arrival) override;
  void backing_changed() noexcept override;

  void device_came();
  // The device is not there.
  void stay_late(const std::string& reason);
  // As large as its backing is now; before it is served, serving sees to that.
  Result<void, std::string> follow_size();
  // As Engine::set_volume_cache(); `journal`: see there.
  Result<void, std::string> set_cache(const VolumeCacheSpec& spec, JournalChange& journal);
  // As CacheKeeper::remove_volume(). The face is closed at once, or nothing has changed.
  void remove(Engine::Done done);
  // What could not be written down is tried again.
  void try_again(Instant now) {
    if (phase_ == Phase::retrying && now >= retry_at_) judge();
  }
  void try_again_now() { try_again(retry_at_); }
  [[nodiscard]] bool is_settled() const {
    return phase_ == Phase::served || phase_ == Phase::refused || phase_ == Phase::retrying ||
           is_away() || (!arrival_.marker && !removed_);
  }
  // Its volume is served without a cache, or by another device, or has been removed.
  [[nodiscard]] bool is_away() const { return phase_ == Phase::away || phase_ == Phase::removed; }
  // Somebody else works on it: the device must stay as it is.
  [[nodiscard]] bool is_recovering() const {
    return phase_ == Phase::recovering || phase_ == Phase::unbinding;
  }
  void tick();
  // Any phase; durable where it is served.
  Result<void, std::string> set_mode(CacheMode mode);
  Result<void, std::string> drain();
  Result<void, std::string> cancel_drain();
  Result<void, std::string> give_up_lost();
  void abandon(const Uuid& cache, const Engine::GivenUp& done);
  // As Engine::detach_cache.
  Result<void, std::string> detach();
  // As Engine::attach_cache: `arrival` is what release() gave, here or elsewhere.
  void join(BackingArrival arrival, Engine::Done done);
  // Of a volume that has been detached. nullopt: it is not, or is joining again.
  [[nodiscard]] std::optional<BackingArrival> release();
  [[nodiscard]] bool is_served() const { return phase_ == Phase::served; }
  // Why its volume is not to leave this cache; empty: it may.
  [[nodiscard]] std::string why_kept() const;
  [[nodiscard]] bool is_detaching() const {
    return parting_ != Parting::none || phase_ == Phase::unbinding || phase_ == Phase::leaving;
  }
  // The keeper ends: who waits for it to join, or to be removed, hears so.
  void stop_waiting(const std::string& why) {
    if (joined_) std::exchange(joined_, {})(why);
    if (removed_) std::exchange(removed_, {})(why);
  }
  // The keeper's thread has ended: nothing of the volume is used here any more.
  void let_go_of_volume() { hold_ = {}; }
  // After end_clean(): the image may be served without its cache from now on.
  void unbind_dirt();

  // Null until it is served.
  [[nodiscard]] VolumeUpkeep* upkeep() const { return upkeep_.get(); }
  [[nodiscard]] CacheFront* front() const { return front_.get(); }
  // As CacheKeeper::find().
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  [[nodiscard]] bool is_called(const std::string& name) const {
    return spec_.name == name || std::ranges::count(former_names_, name) != 0;
  }
  // The keeper's thread, under its slots_mutex_.
  void rename(const std::string& to) {
    former_names_.push_back(std::exchange(spec_.name, to));
    std::erase(former_names_, to);
  }
  // Any thread: it is not away.
  [[nodiscard]] bool is_here() const { return is_here_.load(std::memory_order_relaxed); }
  [[nodiscard]] Uuid uuid() const { return face_.identity().uuid; }
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
    unbinding,  // detaching: the pool writes down that the image is all there is
    leaving,    // and what still works on the cache ends
    away,       // served without it, or by another device
    removing,   // its commands end, and what works on the cache
    removed,
  };
  // Detaching, while it is served still.
  enum class Parting : std::uint8_t {
    none,
    draining,
    going_around,  // no write goes into the cache any more, the last that did ends
  };

  [[nodiscard]] CacheDevice& device() const { return *keeper_.cache_.device; }
  [[nodiscard]] std::uint32_t slot_on_device() const;

  void look();
  void publish_status();
  void judge();
  void refuse(const std::string& reason, bool lacks_cache = false);
  [[nodiscard]] Result<void, CacheError> attach(const std::optional<CacheContents>& contents);
  [[nodiscard]] Result<void, CacheError> resume(std::uint32_t slot, const CacheContents& contents);
  void bind();
  void bind_later(const std::string& why);
  void recover();
  [[nodiscard]] Result<void, CacheError> serve(RecoveredVolume recovered);
  [[nodiscard]] Result<void, CacheError> extend(BlockCount count);
  [[nodiscard]] BlockSize blocks() const { return face_.identity().block_size; }
  [[nodiscard]] std::string why_not_served() const;
  void go_on_parting();
  [[nodiscard]] bool have_ended(unsigned era);
  void stop_parting(const std::string& why);
  void unbind();
  void leave();
  [[nodiscard]] bool has_come_to_rest();
  void end_leaving();
  // True: it was to be removed as soon as what was under way is over; it is.
  [[nodiscard]] bool is_to_go();
  void go_on_removing();
  void end_removing(bool is_given_up);
  void end_cache();
  void joined(const Result<void, std::string>& outcome);
  [[nodiscard]] VolumePromise promise() const;

  HoldCount::Hold hold_;  // of the volume; first: the last to go
  CacheKeeper& keeper_;
  VolumeSpec spec_;
  std::vector<std::string> former_names_;  // since the start
  CachedVolume& face_;
  BindingKeeper& bindings_;

  CacheMode mode_;
  Phase phase_;
  Parting parting_ = Parting::none;
  unsigned era_ = 0;  // that is waited for
  bool lanes_have_left_ = false;
  std::string part_error_;     // why the last detachment was given up
  Engine::Done joined_;        // while it joins a volume that is served without a cache
  Engine::Done removed_;       // while it is to be removed
  std::atomic<bool> is_here_;  // any thread: not away
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
