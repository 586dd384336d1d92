// ItlNexus: what one nexus has with one logical unit (SAM-5, "I_T_L nexus"): its tasks there, what
// it is to be told, and its way to the volume's reservations.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "target/block/reservations.h"
#include "target/scsi/logical_unit.h"
#include "target/scsi/nexus_handle.h"
#include "target/scsi/task_counters.h"
#include "target/scsi/task_set.h"
#include "target/scsi/unit_attentions.h"

namespace target::scsi {

// Any thread, unless a member says otherwise. Shared by its nexus and its logical unit.
class ItlNexus final : public block::ReservationListener,
                       public std::enable_shared_from_this<ItlNexus> {
 public:
  ItlNexus(std::shared_ptr<LogicalUnit> unit, std::shared_ptr<NexusHandle> nexus,
           const block::PartyId& party)
      : unit_(std::move(unit)), nexus_(std::move(nexus)) {
    reservations_.emplace(unit_->volume().reservations(), party, *this);
  }
  ItlNexus(const ItlNexus&) = delete;
  ItlNexus& operator=(const ItlNexus&) = delete;

  [[nodiscard]] LogicalUnit& unit() const { return *unit_; }
  [[nodiscard]] block::BlockVolume& volume() const { return unit_->volume(); }
  [[nodiscard]] UnitAttentions& attentions() { return attentions_; }

  // What has begun or waits here is aborted, and not answered (TAS is 0); `ticket` is let go of
  // when all of it has ended. By another nexus's wish: then this one is told, if there was any.
  void abort_tasks(block::AbortTicket ticket);

  // The nexus's reactor only.
  [[nodiscard]] TaskSet& tasks() { return tasks_; }
  [[nodiscard]] block::ReservationPath& reservations() { return *reservations_; }
  // Its nexus has ended: with it a RESERVE of SPC-2. Not while it has tasks.
  void lose() { reservations_.reset(); }

  TaskCounters counters;

  void reservation_notice(block::ReservationNotice notice) noexcept override;
  void abort_commands(block::AbortTicket ticket) noexcept override;

 private:
  const std::shared_ptr<LogicalUnit> unit_;
  const std::shared_ptr<NexusHandle> nexus_;
  UnitAttentions attentions_;
  std::optional<block::ReservationPath> reservations_;
  TaskSet tasks_;
};

}  // namespace target::scsi
