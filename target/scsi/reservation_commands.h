// ReservationCommands: executes PERSISTENT RESERVE IN and OUT, RESERVE and RELEASE of one nexus
// (SPC-4; SPC-2 for the latter two).
#pragma once

#include <memory>

#include "protocol/scsi/command.h"
#include "target/scsi/answer_sink.h"
#include "target/scsi/itl_nexus.h"
#include "target/scsi/options.h"

namespace target::scsi {

class TargetDevice;

// Reactor thread only. As BlockCommands: `ready` when the task's data or buffer is there.
class ReservationCommands {
 public:
  // All but `nexus` outlive it.
  ReservationCommands(AnswerSink& sink, const TargetDevice& device, const NexusIdentity& identity,
                      std::shared_ptr<NexusHandle> nexus)
      : sink_(sink), device_(device), identity_(identity), nexus_(std::move(nexus)) {}
  ReservationCommands(const ReservationCommands&) = delete;
  ReservationCommands& operator=(const ReservationCommands&) = delete;

  void run(TaskPermit permit, const protocol::scsi::PersistentReserveIn& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::PersistentReserveOut& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReserveUnit& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReleaseUnit& command, bool ready);

 private:
  void answer(TaskPermit permit, block::ReservationOutcome outcome);
  void answer(TaskPermit permit, block::ReservationVerdict verdict);

  AnswerSink& sink_;
  const TargetDevice& device_;
  const NexusIdentity& identity_;
  const std::shared_ptr<NexusHandle> nexus_;
};

}  // namespace target::scsi
