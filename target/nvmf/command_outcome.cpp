#include "target/nvmf/command_outcome.h"

#include "protocol/nvme/io_command.h"

namespace target::nvmf {

using block::CommandKind;
using block::CommandOutcome;
using protocol::nvme::StatusCodeType;

CommandKind counted_kind(std::uint8_t opcode) {
  using Opcode = protocol::nvme::IoOpcode;
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::read:
    case Opcode::compare:
      return CommandKind::read;
    case Opcode::write:
      return CommandKind::write;
    case Opcode::flush:
    case Opcode::write_uncorrectable:
    case Opcode::write_zeroes:
    case Opcode::dataset_management:
    case Opcode::verify:
    case Opcode::copy:
    case Opcode::reservation_register:
    case Opcode::reservation_report:
    case Opcode::reservation_acquire:
    case Opcode::reservation_release:
      break;
  }
  return CommandKind::other;
}

CommandOutcome counted_failure(protocol::nvme::Status answered) {
  namespace status = protocol::nvme::status;
  const auto is_one_of = [answered](auto... statuses) { return (answered.is(statuses) || ...); };
  if (is_one_of(status::write_fault, status::unrecovered_read_error, status::internal_error)) {
    return CommandOutcome::media;
  }
  if (answered.type == StatusCodeType::path ||
      is_one_of(status::namespace_not_ready, status::command_interrupted,
                status::transient_transport_error)) {
    return CommandOutcome::unavailable;
  }
  if (is_one_of(status::abort_requested, status::aborted_queue_deleted,
                status::aborted_preempted)) {
    return CommandOutcome::aborted;
  }
  if (answered.is(status::capacity_exceeded)) return CommandOutcome::capacity;
  return CommandOutcome::refused;
}

}  // namespace target::nvmf
