// LogicalUnit: a volume under a LUN of one target device: what its nexuses share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "protocol/scsi/mode_page.h"
#include "protocol/scsi/sense.h"
#include "target/block/block_volume.h"
#include "target/block/reservations.h"
#include "target/scsi/task_counters.h"

namespace target::scsi {

class ItlNexus;

// Any thread. Kept by a shared_ptr: by its device's table, and by nexuses until their tasks here
// have ended, even when the configuration has taken it away. Holds its volume.
class LogicalUnit {
 public:
  LogicalUnit(std::uint16_t lun, block::BlockVolume& volume);
  LogicalUnit(const LogicalUnit&) = delete;
  LogicalUnit& operator=(const LogicalUnit&) = delete;
  // No nexus is left.
  ~LogicalUnit();

  // Never change.
  [[nodiscard]] std::uint16_t lun() const { return lun_; }
  [[nodiscard]] block::BlockVolume& volume() const { return volume_; }

  // For each command: loads.
  [[nodiscard]] bool descriptor_sense() const {
    return descriptor_sense_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool write_protect() const {
    return software_write_protect_.load(std::memory_order_acquire) ||
           !volume_writable_.load(std::memory_order_acquire);
  }

  [[nodiscard]] block::AtomicWrites atomic_writes() const {
    return atomic_writes_.load(std::memory_order_relaxed);
  }
  // The operator's doing, not a host's.
  [[nodiscard]] bool volume_writable() const {
    return volume_writable_.load(std::memory_order_acquire);
  }
  // Not kept anywhere (MODE SELECT with SP is refused): a reset brings the defaults back.
  [[nodiscard]] protocol::scsi::ModeState mode() const;
  // By the nexus of `by`; the others are told if it changes anything.
  void set_mode(const protocol::scsi::ModeState& mode, const ItlNexus& by);

  // Compares with the volume; nexuses get unit attentions for what has changed.
  void refresh();

  void attach(std::shared_ptr<ItlNexus> nexus);
  void detach(const ItlNexus& nexus);
  // For every nexus but one.
  void establish(protocol::scsi::SenseCode unit_attention, const ItlNexus* but = nullptr);
  // LOGICAL UNIT RESET and target resets (SAM-5, "Logical unit reset"): every nexus's tasks are
  // aborted, mode parameters are the defaults again, a RESERVE of SPC-2 has ended, and every nexus
  // is told. `ticket` is let go of when the last of the tasks has ended.
  void reset(const block::AbortTicket& ticket, protocol::scsi::SenseCode unit_attention);

  [[nodiscard]] TaskCounts counts() const;
  [[nodiscard]] std::size_t nexuses() const;

 private:
  [[nodiscard]] std::vector<std::shared_ptr<ItlNexus>> attached() const;

  const std::uint16_t lun_;
  block::BlockVolume& volume_;
  const engine::HoldCount::Hold hold_{volume_.holds().take()};
  std::atomic<bool> descriptor_sense_{false};
  std::atomic<bool> software_write_protect_{false};
  std::atomic<bool> volume_writable_{true};
  std::atomic<block::AtomicWrites> atomic_writes_{};

  // Guards everything below, and changes of the above. After TargetDevice::mutex_; before
  // UnitAttentions' and what posts to a reactor.
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<ItlNexus>> nexuses_;
  engine::BlockCount size_;
  engine::Uuid uuid_;
  TaskCounts ended_;  // of nexuses that have been
};

}  // namespace target::scsi
