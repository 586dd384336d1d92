// BlockVolume: what NVMe namespaces and SCSI LUNs share of one volume: its handle, identity, write
// order, share of the transfer buffers and reservations.
#pragma once

#include "engine/volume/volume.h"
#include "target/block/buffer_share.h"
#include "target/block/reservations.h"
#include "target/block/write_order.h"

namespace target::block {

// Limits that both protocols report, and hold commands to.
// One zeroing or deallocating request covers at most this much, so that no turn of a reactor is
// long.
inline constexpr engine::ByteCount largest_zeroing{1U << 30};
// What the disks below like: 4 KiB whatever the logical block is.
inline constexpr std::uint32_t preferred_granularity_bytes = 4096;

// One for each volume of the daemon, shared by every subsystem and target that exports it.
// Thread-safe.
class BlockVolume {
 public:
  explicit BlockVolume(engine::Volume& volume) : volume_(volume), reservations_(volume) {}
  BlockVolume(const BlockVolume&) = delete;
  BlockVolume& operator=(const BlockVolume&) = delete;

  [[nodiscard]] engine::Volume& volume() { return volume_; }
  [[nodiscard]] const engine::Volume& volume() const { return volume_; }
  [[nodiscard]] WriteOrder& write_order() { return write_order_; }
  [[nodiscard]] BufferShare& buffers() { return buffers_; }
  [[nodiscard]] const BufferShare& buffers() const { return buffers_; }
  [[nodiscard]] Reservations& reservations() { return reservations_; }

 private:
  engine::Volume& volume_;
  WriteOrder write_order_;
  BufferShare buffers_;
  Reservations reservations_;
};

}  // namespace target::block
