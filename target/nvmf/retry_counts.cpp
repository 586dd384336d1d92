#include "target/nvmf/retry_counts.h"

namespace target::nvmf {

RetryCounts::Key RetryCounts::key_of(const protocol::nvme::SubmissionEntry& entry) {
  return {.nsid = entry.nsid,
          .lba = entry.cdw10.value() | (std::uint64_t{entry.cdw11} << 32),
          .blocks = entry.cdw12 & 0xffffU,
          .opcode = entry.opcode};
}

std::optional<std::uint32_t> RetryCounts::send_back(const protocol::nvme::SubmissionEntry& entry,
                                                    std::uint32_t most, engine::Instant now) {
  if (most == 0) return std::nullopt;
  const Key key = key_of(entry);
  auto found = counts_.find(key);
  if (found != counts_.end() && now - found->second.last > forgotten_after) {
    found->second.times = 0;
  }
  if (found == counts_.end()) {
    if (counts_.size() >= most_commands) {
      std::erase_if(counts_,
                    [now](const auto& one) { return now - one.second.last > forgotten_after; });
    }
    if (counts_.size() >= most_commands) return std::nullopt;
    found = counts_.emplace(key, Count{}).first;
  }
  if (found->second.times >= most) return std::nullopt;
  found->second.last = now;
  return ++found->second.times;
}

}  // namespace target::nvmf
