// Commands of every device type (SPC-4, SPC-5; RESERVE and RELEASE of SPC-2).
#include <boost/endian/conversion.hpp>

#include "protocol/scsi/command_parsers.h"

namespace protocol::scsi::parsers {

namespace {

std::uint8_t byte_of(Cdb cdb, std::size_t byte) { return static_cast<std::uint8_t>(cdb[byte]); }
std::uint16_t big16_of(Cdb cdb, std::size_t byte) {
  return boost::endian::load_big_u16(reinterpret_cast<const unsigned char*>(cdb.data()) + byte);
}
std::uint32_t big32_of(Cdb cdb, std::size_t byte) {
  return boost::endian::load_big_u32(reinterpret_cast<const unsigned char*>(cdb.data()) + byte);
}
std::uint8_t service_action_of(Cdb cdb) { return byte_of(cdb, 1) & 0x1f; }

ModeSense mode_sense(Cdb cdb) {
  return {.block_descriptor = (byte_of(cdb, 1) & 0x08) == 0,
          .control = static_cast<ModePageControl>(byte_of(cdb, 2) >> 6),
          .page = static_cast<std::uint8_t>(byte_of(cdb, 2) & 0x3f),
          .subpage = byte_of(cdb, 3)};
}

// The types of SPC-4, "Persistent reservation type".
constexpr bool is_reservation_type(std::uint8_t type) {
  return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

}  // namespace

Parsed<Command> test_unit_ready(Cdb) { return Command{TestUnitReady{}}; }
Parsed<Command> request_sense(Cdb cdb) {
  return Command{RequestSense{.descriptor_format = (byte_of(cdb, 1) & 0x01) != 0,
                              .allocation_bytes = byte_of(cdb, 4)}};
}
Parsed<Command> inquiry(Cdb cdb) {
  const bool vital_product_data = (byte_of(cdb, 1) & 0x01) != 0;
  if (!vital_product_data && byte_of(cdb, 2) != 0) return sense::invalid_cdb(2);
  return Command{Inquiry{.vital_product_data = vital_product_data,
                         .page = byte_of(cdb, 2),
                         .allocation_bytes = big16_of(cdb, 3)}};
}

Parsed<Command> report_luns(Cdb cdb) {
  const auto select = static_cast<ReportLuns::Select>(byte_of(cdb, 2));
  switch (select) {
    case ReportLuns::Select::addressable:
    case ReportLuns::Select::well_known:
    case ReportLuns::Select::all:
    case ReportLuns::Select::administrative:
    case ReportLuns::Select::administrative_all:
    case ReportLuns::Select::subsidiary:
      return Command{ReportLuns{.select = select, .allocation_bytes = big32_of(cdb, 6)}};
  }
  return sense::invalid_cdb(2);
}

Parsed<Command> mode_sense_6(Cdb cdb) {
  ModeSense made = mode_sense(cdb);
  made.allocation_bytes = byte_of(cdb, 4);
  return Command{made};
}
Parsed<Command> mode_sense_10(Cdb cdb) {
  ModeSense made = mode_sense(cdb);
  made.ten_byte_cdb = true;
  made.long_lba_accepted = (byte_of(cdb, 1) & 0x10) != 0;
  made.allocation_bytes = big16_of(cdb, 7);
  return Command{made};
}
Parsed<Command> mode_select_6(Cdb cdb) {
  return Command{
      ModeSelect{.page_format = (byte_of(cdb, 1) & 0x10) != 0, .parameter_bytes = byte_of(cdb, 4)}};
}
Parsed<Command> mode_select_10(Cdb cdb) {
  return Command{ModeSelect{.ten_byte_cdb = true,
                            .page_format = (byte_of(cdb, 1) & 0x10) != 0,
                            .parameter_bytes = big16_of(cdb, 7)}};
}

Parsed<Command> start_stop_unit(Cdb cdb) {
  return Command{StartStopUnit{.immediate = (byte_of(cdb, 1) & 0x01) != 0,
                               .start = (byte_of(cdb, 4) & 0x01) != 0,
                               .no_flush = (byte_of(cdb, 4) & 0x04) != 0}};
}
Parsed<Command> prevent_allow(Cdb cdb) {
  return Command{PreventAllowMediumRemoval{.prevent = (byte_of(cdb, 4) & 0x01) != 0}};
}

Parsed<Command> report_supported_opcodes(Cdb cdb) {
  const std::uint8_t options = byte_of(cdb, 2) & 0x07;
  if (options > static_cast<std::uint8_t>(ReportSupportedOpcodes::Options::one_either)) {
    return sense::invalid_cdb(2, 2);
  }
  return Command{
      ReportSupportedOpcodes{.timeouts = (byte_of(cdb, 2) & 0x80) != 0,
                             .options = static_cast<ReportSupportedOpcodes::Options>(options),
                             .opcode = byte_of(cdb, 3),
                             .service_action = big16_of(cdb, 4),
                             .allocation_bytes = big32_of(cdb, 6)}};
}
Parsed<Command> report_supported_task_management(Cdb cdb) {
  return Command{ReportSupportedTaskManagement{.extended = (byte_of(cdb, 2) & 0x80) != 0,
                                               .allocation_bytes = big32_of(cdb, 6)}};
}
Parsed<Command> log_sense(Cdb cdb) {
  return Command{LogSense{.control = static_cast<LogSense::Control>(byte_of(cdb, 2) >> 6),
                          .page = static_cast<std::uint8_t>(byte_of(cdb, 2) & 0x3f),
                          .subpage = byte_of(cdb, 3),
                          .first_parameter = big16_of(cdb, 5),
                          .allocation_bytes = big16_of(cdb, 7)}};
}

Parsed<Command> send_diagnostic(Cdb cdb) {
  return Command{SendDiagnostic{.self_test = (byte_of(cdb, 1) & 0x04) != 0}};
}
// BUFFER ID and BUFFER OFFSET mean nothing in the modes that are served, and are not looked at.
Parsed<Command> read_buffer_10(Cdb cdb) {
  const auto mode = static_cast<ReadBuffer::Mode>(byte_of(cdb, 1));
  switch (mode) {
    case ReadBuffer::Mode::descriptor:
    case ReadBuffer::Mode::echo:
    case ReadBuffer::Mode::echo_descriptor:
      return Command{ReadBuffer{.mode = mode, .allocation_bytes = big32_of(cdb, 5) & 0xff'ffff}};
  }
  return sense::invalid_cdb(1, 4);
}
Parsed<Command> write_buffer(Cdb cdb) {
  if (byte_of(cdb, 1) != static_cast<std::uint8_t>(ReadBuffer::Mode::echo)) {
    return sense::invalid_cdb(1, 4);
  }
  const std::uint32_t bytes = big32_of(cdb, 5) & 0xff'ffff;
  if (bytes > echo_buffer_bytes) return sense::invalid_cdb(6);
  return Command{WriteBuffer{.parameter_bytes = bytes}};
}

Parsed<Command> reserve_unit(Cdb) { return Command{ReserveUnit{}}; }
Parsed<Command> release_unit(Cdb) { return Command{ReleaseUnit{}}; }

Parsed<Command> persistent_reserve_in(Cdb cdb) {
  return Command{PersistentReserveIn{
      .action = static_cast<PersistentReserveIn::Action>(service_action_of(cdb)),
      .allocation_bytes = big16_of(cdb, 7)}};
}
Parsed<Command> persistent_reserve_out(Cdb cdb) {
  using Action = PersistentReserveOut::Action;
  PersistentReserveOut made{.action = static_cast<Action>(service_action_of(cdb)),
                            .parameter_bytes = big32_of(cdb, 5)};
  switch (made.action) {
    case Action::reserve:
    case Action::release:
    case Action::preempt:
    case Action::preempt_and_abort:
      // SCOPE: the logical unit, 0h; the others are obsolete.
      if ((byte_of(cdb, 2) >> 4) != 0) return sense::invalid_cdb(2, 7);
      made.type = byte_of(cdb, 2) & 0x0f;
      if (!is_reservation_type(made.type)) return sense::invalid_cdb(2, 3);
      break;
    case Action::register_key:
    case Action::clear:
    case Action::register_and_ignore_existing_key:
    case Action::register_and_move:
      break;  // "SCOPE and TYPE are ignored"
  }
  return Command{made};
}

Parsed<Command> report_target_port_groups(Cdb cdb) {
  return Command{ReportTargetPortGroups{.extended_header = (byte_of(cdb, 1) & 0x20) != 0,
                                        .allocation_bytes = big32_of(cdb, 6)}};
}
Parsed<Command> set_target_port_groups(Cdb cdb) {
  return Command{SetTargetPortGroups{.parameter_bytes = big32_of(cdb, 6)}};
}

Parsed<Command> extended_copy(Cdb cdb) {
  return Command{ExtendedCopy{.parameter_bytes = big32_of(cdb, 10)}};
}
Parsed<Command> receive_copy_results(Cdb cdb) {
  return Command{
      ReceiveCopyResults{.action = static_cast<ReceiveCopyResults::Action>(service_action_of(cdb)),
                         .list_id = byte_of(cdb, 2),
                         .allocation_bytes = big32_of(cdb, 10)}};
}

}  // namespace protocol::scsi::parsers
