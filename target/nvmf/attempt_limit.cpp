#include "target/nvmf/attempt_limit.h"

#include <algorithm>

namespace target::nvmf {

AttemptLimit::Key AttemptLimit::key_of(std::string_view host_nqn, std::string_view peer) {
  return {std::string(host_nqn), std::string(peer.substr(0, peer.rfind(':')))};
}

bool AttemptLimit::allows(std::string_view host_nqn, std::string_view peer,
                          engine::Instant now) const {
  const auto found = failures_.find(key_of(host_nqn, peer));
  return found == failures_.end() || found->second.count < most_failures ||
         now - found->second.since >= interval;
}

void AttemptLimit::failed(std::string_view host_nqn, std::string_view peer, engine::Instant now) {
  Key key = key_of(host_nqn, peer);
  if (failures_.size() >= most_remembered && !failures_.contains(key)) forget_one(now);
  Failures& failures = failures_[std::move(key)];
  if (failures.count == 0 || now - failures.since >= interval) failures = {.since = now};
  ++failures.count;
}

void AttemptLimit::succeeded(std::string_view host_nqn, std::string_view peer) {
  failures_.erase(key_of(host_nqn, peer));
}

// Those that count no more, or else the oldest.
void AttemptLimit::forget_one(engine::Instant now) {
  std::erase_if(failures_, [now](const auto& one) { return now - one.second.since >= interval; });
  if (failures_.size() < most_remembered) return;
  failures_.erase(std::ranges::min_element(
      failures_, [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
}

}  // namespace target::nvmf
