#include "engine/volume/backed_volume.h"

#include <limits>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/media/loss_record.h"
#include "engine/volume/backing_request.h"
#include "engine/volume/direct_scrub.h"
#include "engine/volume/verify_request.h"

namespace engine {
namespace {

constexpr const char* flush_failed_reason =
    "a flush to the disk failed: reads are served, writes are refused until the image has been "
    "reopened";

}  // namespace

BackedVolume::BackedVolume(VolumeIdentity identity, BlockCount size, std::string late_reason)
    : blocks_(size.value),
      block_bytes_(identity.block_size.bytes),
      reason_(std::move(late_reason)),
      formatted_blocks_(identity.block_size) {
  identities_.push_back(std::make_unique<const VolumeIdentity>(std::move(identity)));
  identity_.store(identities_.back().get(), std::memory_order_release);
}

BackedVolume::~BackedVolume() = default;

VolumeCondition BackedVolume::condition() const {
  const std::lock_guard lock(mutex_);
  VolumePromise promise = promise_;
  promise.restrict_by(write_protection());
  if (is_formatting()) promise.note_formatting();
  return {.state = state_.load(std::memory_order_relaxed),
          .size = {blocks_.load(std::memory_order_relaxed)},
          .reason = reason_,
          .reason_about = reason_about_,
          .lacks_cache = lacks_cache_,
          .promise = std::move(promise)};
}

void BackedVolume::changed() {
  changes_.fetch_add(1, std::memory_order_acq_rel);
  if (VolumeObserver* observer = observer_.load(std::memory_order_acquire)) {
    observer->volume_changed(*this);
  }
}

void BackedVolume::set_identity(const Uuid& uuid, BlockSize blocks) {
  const VolumeIdentity& known = identity();
  if (known.uuid == uuid && known.block_size == blocks) return;
  CHECK(known.uuid.is_nil() || known.uuid == uuid);
  VolumeIdentity learned = known;
  learned.uuid = uuid;
  learned.block_size = blocks;
  publish(std::move(learned));
}

void BackedVolume::publish(VolumeIdentity identity) {
  identities_.push_back(std::make_unique<const VolumeIdentity>(std::move(identity)));
  identity_.store(identities_.back().get(), std::memory_order_release);
}

void BackedVolume::rename(const std::string& name) {
  const std::lock_guard lock(mutex_);
  VolumeIdentity renamed = identity();
  if (renamed.name == name) return;
  renamed.name = name;
  publish(std::move(renamed));
}

void BackedVolume::learn(const Uuid& uuid, BlockCount size) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(state_.load(std::memory_order_relaxed) == VolumeState::late);
    set_identity(uuid, block_size());
    blocks_.store(size.value, std::memory_order_release);
  }
  changed();
}

void BackedVolume::learn_blocks(BlockSize blocks, bool of_host) {
  blocks_of_host_.store(of_host, std::memory_order_relaxed);
  if (blocks == block_size()) return;
  {
    const std::lock_guard lock(mutex_);
    CHECK(state_.load(std::memory_order_relaxed) == VolumeState::late);
    const ByteCount size = BlockCount{blocks_.load(std::memory_order_relaxed)} * block_size();
    set_identity(identity().uuid, blocks);
    block_bytes_.store(blocks.bytes, std::memory_order_relaxed);
    blocks_.store(size.value / blocks.bytes, std::memory_order_release);
    formatted_blocks_ = blocks;
  }
  changed();
}

void BackedVolume::stay_late(const std::string& reason, Finding::About about, bool lacks_cache) {
  const std::lock_guard lock(mutex_);
  CHECK(state_.load(std::memory_order_relaxed) == VolumeState::late);
  reason_ = reason;
  reason_about_ = about;
  lacks_cache_ = lacks_cache;
}

void BackedVolume::refuse(const std::string& reason, Finding::About about) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(state_.load(std::memory_order_relaxed) == VolumeState::late);
    reason_ = reason;
    reason_about_ = about;
    state_.store(VolumeState::refused, std::memory_order_release);
  }
  changed();
}

void BackedVolume::learn_reservations(const KeptReservations& reservations) {
  const std::lock_guard lock(mutex_);
  if (!reservations_) reservations_ = reservations;
}

std::optional<KeptReservations> BackedVolume::kept_reservations() const {
  const std::lock_guard lock(mutex_);
  return reservations_;
}

void BackedVolume::keep_reservations(const KeptReservations& reservations, KeepDone done) {
  ReservationKeeper* const keeper = keeper_.load(std::memory_order_acquire);
  if (keeper == nullptr) return done(std::string("its pool is not configured"));
  keeper->keep_reservations(identity().name, reservations,
                            [this, hold = keeping_.take(), reservations,
                             done = std::move(done)](const Result<void, std::string>& kept) {
                              if (kept) {
                                const std::lock_guard lock(mutex_);
                                reservations_ = reservations;
                              }
                              done(kept);
                            });
}

// A block is lost if any sector of it is.
std::vector<LostBlocks> BackedVolume::lost_blocks() const {
  std::vector<LostBlocks> all;
  const std::uint64_t block = block_size().bytes;
  const std::lock_guard lock(mutex_);
  if (owned_backing_ == nullptr || owned_backing_->losses() == nullptr) return all;
  for (const LossRecord::Lost& each : owned_backing_->losses()->listed()) {
    const std::uint64_t begin = each.offset.value / block;
    const std::uint64_t end = (each.offset.value + each.length.value + block - 1) / block;
    if (!all.empty() && begin <= all.back().lba.value + all.back().blocks.value) {
      all.back().blocks = {end - all.back().lba.value};
    } else {
      all.push_back({.lba = {begin}, .blocks = {end - begin}});
    }
  }
  return all;
}

void BackedVolume::learn_write_protection(bool write_protected) {
  const std::lock_guard lock(mutex_);
  if (write_protected) protection_.store(WriteProtection::kept, std::memory_order_release);
}

// All requests come by the keeper, so that they are carried out one after the other.
void BackedVolume::protect(WriteProtection protection, KeepDone done) {
  ReservationKeeper* const keeper = keeper_.load(std::memory_order_acquire);
  if (keeper == nullptr) return done(std::string("its pool is not configured"));
  if (is_formatting())
    return done(std::string("it is being formatted: ask again when that is over"));
  keeper->keep_write_protection(
      identity().name, protection == WriteProtection::kept,
      [this, hold = keeping_.take(), protection,
       done = std::move(done)](const Result<void, std::string>& kept) {
        if (!kept) return done(kept);
        {
          const std::lock_guard lock(mutex_);
          if (protection_.load(std::memory_order_relaxed) != WriteProtection::until_restart) {
            protection_.store(protection, std::memory_order_release);
          }
        }
        changed();
        done(kept);
      });
}

void BackedVolume::learn_formatting(bool formatting) {
  const std::lock_guard lock(mutex_);
  if (formatting && GUARD("a format goes on after a restart")) {
    formatting_.store(true, std::memory_order_release);
  }
}

// A volume in memory comes back as another one, if it does.
bool BackedVolume::can_have_blocks(BlockSize blocks) const {
  if (blocks == block_size()) return true;
  const ReservationKeeper* const keeper = keeper_.load(std::memory_order_acquire);
  return keeper != nullptr && keeper->keeps_across_starts() &&
         (size() * block_size()).value % blocks.bytes == 0;
}

bool BackedVolume::begin_format(BlockSize blocks) {
  {
    const std::lock_guard lock(mutex_);
    if (formatting_.exchange(true, std::memory_order_acq_rel)) return false;
    formatted_blocks_ = blocks;
  }
  changed();
  return true;
}

BlockSize BackedVolume::formatted_blocks() const {
  const std::lock_guard lock(mutex_);
  return formatted_blocks_;
}

void BackedVolume::keep_formatting(bool formatting, KeepDone done) {
  ReservationKeeper* const keeper = keeper_.load(std::memory_order_acquire);
  if (keeper == nullptr) return done(std::string("its pool is not configured"));
  const BlockSize blocks = formatted_blocks();
  keeper->keep_formatting(identity().name, formatting ? std::optional(blocks) : std::nullopt,
                          [this, hold = keeping_.take(), formatting, blocks,
                           done = std::move(done)](const Result<void, std::string>& kept) {
                            const bool is_same = blocks == block_size() ||
                                                 !GUARD("a volume keeps its blocks while it runs");
                            const bool is_over = kept && !formatting && is_same;
                            if (!is_over) return done(kept);
                            {
                              const std::lock_guard lock(mutex_);
                              formatting_.store(false, std::memory_order_release);
                            }
                            changed();
                            done(kept);
                          });
}

void BackedVolume::go_online(std::unique_ptr<BackingDevice> backing, const Uuid& uuid,
                             BlockCount size, VolumePromise promise) {
  CHECK(state() == VolumeState::late && owned_backing_ == nullptr);
  CHECK(backing->size() >= size * block_size());
  {
    const std::lock_guard lock(mutex_);
    set_identity(uuid, block_size());
    blocks_.store(size.value, std::memory_order_release);
    owned_backing_ = std::move(backing);
    backing_.store(owned_backing_.get(), std::memory_order_release);
    reason_.clear();
    lacks_cache_ = false;
    promise_ = std::move(promise);
    state_.store(VolumeState::online, std::memory_order_release);
  }
  changed();
}

void BackedVolume::fail(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != VolumeState::online) return;
    reason_ = reason;
    reason_about_ = Finding::About::volume;
    state_.store(VolumeState::failed, std::memory_order_release);
  }
  changed();
}

void BackedVolume::look_for_failure() {
  const BackingDevice* const backing = BackedVolume::backing();
  if (backing != nullptr && backing->needs_reopen()) fail(flush_failed_reason);
}

// The backing is let go of under the lock.
std::optional<Instant> BackedVolume::look_at_backing(Instant now) {
  const std::lock_guard lock(mutex_);
  const auto since = owned_backing_ == nullptr ? std::nullopt : owned_backing_->silent_since(now);
  is_silent_.store(since.has_value(), std::memory_order_relaxed);
  return since;
}

void BackedVolume::stay_failed(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (state_.load(std::memory_order_relaxed) == VolumeState::failed) reason_ = reason;
}

void BackedVolume::recover(BlockCount size, VolumePromise promise) {
  CHECK(size >= BackedVolume::size());
  {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) != VolumeState::failed) return;
    blocks_.store(size.value, std::memory_order_release);
    reason_.clear();
    promise_ = std::move(promise);
    state_.store(VolumeState::online, std::memory_order_release);
  }
  changed();
  // It may have failed again before it was online again, and then nobody has told.
  look_for_failure();
}

void BackedVolume::grow(BlockCount size, VolumePromise promise) {
  const BlockCount before = BackedVolume::size();
  CHECK(size >= before);
  {
    const std::lock_guard lock(mutex_);
    blocks_.store(size.value, std::memory_order_release);
    promise_ = std::move(promise);
  }
  if (size > before) changed();
}

std::unique_ptr<BackingDevice> BackedVolume::let_go(const std::string& reason) {
  std::unique_ptr<BackingDevice> backing;
  keeper_.store(nullptr, std::memory_order_release);
  {
    const std::lock_guard lock(mutex_);
    reason_ = reason;
    reason_about_ = Finding::About::volume;
    lacks_cache_ = false;
    state_.store(VolumeState::refused, std::memory_order_release);
    backing_.store(nullptr, std::memory_order_release);
    backing = std::move(owned_backing_);
  }
  changed();
  return backing;
}

void BackedVolume::submit(IoLane& lane, VolumeIo& io) {
  io.engine_state = this;
  BackingDevice* backing = BackedVolume::backing();
  if (backing == nullptr) return io.done(io, IoStatus::unavailable);
  if (io.kind == VolumeIo::Kind::flush) {
    // Everything answered is durable already; but who flushes after a lost write must hear of it.
    return io.done(io, backing->needs_reopen() ? IoStatus::sync_failed : IoStatus::ok);
  }
  const std::uint64_t size = blocks_.load(std::memory_order_acquire);
  if (io.lba.value > size || io.blocks.value > size - io.lba.value) {
    return io.done(io, IoStatus::out_of_range);
  }
  if (const IoStatus refusal = refusal_of(io); refusal != IoStatus::ok) [[unlikely]]
    return io.done(io, refusal);
  if (io.blocks.value == 0) return io.done(io, IoStatus::ok);
  if (makes_way(io)) [[unlikely]]
    return io.done(io, IoStatus::no_answer);
  submit_to(*backing, lane, io);
}

void BackedVolume::scrub(IoLane& lane, ScrubIo& io) { DirectScrub::start(*this, lane, io); }

void BackedVolume::submit_to(BackingDevice& backing, IoLane& lane, VolumeIo& io) {
  if (io.kind == VolumeIo::Kind::verify) return VerifyRequest::start(*this, lane, io);
  io.backing.has_space = false;
  io.backing.context = &io;
  io.backing.done = &BackedVolume::backing_done;
  io.lane = &lane;
  if (io.is_timed) [[unlikely]] {
    io.asked_backing = lane.now();
    io.backing.done = [](BackingIo& ended, IoStatus status) noexcept {
      VolumeIo& timed = *static_cast<VolumeIo*>(ended.context);
      timed.times.add_backing(timed.lane->now() - timed.asked_backing);
      backing_done(ended, status);
    };
  }
  ask_backing(backing, lane, io, block_size(), io.backing);
}

void BackedVolume::backing_done(BackingIo& backing_io, IoStatus status) noexcept {
  VolumeIo& io = *static_cast<VolumeIo*>(backing_io.context);
  if (status != IoStatus::ok) [[unlikely]] {
    auto& volume = *static_cast<BackedVolume*>(io.engine_state);
    // The state changes before the answer: who sees the error also sees the failed volume.
    volume.look_for_failure();
  }
  io.done(io, status);
}

}  // namespace engine
