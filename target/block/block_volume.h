// BlockVolume: what NVMe namespaces and SCSI LUNs share of one volume: its handle, identity, write
// order, share of the transfer buffers, limits and reservations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/volume/volume.h"
#include "target/block/atomic_writes.h"
#include "target/block/buffer_share.h"
#include "target/block/reservations.h"
#include "target/block/volume_counters.h"
#include "target/block/volume_limiter.h"
#include "target/block/write_order.h"

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
      : volume_(volume), reservations_(volume), counters_(std::max(reactors, 1U)) {}
  BlockVolume(const BlockVolume&) = delete;
  BlockVolume& operator=(const BlockVolume&) = delete;

  [[nodiscard]] engine::Volume& volume() { return volume_; }
  [[nodiscard]] const engine::Volume& volume() const { return volume_; }
  [[nodiscard]] WriteOrder& write_order() { return write_order_; }
  [[nodiscard]] BufferShare& buffers() { return buffers_; }
  [[nodiscard]] const BufferShare& buffers() const { return buffers_; }
  [[nodiscard]] VolumeLimiter& limiter() { return limiter_; }
  [[nodiscard]] const VolumeLimiter& limiter() const { return limiter_; }
  [[nodiscard]] Reservations& reservations() { return reservations_; }
  // The reactor's thread.
  [[nodiscard]] VolumeCounters& counters(const Reactor& reactor) {
    const std::uint32_t number = reactor.options().number;
    return counters_[number < counters_.size() ? number : 0];
  }
  // Of all reactors together. Any thread.
  [[nodiscard]] VolumeCounts counts() const {
    VolumeCounts sum;
    for (const VolumeCounters& each : counters_) sum += each.counts();
    return sum;
  }

 private:
  engine::Volume& volume_;
  WriteOrder write_order_;
  BufferShare buffers_;
  VolumeLimiter limiter_;
  Reservations reservations_;
  std::vector<VolumeCounters> counters_;  // by the reactor's number
};

// A command is for that volume from now on, until it has been answered or dropped; `of`: which one
// it was for until now, maybe none.
inline void begin_command(BlockVolume*& of, BlockVolume* volume, const Reactor& reactor) {
  if (of == volume) return;
  if (of != nullptr) of->counters(reactor).moved();
  of = volume;
  if (of != nullptr) of->counters(reactor).began();
}

}  // namespace target::block
