#include "target/nvmf/error_log.h"

#include <algorithm>
#include <cstring>

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

}  // namespace target::nvmf
