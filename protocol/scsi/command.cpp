#include "protocol/scsi/command.h"

#include <bit>

#include "protocol/scsi/command_table.h"

namespace protocol::scsi {

namespace {

// SERVICE ACTION, byte 1, bits 4:0.
constexpr std::uint8_t service_action_bits = 0x1f;

// The highest bit of the first byte that has one set that must not be.
std::optional<Sense> refused_bit(Cdb cdb, const CommandDescription& row) {
  for (std::uint16_t byte = 1; byte < row.cdb_bytes; ++byte) {
    std::uint8_t allowed = row.usage[byte];
    if (byte == 1 && row.has_service_action()) allowed |= service_action_bits;
    const unsigned refused = static_cast<unsigned>(cdb[byte]) & ~unsigned{allowed};
    if (refused != 0) {
      return sense::invalid_cdb(byte, static_cast<std::uint8_t>(std::bit_width(refused) - 1));
    }
  }
  return std::nullopt;
}

}  // namespace

Parsed<Command> parse_command(Cdb cdb, const UnitFeatures& features) {
  const auto opcode = static_cast<std::uint8_t>(cdb[0]);
  if (!is_opcode_offered(opcode, features)) return sense::invalid_opcode;
  const CommandDescription* row = find_command(cdb);
  if (row == nullptr) return sense::invalid_cdb(1, 4);  // no such service action
  if (const auto refused = refused_bit(cdb, *row)) return *refused;
  return row->parse(cdb);
}

}  // namespace protocol::scsi
