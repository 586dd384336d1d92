// UnitCommands: executes the commands of one nexus that are answered from memory: what a logical
// unit and its target device are, and how they are set (SPC-4, SBC-4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/scsi/command.h"
#include "target/scsi/answer_sink.h"
#include "target/scsi/itl_nexus.h"
#include "target/scsi/options.h"

namespace target::scsi {

class TargetDevice;

// Reactor thread only. As BlockCommands: `ready` when the task's data or buffer is there. Only
// commands of the target (INQUIRY, REPORT LUNS, REQUEST SENSE, TEST UNIT READY) come with a task
// whose `itl` is null: those to LUNs that name no unit.
class UnitCommands {
 public:
  // All outlive it.
  UnitCommands(AnswerSink& sink, TargetDevice& device, const NexusIdentity& identity)
      : sink_(sink), device_(device), identity_(identity) {}
  UnitCommands(const UnitCommands&) = delete;
  UnitCommands& operator=(const UnitCommands&) = delete;

  void run(TaskPermit permit, const protocol::scsi::Inquiry& command, bool ready);
  // `units`: those that the initiator sees, ascending; a waiting 3F/0E has been told now.
  void run(TaskPermit permit, const protocol::scsi::ReportLuns& command, bool ready,
           std::span<const std::shared_ptr<ItlNexus>> units);
  void run(TaskPermit permit, const protocol::scsi::RequestSense& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::TestUnitReady& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReadCapacity10& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReadCapacity16& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::GetLbaStatus& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReadDefectData& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ModeSense& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ModeSelect& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::LogSense& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::SendDiagnostic& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReadBuffer& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::WriteBuffer& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::StartStopUnit& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::PreventAllowMediumRemoval& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReportSupportedOpcodes& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReportSupportedTaskManagement& command,
           bool ready);
  void run(TaskPermit permit, const protocol::scsi::ReportTargetPortGroups& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::SetTargetPortGroups& command, bool ready);

 private:
  AnswerSink& sink_;
  TargetDevice& device_;
  const NexusIdentity& identity_;
  // What WRITE BUFFER has left last, and at which unit: one buffer for a nexus, as memory is
  // bounded. No other nexus overwrites it.
  std::vector<std::byte> echo_;
  std::uint16_t echo_lun_ = 0;
};

// What a unit offers beyond what every one does; all of it for LUNs that name none.
[[nodiscard]] protocol::scsi::UnitFeatures features_of(const ItlNexus* itl);

}  // namespace target::scsi
