#include "target/write_times.h"

namespace target {

void WriteTimes::look(const std::string& volume, std::uint64_t writes, engine::Instant now) {
  Seen& seen = seen_[volume];
  if (seen.writes == writes) return;
  // None: it is another volume of that name.
  seen.at = writes == 0 ? std::nullopt : std::optional(now);
  seen.writes = writes;
}

std::optional<engine::Duration> WriteTimes::since_last(const std::string& volume,
                                                       engine::Instant now) const {
  const auto found = seen_.find(volume);
  if (found == seen_.end() || !found->second.at) return std::nullopt;
  return now - *found->second.at;
}

}  // namespace target
