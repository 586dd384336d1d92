// The one table of what is served: the parser takes opcodes and allowed bits from it, REPORT
// SUPPORTED OPERATION CODES and the Third-party Copy page show it, and executors ask it what a
// command may touch. So they cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocol/scsi/command.h"

namespace protocol::scsi {

// What a command does to the blocks.
enum class Touches : std::uint8_t {
  nothing,
  reads,    // reads blocks, or tells something of them
  changes,  // changes blocks, or may; refused while the unit is write protected. (Not EXTENDED
            // COPY: what it changes may be another unit.)
};

// Whether a nexus that has no right by a persistent reservation may use the command (SPC-4, table
// "SPC commands that are allowed in the presence of various reservations"; SBC-3, likewise).
enum class ReservationRule : std::uint8_t {
  always,     // whoever holds what
  as_read,    // a conflict with Exclusive Access kinds
  as_write,   // a conflict with Write Exclusive kinds too
  by_action,  // PERSISTENT RESERVE OUT, RESERVE, RELEASE: their own business
};

// When a command is there at all.
enum class Offered : std::uint8_t { always, with_unmap, with_write_atomic, with_copy };

inline constexpr std::uint8_t no_service_action = 0xff;

struct CommandDescription {
  std::uint8_t opcode = 0;
  std::uint8_t service_action = no_service_action;  // byte 1, bits 4:0
  std::uint8_t cdb_bytes = 0;                       // 6, 10, 12 or 16
  // CDB USAGE DATA: for each bit whether it may be 1; opcode and service action as they are.
  std::array<std::uint8_t, 16> usage{};
  const char* name = "";  // for log lines: "write same 16"
  Touches touches = Touches::nothing;
  ReservationRule reservation = ReservationRule::always;
  Offered offered = Offered::always;
  // Served without, and before, a logical unit: INQUIRY, REPORT LUNS, REQUEST SENSE. They do not
  // report a unit attention either (SAM-5, "Unit attention condition").
  bool of_target = false;
  // Served by the REPORT LUNS well-known logical unit.
  bool of_well_known_unit = false;
  // Of a CDB whose bits have been held against `usage`.
  Parsed<Command> (*parse)(Cdb) = nullptr;

  [[nodiscard]] constexpr bool has_service_action() const {
    return service_action != no_service_action;
  }
};

// By opcode, then service action.
[[nodiscard]] std::span<const CommandDescription> command_table();
[[nodiscard]] bool is_offered(const CommandDescription& row, const UnitFeatures& features);
// Whether any command with this opcode is.
[[nodiscard]] bool is_opcode_offered(std::uint8_t opcode, const UnitFeatures& features);
// nullptr: the opcode, or the service action of it, is unknown. Whether it is offered is not asked.
[[nodiscard]] const CommandDescription* find_command(Cdb cdb);
[[nodiscard]] const CommandDescription* find_command(std::uint8_t opcode,
                                                     std::uint16_t service_action);
// Whether commands with this opcode have service actions; false for unknown opcodes.
[[nodiscard]] bool has_service_actions(std::uint8_t opcode);

// The row's rule, or what the command's fields make of it: START STOP UNIT that stops, PREVENT
// ALLOW MEDIUM REMOVAL that prevents (as_write).
[[nodiscard]] ReservationRule reservation_rule(const CommandDescription& row,
                                               const Command& command);

}  // namespace protocol::scsi
