// BackedVolume: a volume whose blocks go straight to its backing; what a cached one stands on.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/hold_count.h"
#include "engine/volume/engine.h"
#include "engine/volume/reservation_keeper.h"
#include "engine/volume/scrub.h"
#include "engine/volume/volume.h"

namespace engine {

// Every write, zeroing and deallocation is asked of the backing as durable. Starts late; its
// backing comes once and stays until let_go(). State, size and identity are set by one thread at a
// time (its pool's), but for online -> failed, which the reactor does that meets the failed flush.
class BackedVolume final : public Volume, public Scrubbable {
 public:
  // `identity.uuid` may be nil while it is not known; `size` is what is configured.
  BackedVolume(VolumeIdentity identity, BlockCount size, std::string late_reason);
  ~BackedVolume() override;

  [[nodiscard]] const VolumeIdentity& identity() const override {
    return *identity_.load(std::memory_order_acquire);
  }
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
  [[nodiscard]] bool has_room() const override { return !is_backing_silent(); }
  std::optional<Instant> look_at_backing(Instant now) override;
  [[nodiscard]] bool is_backing_silent() const override {
    return is_silent_.load(std::memory_order_relaxed);
  }
  // It would ask a silent backing, and need not.
  [[nodiscard]] bool makes_way(const VolumeIo& io) const {
    return io.gives_way && is_backing_silent();
  }
  void scrub(IoLane& lane, ScrubIo& io) override;

  [[nodiscard]] std::optional<KeptReservations> kept_reservations() const override;
  void keep_reservations(const KeptReservations& reservations, KeepDone done) override;
  [[nodiscard]] std::vector<LostBlocks> lost_blocks() const override;
  [[nodiscard]] WriteProtection write_protection() const override {
    return protection_.load(std::memory_order_acquire);
  }
  void protect(WriteProtection protection, KeepDone done) override;
  [[nodiscard]] bool is_formatting() const override {
    return formatting_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool can_have_blocks(BlockSize blocks) const override;
  [[nodiscard]] bool has_blocks_of_host() const override {
    return blocks_of_host_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool begin_format(BlockSize blocks) override;
  [[nodiscard]] BlockSize formatted_blocks() const override;
  void keep_formatting(bool formatting, KeepDone done) override;
  // Its pool is asked to keep something, and comes back to this.
  [[nodiscard]] bool is_keeping() const { return keeping_.is_held(); }
  // Why a request is not begun; ok: it may be. Also for who uses the backing beside this volume.
  [[nodiscard]] IoStatus refusal_of(const VolumeIo& io) const {
    if (io.formats) [[unlikely]]
      return IoStatus::ok;
    if (is_formatting() && io.kind != VolumeIo::Kind::flush) [[unlikely]]
      return IoStatus::formatting;
    return writes(io.kind) && write_protection() != WriteProtection::none ? IoStatus::read_only
                                                                          : IoStatus::ok;
  }

  // Before the first request.
  void keep_with(ReservationKeeper& keeper) { keeper_.store(&keeper, std::memory_order_release); }
  void observe(VolumeObserver* observer) { observer_.store(observer, std::memory_order_release); }
  // What is known of a volume that is not there: a nil UUID becomes the real one, never another.
  void learn(const Uuid& uuid, BlockCount size);
  // Before it goes online: the blocks that its pool says it has, and whether a host has set them.
  // As many bytes as before.
  void learn_blocks(BlockSize blocks, bool of_host);
  // Any thread: it is called so from now on; whoever has its old identity keeps that.
  void rename(const std::string& name);
  void stay_late(const std::string& reason, Finding::About about, bool lacks_cache = false);
  // late -> refused, for good.
  void refuse(const std::string& reason, Finding::About about);
  // Before it goes online: what its record says. Later ones mean nothing.
  void learn_reservations(const KeptReservations& reservations);
  void learn_write_protection(bool write_protected);
  void learn_formatting(bool formatting);
  // late -> online, with the backing it keeps for life.
  void go_online(std::unique_ptr<BackingDevice> backing, const Uuid& uuid, BlockCount size,
                 VolumePromise promise);
  // Any thread; only the first failure is told.
  void fail(const std::string& reason);
  // Who uses the backing itself has perhaps seen it fail.
  void look_for_failure();
  // failed -> failed, with what retrying found.
  void stay_failed(const std::string& reason);
  // failed -> online, after its backing has been reopened, and perhaps has grown.
  void recover(BlockCount size, VolumePromise promise);
  // The backing is as large already.
  void grow(BlockCount size, VolumePromise promise);
  // Any state -> refused, for good; gives its backing back, null if it had none. Nobody has a
  // request under way, nor begins one.
  [[nodiscard]] std::unique_ptr<BackingDevice> let_go(const std::string& reason);

  // Null while late, and after let_go().
  [[nodiscard]] BackingDevice* backing() const { return backing_.load(std::memory_order_acquire); }

 private:
  void submit_to(BackingDevice& backing, IoLane& lane, VolumeIo& io);
  static void backing_done(BackingIo& backing_io, IoStatus status) noexcept;
  void changed();
  [[nodiscard]] BlockSize block_size() const {
    return {block_bytes_.load(std::memory_order_relaxed)};
  }
  // Under mutex_.
  void set_identity(const Uuid& uuid, BlockSize blocks);
  void publish(VolumeIdentity identity);

  std::atomic<const VolumeIdentity*> identity_;
  std::atomic<std::uint64_t> blocks_;
  std::atomic<VolumeState> state_{VolumeState::late};
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<BackingDevice*> backing_{nullptr};
  std::atomic<VolumeObserver*> observer_{nullptr};
  std::atomic<ReservationKeeper*> keeper_{nullptr};
  std::atomic<WriteProtection> protection_{WriteProtection::none};
  std::atomic<bool> formatting_{false};
  std::atomic<bool> blocks_of_host_{false};  // set while late
  std::atomic<bool> is_silent_{false};
  HoldCount keeping_;
  std::atomic<std::uint32_t> block_bytes_;  // identity().block_size; set while late

  // Guards what follows, and changes of what stands above as atomics for readers without it, so
  // that condition() is of one moment; a leaf, but for the lock of what the backing lists as lost.
  mutable std::mutex mutex_;
  std::string reason_;
  Finding::About reason_about_ = Finding::About::pool_directory;
  bool lacks_cache_ = false;
  VolumePromise promise_;
  std::optional<KeptReservations> reservations_;
  BlockSize formatted_blocks_;
  std::vector<std::unique_ptr<const VolumeIdentity>> identities_;  // readers may hold older ones
  std::unique_ptr<BackingDevice> owned_backing_;
};

}  // namespace engine
