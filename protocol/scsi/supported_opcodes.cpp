#include "protocol/scsi/supported_opcodes.h"

#include "protocol/scsi/command_table.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SPC-4, "Command descriptor format".
struct CommandDescriptor {
  std::uint8_t opcode;
  std::uint8_t reserved1;
  wire::be16 service_action;
  std::uint8_t reserved4;
  std::uint8_t flags;  // CTDP 1, SERVACTV 0
  wire::be16 cdb_bytes;
};
static_assert(wire::is_wire_struct<CommandDescriptor, 8>);

// SPC-4, "Command timeouts descriptor": 0 is "not indicated". How long a command may take is the
// pool's disks' business, and no bound on it is known here.
struct TimeoutsDescriptor {
  wire::be16 length;
  std::uint8_t reserved2;
  std::uint8_t command_specific;
  wire::be32 nominal_seconds;
  wire::be32 recommended_seconds;
};
static_assert(wire::is_wire_struct<TimeoutsDescriptor, 12>);

// SPC-4, "One_command parameter data format".
struct OneCommandHeader {
  std::uint8_t reserved0;
  std::uint8_t support;  // CTDP 7, SUPPORT 2:0
  wire::be16 cdb_bytes;
};
static_assert(wire::is_wire_struct<OneCommandHeader, 4>);

constexpr std::uint8_t has_timeouts_in_list = 0x02;
constexpr std::uint8_t has_service_action_bit = 0x01;
constexpr std::uint8_t has_timeouts_of_one = 0x80;
constexpr std::uint8_t not_supported = 0x01;
constexpr std::uint8_t supported_as_standard = 0x03;

void put_timeouts(Answer& answer) {
  TimeoutsDescriptor timeouts{};
  timeouts.length = sizeof(timeouts) - 2;
  answer.put(timeouts);
}

void put_all_commands(Answer& answer, bool timeouts, const UnitFeatures& features) {
  const std::size_t start = answer.full_bytes();
  answer.put(wire::be32{});
  for (const auto& row : command_table()) {
    if (!is_offered(row, features)) continue;
    CommandDescriptor made{};
    made.opcode = row.opcode;
    made.cdb_bytes = row.cdb_bytes;
    if (timeouts) made.flags |= has_timeouts_in_list;
    if (row.has_service_action()) {
      made.flags |= has_service_action_bit;
      made.service_action = row.service_action;
    }
    answer.put(made);
    if (timeouts) put_timeouts(answer);
  }
  const auto list_bytes = answer.full_bytes() - start - sizeof(wire::be32);
  answer.put_at(start, wire::be32{static_cast<std::uint32_t>(list_bytes)});
}

void put_one_command(Answer& answer, const CommandDescription* row, bool timeouts) {
  OneCommandHeader made{};
  if (row == nullptr) {
    made.support = not_supported;
    answer.put(made);
    return;
  }
  made.support =
      static_cast<std::uint8_t>(supported_as_standard | (timeouts ? has_timeouts_of_one : 0));
  made.cdb_bytes = row->cdb_bytes;
  answer.put(made);
  answer.put_bytes(std::as_bytes(std::span(row->usage)).first(row->cdb_bytes));
  if (timeouts) put_timeouts(answer);
}

}  // namespace

std::optional<Sense> put_supported_opcodes(Answer& answer, const ReportSupportedOpcodes& command,
                                           const UnitFeatures& features) {
  using Options = ReportSupportedOpcodes::Options;
  if (command.options == Options::all) {
    put_all_commands(answer, command.timeouts, features);
    return std::nullopt;
  }
  const CommandDescription* row = nullptr;
  // What is not known, or not offered, is told as that; only what is there can be asked for
  // wrongly.
  if (is_opcode_offered(command.opcode, features)) {
    const bool has_actions = has_service_actions(command.opcode);
    if (command.options == Options::one_opcode && has_actions) return sense::invalid_cdb(2, 2);
    if (command.options == Options::one_service_action && !has_actions) {
      return sense::invalid_cdb(2, 2);
    }
    // Without service actions the opcode is the whole name.
    if (has_actions || command.service_action == 0 || command.options == Options::one_opcode) {
      row = find_command(command.opcode, command.service_action);
    }
  }
  put_one_command(answer, row, command.timeouts);
  return std::nullopt;
}

void put_supported_task_management(Answer& answer, const ReportSupportedTaskManagement& command) {
  // SPC-4, "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS parameter data": ATS 7, ATSS 6, CACAS 5,
  // CTSS 4, LURS 3, QTS 2, TRS 1; QAES, QTSS and ITNRS of byte 1.
  constexpr std::uint8_t abort_task = 0x80;
  constexpr std::uint8_t abort_task_set = 0x40;
  constexpr std::uint8_t clear_task_set = 0x10;
  constexpr std::uint8_t logical_unit_reset = 0x08;
  constexpr std::uint8_t target_reset = 0x02;
  answer.put(std::uint8_t{abort_task | abort_task_set | clear_task_set | logical_unit_reset |
                          target_reset});
  answer.put_zeros(2);
  constexpr std::uint8_t more_bytes = 12;  // of the extended data: no time-outs are indicated
  answer.put(command.extended ? more_bytes : std::uint8_t{0});
  if (command.extended) answer.put_zeros(more_bytes);
}

}  // namespace protocol::scsi
