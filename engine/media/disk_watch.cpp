#include "engine/media/disk_watch.h"

#include <algorithm>
#include <vector>

namespace engine {
namespace {

std::string milliseconds(std::chrono::nanoseconds took) {
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(took);
  return std::to_string(whole.count()) + " ms";
}

std::uint64_t ended(const DiskHealthCounts& counts) {
  std::uint64_t sum = 0;
  for (const DiskWorkCounts& each : counts.works) sum += each.ended();
  return sum;
}

}  // namespace

std::string text(const DiskOutlier& outlier) {
  std::string sentence = "99 of 100 " + std::string(text(outlier.work)) + "s take up to " +
                         milliseconds(outlier.recent);
  const char* separator = ", where they took ";
  if (outlier.past) {
    sentence += separator + milliseconds(*outlier.past);
    separator = ", and ";
  }
  if (outlier.peers) sentence += separator + milliseconds(*outlier.peers) + " on its peers";
  return sentence;
}

std::optional<DiskOutlier> find_outlier(DiskWork work, const DiskPace& own,
                                        std::span<const DiskPace> peers, const OutlierRule& rule) {
  if (own.recent.count() < rule.least_recent) return std::nullopt;
  DiskOutlier found{
      .work = work, .recent = own.recent.quantile(rule.per_mille), .past = {}, .peers = {}};
  if (found.recent < rule.floor) return std::nullopt;
  if (own.past.count() >= rule.least_past) {
    const auto past = own.past.quantile(rule.per_mille);
    if (found.recent >= past * rule.times_past) found.past = past;
  }
  std::vector<std::chrono::nanoseconds> others;
  for (const DiskPace& peer : peers) {
    if (peer.recent.count() < rule.least_recent) continue;
    others.push_back(peer.recent.quantile(rule.per_mille));
  }
  if (!others.empty()) {
    // Of two in the middle the slower: in doubt it is no outlier.
    const auto middle = others.begin() + static_cast<std::ptrdiff_t>(others.size() / 2);
    std::nth_element(others.begin(), middle, others.end());
    if (found.recent >= *middle * rule.times_peers) found.peers = *middle;
  }
  if (!found.past && !found.peers) return std::nullopt;
  return found;
}

void DiskWatch::look(const DiskHealthCounts& counts, Instant now) {
  recent_errors_ = counts.errors() - last_.errors();
  recent_timeouts_ = counts.timeouts() - last_.timeouts();
  const bool has_answered = ended(counts) != ended(last_);
  for (std::size_t work = 0; work < disk_works; ++work) {
    DiskPace& pace = paces_[work];
    pace.past.fade_into(pace.recent);
    pace.recent = counts.works[work].latency.since(last_.works[work].latency);
  }
  if (has_answered || counts.in_flight() == 0 || last_.in_flight() == 0) last_answer_ = now;
  silent_since_ = now - last_answer_ >= silence ? std::optional(last_answer_) : std::nullopt;
  last_ = counts;
}

}  // namespace engine
