#include "target/scsi/command_outcome.h"

#include <cstdint>

namespace target::scsi {

using block::CommandKind;
using block::CommandOutcome;
using protocol::scsi::Sense;
using protocol::scsi::SenseKey;
using protocol::scsi::Status;

CommandKind counted_kind(std::span<const std::byte> cdb) {
  switch (std::to_integer<std::uint8_t>(cdb.front())) {
    case 0x08:  // READ(6), (10), (12), (16)
    case 0x28:
    case 0xa8:
    case 0x88:
      return CommandKind::read;
    case 0x0a:  // WRITE(6), (10), (12), (16)
    case 0x2a:
    case 0xaa:
    case 0x8a:
    case 0x2e:  // WRITE AND VERIFY(10), (12), (16)
    case 0xae:
    case 0x8e:
    case 0x89:  // COMPARE AND WRITE
      return CommandKind::write;
    default:
      return CommandKind::other;
  }
}

namespace {

CommandOutcome counted_outcome_of(const Sense& sense) {
  switch (sense.key) {
    case SenseKey::no_sense:
    case SenseKey::recovered_error:
    case SenseKey::completed:
      return CommandOutcome::ok;
    case SenseKey::medium_error:
    case SenseKey::hardware_error:
      return CommandOutcome::media;
    case SenseKey::not_ready:
    case SenseKey::unit_attention:
    case SenseKey::aborted_command:
      return CommandOutcome::unavailable;
    case SenseKey::data_protect:
      return sense.code == protocol::scsi::sense::space_allocation_failed.code
                 ? CommandOutcome::capacity
                 : CommandOutcome::refused;
    case SenseKey::illegal_request:
    case SenseKey::blank_check:
    case SenseKey::vendor_specific:
    case SenseKey::copy_aborted:
    case SenseKey::volume_overflow:
    case SenseKey::miscompare:
      break;
  }
  return CommandOutcome::refused;
}

}  // namespace

CommandOutcome counted_outcome(Status status, const Sense* sense) {
  switch (status) {
    case Status::good:
    case Status::condition_met:
      return CommandOutcome::ok;
    case Status::busy:
    case Status::task_set_full:
      return CommandOutcome::unavailable;
    case Status::task_aborted:
      return CommandOutcome::aborted;
    case Status::check_condition:
      return sense == nullptr ? CommandOutcome::media : counted_outcome_of(*sense);
    case Status::reservation_conflict:
    case Status::aca_active:
      break;
  }
  return CommandOutcome::refused;
}

}  // namespace target::scsi
