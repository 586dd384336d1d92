#include "engine/volume/cached_volume.h"

#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/backing_request.h"
#include "engine/volume/direct_scrub.h"
#include "engine/volume/verify_request.h"

namespace engine {
namespace {

bool is_down(VolumeState state) {
  return state == VolumeState::late || state == VolumeState::refused;
}

}  // namespace

CachedVolume::CachedVolume(BackedVolume& backed, std::string late_reason)
    : backed_(backed), blocks_(backed.size().value), reason_(std::move(late_reason)) {}

CachedVolume::CachedVolume(BackedVolume& backed)
    : backed_(backed), is_direct_(true), blocks_(backed.size().value), state_(backed.state()) {}

VolumeState CachedVolume::state_now() const {
  if (is_closed_.load(std::memory_order_relaxed)) return VolumeState::refused;
  const VolumeState backing = backed_.state();
  if (front_.load(std::memory_order_relaxed) == nullptr) {
    return is_down(backing) || is_direct_.load(std::memory_order_relaxed) ? backing
                                                                          : VolumeState::late;
  }
  const bool needs_backing = goes_around(front_.load(std::memory_order_relaxed)->mode());
  if (failed_ || (needs_backing && backing == VolumeState::failed)) return VolumeState::failed;
  return backing == VolumeState::failed || !trouble_.empty() ? VolumeState::degraded
                                                             : VolumeState::online;
}

VolumeCondition CachedVolume::condition() const {
  const std::lock_guard lock(mutex_);
  const VolumeCondition backing = backed_.condition();
  VolumeCondition now{
      .state = state_.load(std::memory_order_relaxed),
      .size = {blocks_.load(std::memory_order_relaxed)},
      .reason = {},
      .reason_about = Finding::About::volume,
      .promise = front_.load(std::memory_order_relaxed) != nullptr ? promise_ : backing.promise};
  if (front_.load(std::memory_order_relaxed) != nullptr) {
    now.promise.restrict_by(backed_.write_protection());
    if (backed_.is_formatting()) now.promise.note_formatting();
  }
  if (is_down(now.state)) {
    const bool backing_is_down =
        is_down(backing.state) && !is_closed_.load(std::memory_order_relaxed);
    now.reason = backing_is_down ? backing.reason : reason_;
    now.reason_about = backing_is_down ? backing.reason_about : about_;
    now.lacks_cache = backing_is_down ? backing.lacks_cache : lacks_cache_;
  } else if (now.state != VolumeState::online) {
    now.reason = trouble_.empty() ? backing.reason : trouble_;
  }
  return now;
}

void CachedVolume::update() {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    const VolumeState state = state_now();
    changed = state_.exchange(state, std::memory_order_acq_rel) != state;
    const VolumeIdentity* const identity = &backed_.identity();
    changed = std::exchange(told_identity_, identity) != identity || changed;
    const WriteProtection protection = backed_.write_protection();
    changed = std::exchange(told_protection_, protection) != protection || changed;
    const bool formatting = backed_.is_formatting();
    changed = std::exchange(told_formatting_, formatting) != formatting || changed;
    if (front_.load(std::memory_order_relaxed) == nullptr) {
      const std::uint64_t blocks = backed_.size().value;
      changed = blocks_.exchange(blocks, std::memory_order_acq_rel) != blocks || changed;
    }
  }
  tell(changed);
}

void CachedVolume::tell(bool changed) {
  if (!changed) return;
  changes_.fetch_add(1, std::memory_order_acq_rel);
  if (VolumeObserver* observer = observer_.load(std::memory_order_acquire)) {
    observer->volume_changed(*this);
  }
}

bool CachedVolume::waits_for_backing() const { return is_down(backed_.state()); }

void CachedVolume::backing_changed() { update(); }

void CachedVolume::close(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    reason_ = reason;
    about_ = Finding::About::volume;
    lacks_cache_ = false;
    is_closed_.store(true, std::memory_order_release);
    is_direct_.store(false, std::memory_order_seq_cst);
    front_.store(nullptr, std::memory_order_seq_cst);
  }
  update();
}

void CachedVolume::stay_late(const std::string& reason, Finding::About about, bool lacks_cache) {
  const std::lock_guard lock(mutex_);
  if (is_closed_.load(std::memory_order_relaxed)) return;
  CHECK(front_.load(std::memory_order_relaxed) == nullptr);
  reason_ = reason;
  about_ = about;
  lacks_cache_ = lacks_cache;
}

void CachedVolume::serve(CacheFront& front, BlockCount size, VolumePromise promise) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(front_.load(std::memory_order_relaxed) == nullptr);
    blocks_.store(size.value, std::memory_order_release);
    promise_ = std::move(promise);
    front.set_hold(hold_);
    front_.store(&front, std::memory_order_seq_cst);
    is_direct_.store(false, std::memory_order_release);
  }
  update();
}

void CachedVolume::leave_cache() {
  {
    const std::lock_guard lock(mutex_);
    CHECK(front_.load(std::memory_order_relaxed) != nullptr);
    trouble_.clear();
    failed_ = false;
    is_direct_.store(true, std::memory_order_release);
    front_.store(nullptr, std::memory_order_seq_cst);
  }
  update();
  tell(true);  // of what is promised
}

void CachedVolume::set_promise(VolumePromise promise) {
  {
    const std::lock_guard lock(mutex_);
    promise_ = std::move(promise);
    const VolumeState state = state_now();
    state_.store(state, std::memory_order_release);
  }
  tell(true);
}

void CachedVolume::set_trouble(const std::string& trouble, bool failed) {
  {
    const std::lock_guard lock(mutex_);
    trouble_ = trouble;
    failed_ = failed;
  }
  update();
}

void CachedVolume::grow(BlockCount size) {
  CHECK(size >= CachedVolume::size());
  const bool grown = blocks_.exchange(size.value, std::memory_order_acq_rel) != size.value;
  tell(grown);
}

// The front is used under the lock: it is let go of after leave_cache() or close().
void CachedVolume::set_hold(Duration hold) {
  const std::lock_guard lock(mutex_);
  hold_ = hold;
  if (CacheFront* const front = front_.load(std::memory_order_relaxed)) front->set_hold(hold);
}

bool CachedVolume::has_room() const {
  const std::lock_guard lock(mutex_);
  const CacheFront* const front = front_.load(std::memory_order_relaxed);
  return !backed_.is_backing_silent() && (front == nullptr || front->has_room());
}

std::optional<Instant> CachedVolume::look_at_backing(Instant now) {
  return backed_.look_at_backing(now);
}

void CachedVolume::submit(IoLane& lane, VolumeIo& io) {
  CacheFront* const front = front_.load(std::memory_order_acquire);
  if (front == nullptr) return submit_directly(lane, io);
  if (io.kind == VolumeIo::Kind::flush) {
    // Everything answered is durable already; but who flushes after a lost write must hear of it.
    return io.done(io, front->volume().commit().failed() ? IoStatus::sync_failed : IoStatus::ok);
  }
  const std::uint64_t size = blocks_.load(std::memory_order_acquire);
  if (io.lba.value > size || io.blocks.value > size - io.lba.value) {
    return io.done(io, IoStatus::out_of_range);
  }
  if (const IoStatus refusal = backed_.refusal_of(io); refusal != IoStatus::ok) [[unlikely]]
    return io.done(io, refusal);
  if (io.blocks.value == 0) return io.done(io, IoStatus::ok);
  if (backed_.makes_way(io)) [[unlikely]] {
    return submit_without_backing(*front, lane, io);
  }
  if (io.kind == VolumeIo::Kind::verify) return VerifyRequest::start(*this, lane, io);
  front->submit(lane, io);
}

// As far as the cache alone can do it.
void CachedVolume::submit_without_backing(CacheFront& front, IoLane& lane, VolumeIo& io) {
  if (io.kind == VolumeIo::Kind::read) return front.read_from_cache(lane, io);
  const bool is_for_cache = io.kind != VolumeIo::Kind::verify && !goes_around(front.mode());
  if (!is_for_cache) return io.done(io, IoStatus::no_answer);
  front.submit(lane, io);
}

PinnedRead CachedVolume::read_in_place(IoLane& lane, const ReadInPlace& read) {
  CacheFront* const front = front_.load(std::memory_order_acquire);
  const std::uint64_t size = blocks_.load(std::memory_order_acquire);
  if (front == nullptr || read.blocks.value == 0 || read.lba.value > size ||
      read.blocks.value > size - read.lba.value || backed_.is_formatting()) {
    return {};
  }
  return front->read_in_place(lane, read);
}

void CachedVolume::scrub(IoLane& lane, ScrubIo& io) {
  CacheFront* const front = front_.load(std::memory_order_acquire);
  if (front == nullptr) return DirectScrub::start(*this, lane, io);
  const std::uint64_t size = blocks_.load(std::memory_order_acquire);
  if (io.lba.value > size || io.blocks.value > size - io.lba.value) {
    return io.done(io, IoStatus::out_of_range);
  }
  front->scrub(lane, io);
}

// Counted before the second look: who gives it a front, or closes it, sees the request there, or it
// sees that. Until it is counted out the backing stays.
void CachedVolume::submit_directly(IoLane& lane, VolumeIo& io) {
  if (!is_direct_.load(std::memory_order_acquire)) {
    if (front_.load(std::memory_order_acquire) != nullptr) return submit(lane, io);
    return io.done(io, IoStatus::unavailable);
  }
  if (backed_.backing() == nullptr) return io.done(io, IoStatus::unavailable);
  const bool is_flush = io.kind == VolumeIo::Kind::flush;
  const std::uint64_t size = blocks_.load(std::memory_order_acquire);
  if (!is_flush && (io.lba.value > size || io.blocks.value > size - io.lba.value)) {
    return io.done(io, IoStatus::out_of_range);
  }
  if (const IoStatus refusal = backed_.refusal_of(io); refusal != IoStatus::ok) [[unlikely]]
    return io.done(io, refusal);
  if (!is_flush && io.blocks.value == 0) return io.done(io, IoStatus::ok);
  if (!is_flush && backed_.makes_way(io)) [[unlikely]]
    return io.done(io, IoStatus::no_answer);
  if (io.kind == VolumeIo::Kind::verify) return VerifyRequest::start(*this, lane, io);
  direct_requests_.fetch_add(1, std::memory_order_seq_cst);
  const bool is_direct = front_.load(std::memory_order_seq_cst) == nullptr &&
                         is_direct_.load(std::memory_order_seq_cst);
  BackingDevice* const backing = is_direct ? backed_.backing() : nullptr;
  if (backing == nullptr || is_flush) {
    const bool fails = backing == nullptr || backing->needs_reopen();
    direct_requests_.fetch_sub(1, std::memory_order_seq_cst);
    if (!is_direct) return submit(lane, io);
    if (backing == nullptr) return io.done(io, IoStatus::unavailable);
    return io.done(io, fails ? IoStatus::sync_failed : IoStatus::ok);
  }
  io.backing.has_space = false;
  io.engine_state = this;
  io.backing.context = &io;
  io.backing.done = &CachedVolume::directly_done;
  io.lane = &lane;
  if (io.is_timed) [[unlikely]] {
    io.asked_backing = lane.now();
    io.backing.done = [](BackingIo& ended, IoStatus status) noexcept {
      VolumeIo& timed = *static_cast<VolumeIo*>(ended.context);
      timed.times.add_backing(timed.lane->now() - timed.asked_backing);
      directly_done(ended, status);
    };
  }
  ask_backing(*backing, lane, io, identity().block_size, io.backing);
}

void CachedVolume::directly_done(BackingIo& backing_io, IoStatus status) noexcept {
  VolumeIo& io = *static_cast<VolumeIo*>(backing_io.context);
  auto& volume = *static_cast<CachedVolume*>(io.engine_state);
  // As BackedVolume does.
  if (status != IoStatus::ok) [[unlikely]]
    volume.backed_.look_for_failure();
  volume.direct_requests_.fetch_sub(1, std::memory_order_seq_cst);
  io.done(io, status);
}

}  // namespace engine
