#include "protocol/scsi/command_table.h"

#include <algorithm>

#include "protocol/scsi/command_parsers.h"

namespace protocol::scsi {

namespace {

using Usage = std::array<std::uint8_t, 16>;
constexpr auto nothing = Touches::nothing;
constexpr auto reads = Touches::reads;
constexpr auto changes = Touches::changes;
constexpr auto always = ReservationRule::always;
constexpr auto as_read = ReservationRule::as_read;
constexpr auto as_write = ReservationRule::as_write;
constexpr auto by_action = ReservationRule::by_action;

// The group of an opcode (its three highest bits) says how long the CDB is (SPC-4, "Operation
// code").
constexpr std::uint8_t length_of(std::uint8_t opcode) {
  switch (opcode >> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case 4:
      return 16;
    default:
      return 12;
  }
}

using Parser = Parsed<Command> (*)(Cdb);

constexpr CommandDescription row(const Usage& usage, const char* name, Touches touches,
                                 ReservationRule reservation, Parser parse,
                                 Offered offered = Offered::always) {
  return {.opcode = usage[0],
          .cdb_bytes = length_of(usage[0]),
          .usage = usage,
          .name = name,
          .touches = touches,
          .reservation = reservation,
          .offered = offered,
          .parse = parse};
}
// Of an opcode with service actions: byte 1 of `usage` has it in bits 4:0.
constexpr CommandDescription action(const Usage& usage, const char* name, Touches touches,
                                    ReservationRule reservation, Parser parse,
                                    Offered offered = Offered::always) {
  CommandDescription made = row(usage, name, touches, reservation, parse, offered);
  made.service_action = usage[1] & 0x1f;
  return made;
}
constexpr CommandDescription of_target(CommandDescription made) {
  made.of_target = true;
  made.of_well_known_unit = true;
  return made;
}
constexpr CommandDescription of_well_known_unit(CommandDescription made) {
  made.of_well_known_unit = true;
  return made;
}

// Each row's first byte is the opcode, and its last of CONTROL, of which no bit may be set (NACA is
// not supported). GROUP NUMBER (byte 6 of 10, byte 10 of 12, byte 14 of 16 bytes) is accepted, and
// groups nothing; FUA_NV (bit 1 of byte 1 of READ and WRITE), obsolete since SBC-3, asks for less
// than what every command does.
constexpr CommandDescription table[] = {
    of_well_known_unit(row({0x00}, "test unit ready", nothing, always, parsers::test_unit_ready)),
    of_target(
        row({0x03, 0x01, 0, 0, 0xff}, "request sense", nothing, always, parsers::request_sense)),
    row({0x08, 0x1f, 0xff, 0xff, 0xff}, "read 6", reads, as_read, parsers::read_6),
    row({0x0a, 0x1f, 0xff, 0xff, 0xff}, "write 6", changes, as_write, parsers::write_6),
    of_target(row({0x12, 0x01, 0xff, 0xff, 0xff}, "inquiry", nothing, always, parsers::inquiry)),
    row({0x15, 0x10, 0, 0, 0xff}, "mode select 6", nothing, as_write, parsers::mode_select_6),
    row({0x16}, "reserve 6", nothing, by_action, parsers::reserve_unit),
    row({0x17}, "release 6", nothing, by_action, parsers::release_unit),
    row({0x1a, 0x08, 0xff, 0xff, 0xff}, "mode sense 6", nothing, as_read, parsers::mode_sense_6),
    row({0x1b, 0x01, 0, 0, 0x05}, "start stop unit", nothing, always, parsers::start_stop_unit),
    row({0x1d, 0x17}, "send diagnostic", nothing, as_write, parsers::send_diagnostic),
    row({0x1e, 0, 0, 0, 0x01}, "prevent allow medium removal", nothing, always,
        parsers::prevent_allow),
    row({0x25}, "read capacity 10", nothing, always, parsers::read_capacity_10),
    row({0x28, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "read 10", reads, as_read,
        parsers::read_10),
    row({0x2a, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "write 10", changes, as_write,
        parsers::write_10),
    row({0x2e, 0x12, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "write and verify 10", changes,
        as_write, parsers::write_and_verify_10),
    row({0x2f, 0x16, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "verify 10", reads, as_read,
        parsers::verify_10),
    row({0x34, 0x02, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "prefetch 10", reads, as_read,
        parsers::prefetch_10),
    row({0x35, 0x02, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "synchronize cache 10", nothing,
        as_write, parsers::synchronize_cache_10),
    row({0x37, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff}, "read defect data 10", nothing, as_read,
        parsers::read_defect_data_10),
    row({0x3b, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "write buffer", nothing, as_write,
        parsers::write_buffer),
    row({0x3c, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "read buffer 10", nothing, as_write,
        parsers::read_buffer_10),
    row({0x41, 0x08, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff}, "write same 10", changes, as_write,
        parsers::write_same_10),
    row({0x42, 0, 0, 0, 0, 0, 0x1f, 0xff, 0xff}, "unmap", changes, as_write, parsers::unmap,
        Offered::with_unmap),
    row({0x4d, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff}, "log sense", nothing, always,
        parsers::log_sense),
    row({0x55, 0x10, 0, 0, 0, 0, 0, 0xff, 0xff}, "mode select 10", nothing, as_write,
        parsers::mode_select_10),
    row({0x56}, "reserve 10", nothing, by_action, parsers::reserve_unit),
    row({0x57}, "release 10", nothing, by_action, parsers::release_unit),
    row({0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}, "mode sense 10", nothing, as_read,
        parsers::mode_sense_10),
    action({0x5e, 0x00, 0, 0, 0, 0, 0, 0xff, 0xff}, "persistent reserve in, read keys", nothing,
           always, parsers::persistent_reserve_in),
    action({0x5e, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff}, "persistent reserve in, read reservation",
           nothing, always, parsers::persistent_reserve_in),
    action({0x5e, 0x02, 0, 0, 0, 0, 0, 0xff, 0xff}, "persistent reserve in, report capabilities",
           nothing, always, parsers::persistent_reserve_in),
    action({0x5e, 0x03, 0, 0, 0, 0, 0, 0xff, 0xff}, "persistent reserve in, read full status",
           nothing, always, parsers::persistent_reserve_in),
    action({0x5f, 0x00, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, "persistent reserve out, register",
           nothing, by_action, parsers::persistent_reserve_out),
    action({0x5f, 0x01, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, "persistent reserve out, reserve",
           nothing, by_action, parsers::persistent_reserve_out),
    action({0x5f, 0x02, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, "persistent reserve out, release",
           nothing, by_action, parsers::persistent_reserve_out),
    action({0x5f, 0x03, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, "persistent reserve out, clear",
           nothing, by_action, parsers::persistent_reserve_out),
    action({0x5f, 0x04, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, "persistent reserve out, preempt",
           nothing, by_action, parsers::persistent_reserve_out),
    action({0x5f, 0x05, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "persistent reserve out, preempt and abort", nothing, by_action,
           parsers::persistent_reserve_out),
    action({0x5f, 0x06, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "persistent reserve out, register and ignore existing key", nothing, by_action,
           parsers::persistent_reserve_out),
    action({0x5f, 0x07, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "persistent reserve out, register and move", nothing, by_action,
           parsers::persistent_reserve_out),
    action({0x83, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, "extended copy", nothing,
           as_write, parsers::extended_copy, Offered::with_copy),
    action({0x84, 0x00, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "receive copy results, copy status", nothing, as_write, parsers::receive_copy_results,
           Offered::with_copy),
    action({0x84, 0x03, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "receive copy results, operating parameters", nothing, as_write,
           parsers::receive_copy_results, Offered::with_copy),
    action({0x84, 0x04, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "receive copy results, failed segment details", nothing, as_write,
           parsers::receive_copy_results, Offered::with_copy),
    row({0x88, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "read 16", reads, as_read, parsers::read_16),
    row({0x89, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0x1f},
        "compare and write", changes, as_write, parsers::compare_and_write),
    row({0x8a, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "write 16", changes, as_write, parsers::write_16),
    row({0x8b, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "orwrite 16", changes, as_write, parsers::or_write_16),
    row({0x8e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "write and verify 16", changes, as_write, parsers::write_and_verify_16),
    row({0x8f, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "verify 16", reads, as_read, parsers::verify_16),
    row({0x90, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "prefetch 16", reads, as_read, parsers::prefetch_16),
    row({0x91, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "synchronize cache 16", nothing, as_write, parsers::synchronize_cache_16),
    row({0x93, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f},
        "write same 16", changes, as_write, parsers::write_same_16),
    row({0x9c, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0x1f},
        "write atomic 16", changes, as_write, parsers::write_atomic_16, Offered::with_write_atomic),
    action({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, "read capacity 16",
           nothing, always, parsers::read_capacity_16),
    action({0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
           "get lba status", reads, as_read, parsers::get_lba_status),
    of_target(row({0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, "report luns", nothing, always,
                  parsers::report_luns)),
    action({0xa3, 0x2a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, "report target port groups", nothing,
           always, parsers::report_target_port_groups),
    action({0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
           "report supported operation codes", nothing, as_read, parsers::report_supported_opcodes),
    action({0xa3, 0x0d, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
           "report supported task management functions", nothing, as_read,
           parsers::report_supported_task_management),
    action({0xa4, 0x0a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, "set target port groups", nothing,
           as_write, parsers::set_target_port_groups),
    row({0xa8, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}, "read 12", reads,
        as_read, parsers::read_12),
    row({0xaa, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}, "write 12", changes,
        as_write, parsers::write_12),
    row({0xae, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}, "write and verify 12",
        changes, as_write, parsers::write_and_verify_12),
    row({0xaf, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}, "verify 12", reads,
        as_read, parsers::verify_12),
    row({0xb7, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "read defect data 12",
        nothing, as_read, parsers::read_defect_data_12),
};

constexpr std::size_t row_count = std::size(table);
static_assert(row_count < 255);

// For each opcode its first row, or row_count.
constexpr std::array<std::uint8_t, 256> first_rows = [] {
  std::array<std::uint8_t, 256> first{};
  first.fill(static_cast<std::uint8_t>(row_count));
  for (std::size_t i = row_count; i-- > 0;) first[table[i].opcode] = static_cast<std::uint8_t>(i);
  return first;
}();

constexpr bool is_ascending = [] {
  for (std::size_t i = 1; i < row_count; ++i) {
    const auto& a = table[i - 1];
    const auto& b = table[i];
    if (a.opcode != b.opcode) continue;
    if (!a.has_service_action() || !b.has_service_action()) return false;
  }
  return true;
}();
static_assert(is_ascending, "an opcode is there once, or with service actions");

}  // namespace

std::span<const CommandDescription> command_table() { return table; }

bool is_offered(const CommandDescription& row, const UnitFeatures& features) {
  switch (row.offered) {
    case Offered::always:
      return true;
    case Offered::with_unmap:
      return features.unmap;
    case Offered::with_write_atomic:
      return features.write_atomic;
    case Offered::with_copy:
      return features.copy;
  }
  return false;
}

bool is_opcode_offered(std::uint8_t opcode, const UnitFeatures& features) {
  // Of an opcode all service actions are offered, or none.
  const std::size_t first = first_rows[opcode];
  return first < row_count && is_offered(table[first], features);
}

const CommandDescription* find_command(std::uint8_t opcode, std::uint16_t service_action) {
  for (std::size_t i = first_rows[opcode]; i < row_count && table[i].opcode == opcode; ++i) {
    if (!table[i].has_service_action() || table[i].service_action == service_action) {
      return &table[i];
    }
  }
  return nullptr;
}

const CommandDescription* find_command(Cdb cdb) {
  return find_command(static_cast<std::uint8_t>(cdb[0]), static_cast<std::uint8_t>(cdb[1]) & 0x1f);
}

bool has_service_actions(std::uint8_t opcode) {
  const std::size_t first = first_rows[opcode];
  return first < row_count && table[first].has_service_action();
}

ReservationRule reservation_rule(const CommandDescription& row, const Command& command) {
  // SBC-3, table of commands allowed in the presence of reservations, and SPC-4's.
  if (const auto* power = std::get_if<StartStopUnit>(&command)) {
    return power->start ? always : as_write;
  }
  if (const auto* removal = std::get_if<PreventAllowMediumRemoval>(&command)) {
    return removal->prevent ? as_write : always;
  }
  return row.reservation;
}

}  // namespace protocol::scsi
