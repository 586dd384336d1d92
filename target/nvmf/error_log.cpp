#include "target/nvmf/error_log.h"

#include <algorithm>
#include <cstring>

#include "protocol/nvme/io_command.h"

namespace target::nvmf {

std::vector<std::byte> ErrorLog::page() const {
  using protocol::nvme::ErrorLogEntry;
  std::vector<std::byte> page(entries_.size() * sizeof(ErrorLogEntry));
  const auto used = std::min<std::uint64_t>(count_, entries_.size());
  for (std::uint64_t age = 0; age < used; ++age) {
    const auto entry =
        protocol::nvme::build_error_log_entry(entries_[(count_ - 1 - age) % entries_.size()]);
    std::memcpy(page.data() + age * sizeof(entry), &entry, sizeof(entry));
  }
  return page;
}

std::uint64_t first_block_of(const protocol::nvme::SubmissionEntry& entry) {
  using Opcode = protocol::nvme::IoOpcode;
  switch (static_cast<Opcode>(entry.opcode)) {
    case Opcode::read:
    case Opcode::write:
    case Opcode::compare:
    case Opcode::write_zeroes:
    case Opcode::write_uncorrectable:
    case Opcode::verify:
    case Opcode::copy:
      return entry.cdw10.value() | (std::uint64_t{entry.cdw11} << 32);
    default:
      return 0;
  }
}

}  // namespace target::nvmf
