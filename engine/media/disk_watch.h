// DiskWatch: whether a disk is as fast as it was, and as its peers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/foundation/clock.h"
#include "engine/media/disk_health.h"

namespace engine {

// From which difference of its 99th percentile on a disk is called an outlier. Disks of one kind
// under changing load differ by a factor of two; one that reads its sectors again and again is at
// ten to a hundred. Below the floor nobody is harmed, and a rotating disk is there by itself.
struct OutlierRule {
  unsigned per_mille = 990;
  unsigned times_past = 4;
  unsigned times_peers = 4;
  std::chrono::milliseconds floor{20};
  std::uint64_t least_recent = 64;  // operations; of fewer the percentile says nothing
  std::uint64_t least_past = 1024;
};

// One disk's latencies of one work: in the last look, and in those before.
struct DiskPace {
  LatencyHistogram recent;
  LatencyHistogram past;
};

struct DiskOutlier {
  DiskWork work = DiskWork::read;
  std::chrono::nanoseconds recent{};
  std::optional<std::chrono::nanoseconds> past;   // slower than it was
  std::optional<std::chrono::nanoseconds> peers;  // slower than their median
};
// "99 of 100 reads take up to 310 ms, where they took 12 ms, and 11 ms on its peers".
[[nodiscard]] std::string text(const DiskOutlier& outlier);

// Whether `own` is one, against its past and against the median of those peers that have done
// enough of the same work; against either alone, too, so a pool that is busy as a whole makes all
// of its disks slower than they were, and none slower than its peers: who tells an operator looks
// at both. nullopt: it is well, or nobody can tell.
[[nodiscard]] std::optional<DiskOutlier> find_outlier(DiskWork work, const DiskPace& own,
                                                      std::span<const DiskPace> peers,
                                                      const OutlierRule& rule = {});

// Looks at a disk's counts from time to time, say every ten seconds. One thread.
class DiskWatch {
 public:
  // Something is under way and nothing has ended for so long: it does not answer.
  static constexpr std::chrono::seconds silence{30};

  // Of the same disk each time. What was recent becomes past; of the past a sixteenth is forgotten
  // at each look, so a disk that stays slow is after some minutes as it was, and an outlier among
  // its peers alone.
  void look(const DiskHealthCounts& counts, Instant now);

  [[nodiscard]] const DiskPace& pace(DiskWork work) const {
    return paces_[static_cast<std::size_t>(work)];
  }
  // Errors between the last two looks.
  [[nodiscard]] std::uint64_t recent_errors() const { return recent_errors_; }
  // The same of time-outs.
  [[nodiscard]] std::uint64_t recent_timeouts() const { return recent_timeouts_; }
  // Since when nothing has ended although something is under way; nullopt: for less than `silence`.
  [[nodiscard]] std::optional<Instant> silent_since() const { return silent_since_; }

 private:
  DiskHealthCounts last_;
  std::array<DiskPace, disk_works> paces_;
  std::uint64_t recent_errors_ = 0;
  std::uint64_t recent_timeouts_ = 0;
  Instant last_answer_{};  // or when nothing was under way
  std::optional<Instant> silent_since_;
};

}  // namespace engine
