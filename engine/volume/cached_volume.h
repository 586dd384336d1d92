// CachedVolume: a volume that is served through its cache, or may be.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "engine/volume/backed_volume.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/engine.h"
#include "engine/volume/scrub.h"
#include "engine/volume/volume.h"

namespace engine {

// Late until its backing is there and its cache has joined it; from then on it is served as long as
// the cache can be written, whatever the backing does. Without the cache it is served only where
// the backing alone is the volume: from the beginning, or after leave_cache(). Once it is closed it
// is refused for good.
//
// The backing's own state is its pool's; the cache's share of it is set by one thread, that of the
// cache's keeper.
class CachedVolume final : public Volume, public Scrubbable {
 public:
  // `backed` outlives it. `late_reason`: until more is known of the cache.
  CachedVolume(BackedVolume& backed, std::string late_reason);
  // Begins without a cache, and whenever it is online its backing is all there is of it.
  explicit CachedVolume(BackedVolume& backed);

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
  [[nodiscard]] PinnedRead read_in_place(IoLane& lane, const ReadInPlace& read) override;
  void scrub(IoLane& lane, ScrubIo& io) override;
  void set_hold(Duration hold) override;
  [[nodiscard]] bool has_room() const override;
  std::optional<Instant> look_at_backing(Instant now) override;
  [[nodiscard]] bool is_backing_silent() const override { return backed_.is_backing_silent(); }

  // Its backing's: with a cache or without.
  [[nodiscard]] std::optional<KeptReservations> kept_reservations() const override {
    return backed_.kept_reservations();
  }
  void keep_reservations(const KeptReservations& reservations, KeepDone done) override {
    backed_.keep_reservations(reservations, std::move(done));
  }
  [[nodiscard]] std::vector<LostBlocks> lost_blocks() const override {
    return backed_.lost_blocks();
  }
  [[nodiscard]] WriteProtection write_protection() const override {
    return backed_.write_protection();
  }
  void protect(WriteProtection protection, KeepDone done) override {
    backed_.protect(protection, std::move(done));
  }
  [[nodiscard]] bool is_formatting() const override { return backed_.is_formatting(); }
  [[nodiscard]] bool can_have_blocks(BlockSize blocks) const override {
    return backed_.can_have_blocks(blocks);
  }
  [[nodiscard]] bool has_blocks_of_host() const override { return backed_.has_blocks_of_host(); }
  [[nodiscard]] bool begin_format(BlockSize blocks) override {
    return backed_.begin_format(blocks);
  }
  [[nodiscard]] BlockSize formatted_blocks() const override { return backed_.formatted_blocks(); }
  void keep_formatting(bool formatting, KeepDone done) override {
    backed_.keep_formatting(formatting, std::move(done));
  }

  void observe(VolumeObserver* observer) { observer_.store(observer, std::memory_order_release); }
  // Late because of its pool; any thread.
  [[nodiscard]] bool waits_for_backing() const;
  // Its backing's state or size has changed. Any thread.
  void backing_changed();
  // No request begins any more, for good; what is under way goes on, see direct_requests() and the
  // front's lanes. `reason`: why it is refused. Any thread.
  void close(const std::string& reason);

  // The keeper's thread, from here on.
  [[nodiscard]] BackedVolume& backed() { return backed_; }
  // While it has no front: why.
  void stay_late(const std::string& reason, Finding::About about, bool lacks_cache = false);
  // late, or without a cache -> served; the front stays until leave_cache(). Who was served without
  // one: requests that have begun so may be under way, see direct_requests().
  void serve(CacheFront& front, BlockCount size, VolumePromise promise);
  // From now on requests go to the backing alone. What has begun in the front still uses it.
  void leave_cache();
  // Those under way to the backing alone: none begins while it has a front.
  // Any thread. 0 after close(): nobody uses the backing from here any more.
  [[nodiscard]] std::uint64_t direct_requests() const {
    return direct_requests_.load(std::memory_order_seq_cst);
  }
  // The front's mode has changed, and with it what is promised.
  void set_promise(VolumePromise promise);
  // What is not well although it is served: empty, all is. `failed`: no write will be taken.
  void set_trouble(const std::string& trouble, bool failed);
  // The cache knows of the new size.
  void grow(BlockCount size);

 private:
  void submit_directly(IoLane& lane, VolumeIo& io);
  static void submit_without_backing(CacheFront& front, IoLane& lane, VolumeIo& io);
  static void directly_done(BackingIo& backing_io, IoStatus status) noexcept;
  // With the lock held.
  [[nodiscard]] VolumeState state_now() const;
  void update();
  void tell(bool changed);

  BackedVolume& backed_;
  std::atomic<CacheFront*> front_{nullptr};
  std::atomic<bool> is_direct_{false};  // while there is no front
  std::atomic<std::uint64_t> direct_requests_{0};
  std::atomic<bool> is_closed_{false};  // changed under the lock
  std::atomic<std::uint64_t> blocks_;
  std::atomic<VolumeState> state_{VolumeState::late};
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<VolumeObserver*> observer_{nullptr};

  // Guards what follows, and changes of the atomics above; before the backed volume's.
  mutable std::mutex mutex_;
  const VolumeIdentity* told_identity_{&backed_.identity()};
  WriteProtection told_protection_ = WriteProtection::none;
  bool told_formatting_ = false;
  std::string reason_;  // why it is late
  Finding::About about_ = Finding::About::cache_device;
  bool lacks_cache_ = false;
  std::string trouble_;
  bool failed_ = false;
  VolumePromise promise_;  // while it has a front
  Duration hold_{};
};

}  // namespace engine
