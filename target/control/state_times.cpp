#include "target/control/state_times.h"

namespace target::control {

StateTimes::News StateTimes::note(std::string_view kind, std::string_view name,
                                  std::string_view state) {
  const std::lock_guard guard(mutex_);
  const auto [at, is_first] = seen_.try_emplace({std::string(kind), std::string(name)});
  Seen& seen = at->second;
  if (!is_first && seen.state == state) return News::same;
  seen = {.state = std::string(state),
          .since_ms = static_cast<std::uint64_t>(clock_.wall().count())};
  return is_first ? News::first : News::changed;
}

void StateTimes::keep_only(std::string_view kind, const std::set<std::string>& names) {
  const std::lock_guard guard(mutex_);
  std::erase_if(seen_, [&](const auto& one) {
    return one.first.first == kind && !names.contains(one.first.second);
  });
}

std::uint64_t StateTimes::since_ms(std::string_view kind, std::string_view name) const {
  const std::lock_guard guard(mutex_);
  const auto found = seen_.find({std::string(kind), std::string(name)});
  return found == seen_.end() ? 0 : found->second.since_ms;
}

}  // namespace target::control
