// One entry of the Error Information log page (01h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/refusal.h"

namespace protocol::nvme {

struct ErrorLogEntry {
  wire_types::U64 error_count;  // 0: the entry is empty
  wire_types::U16 sqid;
  wire_types::U16 command_id;
  wire_types::U16 status;  // status field with phase tag (bit 0), as in the completion
  wire_types::U16 parameter_location;
  wire_types::U64 lba;
  wire_types::U32 nsid;
  std::uint8_t vendor_information;
  std::uint8_t transport_type;  // TRTYPE, 3h is TCP
  std::uint8_t command_set;     // CSI
  std::uint8_t opcode;
  wire_types::U64 command_specific;
  wire_types::U16 transport_specific;
  std::uint8_t reserved42[21];
  std::uint8_t version;  // 1: command_set and opcode are valid
};
static_assert(sizeof(ErrorLogEntry) == 64 && alignof(ErrorLogEntry) == 1);
static_assert(offsetof(ErrorLogEntry, sqid) == 8);
static_assert(offsetof(ErrorLogEntry, status) == 12);
static_assert(offsetof(ErrorLogEntry, parameter_location) == 14);
static_assert(offsetof(ErrorLogEntry, lba) == 16);
static_assert(offsetof(ErrorLogEntry, nsid) == 24);
static_assert(offsetof(ErrorLogEntry, transport_type) == 29);
static_assert(offsetof(ErrorLogEntry, opcode) == 31);
static_assert(offsetof(ErrorLogEntry, command_specific) == 32);
static_assert(offsetof(ErrorLogEntry, version) == 63);

struct CommandError {
  std::uint64_t count = 0;  // the controller's running number, from 1
  std::uint16_t queue_id = 0;
  std::uint16_t command_id = 0xffff;  // FFFFh (with queue_id FFFFh): not about one command
  Status status{};
  ParameterLocation location{};
  engine::Lba first_bad_block{};
  NamespaceId nsid{};
  std::uint8_t opcode = 0;
};
[[nodiscard]] ErrorLogEntry build_error_log_entry(const CommandError& error);

}  // namespace protocol::nvme
