// BlockVolume: what NVMe namespaces and SCSI LUNs share of one volume: its handle, identity, write
// order, share of the transfer buffers, limits, overload and reservations.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/foundation/hold_count.h"
#include "engine/volume/volume.h"
#include "target/block/atomic_writes.h"
#include "target/block/buffer_share.h"
#include "target/block/overload_ladder.h"
#include "target/block/reservations.h"
#include "target/block/stage_counters.h"
#include "target/block/volume_counters.h"
#include "target/block/volume_limiter.h"
#include "target/block/write_order.h"
#include "target/reactor/reactor.h"

namespace target::block {

// Limits that both protocols report, and hold commands to.
// One zeroing or deallocating request covers at most this much, so that no turn of a reactor is
// long.
inline constexpr engine::ByteCount largest_zeroing{1U << 30};

// One for each volume of the daemon, shared by every subsystem and target that exports it.
// Thread-safe.
class BlockVolume {
 public:
  // `reactors`: how many serve it.
  explicit BlockVolume(engine::Volume& volume, std::uint32_t reactors = 1)
      : volume_(volume),
        reservations_(volume),
        reactors_(std::bit_ceil(std::max(reactors, 1U))),
        counters_(reactors_) {}
  BlockVolume(const BlockVolume&) = delete;
  BlockVolume& operator=(const BlockVolume&) = delete;

  [[nodiscard]] engine::Volume& volume() { return volume_; }
  [[nodiscard]] const engine::Volume& volume() const { return volume_; }
  [[nodiscard]] WriteOrder& write_order() { return write_order_; }
  [[nodiscard]] BufferShare& buffers() { return buffers_; }
  [[nodiscard]] const BufferShare& buffers() const { return buffers_; }
  [[nodiscard]] VolumeLimiter& limiter() { return limiter_; }
  [[nodiscard]] const VolumeLimiter& limiter() const { return limiter_; }
  [[nodiscard]] OverloadLadder& overload() { return overload_; }
  [[nodiscard]] const OverloadLadder& overload() const { return overload_; }
  // Both on the control thread (before the reactors start: any one).
  void set_overload_times(const OverloadTimes& times) {
    overload_.set_times(times);
    set_hold(times.hold);
  }
  // OverloadLadder::look(), with what the volume knows. When it is closed, whatever is held comes
  // back at once, to be answered that it is.
  [[nodiscard]] OverloadLadder::Change look_at_overload(engine::Instant now) {
    const auto silent_since = volume_.look_at_backing(now);
    // Those that the disk has had since then can be neither held nor sent back: they count too.
    if (silent_since && overload_.counts().held != 0) overload_.given_back(*silent_since, now);
    const auto change = overload_.look(now, volume_.has_room());
    const bool closes = change == OverloadLadder::Change::closed;
    set_hold(closes ? engine::Duration(1) : overload_.times().hold);
    return change;
  }
  [[nodiscard]] Reservations& reservations() { return reservations_; }
  // Whether its hosts may format it, as the configuration says; and how much of a format that is
  // under way is still to be done. Any thread.
  void allow_format(bool allowed) { may_format_.store(allowed, std::memory_order_relaxed); }
  [[nodiscard]] bool may_format() const { return may_format_.load(std::memory_order_relaxed); }
  void set_format_left(std::uint8_t percent) {
    format_left_.store(percent, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint8_t format_left() const {
    return format_left_.load(std::memory_order_relaxed);
  }
  // Of those from whom commands come to it, or who work on it for longer than a turn.
  [[nodiscard]] engine::HoldCount& holds() { return holds_; }
  // Nobody holds it, nor has anything under way with it. Control thread, when nobody can take a
  // hold any more; then it may be freed as soon as every reactor has begun another turn.
  [[nodiscard]] bool is_left() const {
    return !holds_.is_held() && !reservations_.is_keeping() && buffers_.held() == 0 &&
           counts().in_flight() == 0;
  }
  // The reactor's thread.
  [[nodiscard]] VolumeCounters& counters(const Reactor& reactor) {
    const std::uint32_t number = reactor.options().number;
    return counters_[number & (reactors_ - 1)];
  }
  // Of all reactors together. Any thread.
  [[nodiscard]] VolumeCounts counts() const {
    VolumeCounts sum;
    for (const VolumeCounters& each : counters_) sum += each.counts();
    if (former_ != nullptr) sum += *former_;
    return sum;
  }
  // It takes the place of one that counted so, and whose commands under way count for nobody.
  // Before anybody finds it.
  void go_on_from(VolumeCounts former) {
    former.begun = former.ended;
    former_ = std::make_unique<const VolumeCounts>(former);
  }

  // Whether stages are counted for this volume too, and all of its commands are timed for it (from
  // the next one on that would be anyway); what has been counted is kept. Control thread.
  void tell_stages(bool wanted) {
    if (wanted && stage_memory_.empty()) {
      stage_memory_ = std::vector<StageCounters>(counters_.size());
    }
    stages_.store(wanted ? stage_memory_.data() : nullptr, std::memory_order_release);
  }
  // nullptr: they are not. The reactor's thread.
  [[nodiscard]] StageCounters* stages(const Reactor& reactor) {
    StageCounters* const all = stages_.load(std::memory_order_acquire);
    if (all == nullptr) return nullptr;
    const std::uint32_t number = reactor.options().number;
    return all + (number & (reactors_ - 1));
  }
  // Of all reactors together; nullopt: they are not. Control thread.
  [[nodiscard]] std::optional<StageCounts> stage_counts() const {
    if (stages_.load(std::memory_order_relaxed) == nullptr) return std::nullopt;
    StageCounts sum;
    for (const StageCounters& each : stage_memory_) add(sum, each.counts());
    return sum;
  }

 private:
  void set_hold(engine::Duration hold) {
    if (hold == hold_) return;
    hold_ = hold;
    overload_.set_hold(hold);
    volume_.set_hold(hold);
  }

  engine::Volume& volume_;
  engine::HoldCount holds_;
  WriteOrder write_order_;
  BufferShare buffers_;
  VolumeLimiter limiter_;
  OverloadLadder overload_;
  engine::Duration hold_{};
  std::atomic<bool> may_format_{false};
  std::atomic<std::uint8_t> format_left_{100};  // percent
  Reservations reservations_;
  const std::uint32_t reactors_;          // a power of two, so that finding one is quick
  std::vector<VolumeCounters> counters_;  // by the reactor's number
  std::unique_ptr<const VolumeCounts> former_;
  std::vector<StageCounters> stage_memory_;  // as many, once they have been wanted
  std::atomic<StageCounters*> stages_{nullptr};
};

}  // namespace target::block
