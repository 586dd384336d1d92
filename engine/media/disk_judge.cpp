#include "engine/media/disk_judge.h"

#include <algorithm>

namespace engine {
namespace {

bool has_comparable(const std::vector<DiskPace>& peers, const OutlierRule& rule) {
  return std::ranges::any_of(
      peers, [&rule](const DiskPace& peer) { return peer.recent.count() >= rule.least_recent; });
}

// The worst of its works.
std::optional<DiskOutlier> worst_outlier(const DiskWatch& watch, const PeerPaces& peers) {
  const OutlierRule among_peers;
  const OutlierRule alone{.times_past = DiskJudge::times_past_alone};
  std::optional<DiskOutlier> worst;
  for (std::size_t at = 0; at < disk_works; ++at) {
    const auto work = static_cast<DiskWork>(at);
    const bool has_peers = has_comparable(peers[at], among_peers);
    auto found = find_outlier(work, watch.pace(work), peers[at], has_peers ? among_peers : alone);
    if (!found || (has_peers && !found->peers)) continue;
    if (!worst || found->recent > worst->recent) worst = found;
  }
  return worst;
}

// Of one that was told by its past alone, which by now is slow as well: against what it was then.
bool is_still_slow(const DiskWatch& watch, const std::optional<DiskTrouble>& told) {
  const OutlierRule rule;
  if (!told || !told->outlier || !told->outlier->past || told->outlier->peers) return false;
  const LatencyHistogram& recent = watch.pace(told->outlier->work).recent;
  return recent.count() >= rule.least_recent &&
         recent.quantile(rule.per_mille) >= *told->outlier->past * rule.times_past;
}

}  // namespace

bool DiskJudge::Episode::seen(bool is_bad, unsigned looks_to_begin, unsigned looks_to_end) {
  bad = is_bad ? bad + 1 : 0;
  calm = is_bad ? 0 : calm + 1;
  if (told && calm >= looks_to_end) told.reset();
  return !told && bad >= looks_to_begin;
}

void DiskJudge::look(const DiskHealthCounts& counts, Instant now, std::chrono::milliseconds wall) {
  using Kind = DiskTrouble::Kind;
  watch_.look(counts, now);
  Episode& errors = of(Kind::errors);
  if (errors.seen(watch_.recent_errors() != 0, 1, calm_looks)) {
    errors.told = {.kind = Kind::errors, .since = wall, .fault = counts.last_fault};
  }
  Episode& timeouts = of(Kind::timeouts);
  if (timeouts.seen(watch_.recent_timeouts() != 0, 1, calm_looks)) {
    timeouts.told = {.kind = Kind::timeouts, .since = wall};
  }
  const auto silent_since = watch_.silent_since();
  Episode& silent = of(Kind::silent);
  if (silent.seen(silent_since.has_value(), 1, 1)) {
    const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(now - *silent_since);
    silent.told = {.kind = Kind::silent, .since = wall - ago};
  }
}

void DiskJudge::compare(const PeerPaces& peers, std::chrono::milliseconds wall) {
  const auto outlier = worst_outlier(watch_, peers);
  Episode& slow = of(DiskTrouble::Kind::slow);
  const bool is_bad = outlier.has_value() || is_still_slow(watch_, slow.told);
  const bool is_alone = outlier && !outlier->peers;
  if (slow.seen(is_bad, is_alone ? 1 : slow_looks, calm_looks) && outlier) {
    slow.told = {.kind = DiskTrouble::Kind::slow, .since = wall, .fault = {}, .outlier = outlier};
  }
}

std::vector<DiskTrouble> DiskJudge::troubles() const {
  std::vector<DiskTrouble> all;
  for (const Episode& episode : episodes_) {
    if (episode.told) all.push_back(*episode.told);
  }
  return all;
}

}  // namespace engine
