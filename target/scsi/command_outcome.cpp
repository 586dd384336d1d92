#include "target/scsi/command_outcome.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace target::scsi {

using block::CommandKind;
using block::CommandOutcome;
using protocol::scsi::Sense;
using protocol::scsi::SenseKey;
using protocol::scsi::Status;

namespace {

// By operation code: a table, as it is looked at for every command.
constexpr auto kinds_by_code = [] {
  std::array<CommandKind, 256> kinds{};
  for (CommandKind& kind : kinds) kind = CommandKind::other;
  // READ(6), (10), (12), (16)
  for (const std::size_t code : {0x08, 0x28, 0xa8, 0x88}) kinds[code] = CommandKind::read;
  // WRITE(6), (10), (12), (16); WRITE AND VERIFY(10), (12), (16); COMPARE AND WRITE
  for (const std::size_t code : {0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x89}) {
    kinds[code] = CommandKind::write;
  }
  return kinds;
}();

}  // namespace

CommandKind counted_kind(std::span<const std::byte> cdb) {
  return kinds_by_code[std::to_integer<std::uint8_t>(cdb.front())];
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
