#include "protocol/nvme/error_log.h"

namespace protocol::nvme {

ErrorLogEntry build_error_log_entry(const CommandError& error) {
  constexpr std::uint8_t transport_tcp = 3;
  ErrorLogEntry entry{};
  entry.error_count = error.count;
  entry.sqid = error.queue_id;
  entry.command_id = error.command_id;
  entry.status = error.status.field();
  entry.parameter_location = error.location.value;
  entry.lba = error.first_bad_block.value;
  entry.nsid = error.nsid.value;
  entry.transport_type = transport_tcp;
  entry.command_set = nvm_command_set;
  entry.opcode = error.opcode;
  entry.version = 1;
  return entry;
}

}  // namespace protocol::nvme
