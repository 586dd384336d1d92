// History: what volumes and the node have done in the last ten minutes, for whoever looks at it
// only now.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/reactor/latency_counters.h"

namespace target::control {

// Of a volume since the daemon started, and what is dirty of it now.
struct Sample {
  std::string name{};
  LatencyCounts reads{};
  LatencyCounts writes{};
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t dirty_bytes = 0;
};

// Between two samples. Not a number: there was nothing to measure.
struct Figures {
  float reads = 0;  // in a second, as the next three
  float writes = 0;
  float read_bytes = 0;
  float written_bytes = 0;
  float read_p99_us = 0;  // 99 of 100 took no longer, as well as the buckets tell
  float write_p99_us = 0;
  float hit_ratio = 0;
  float dirty_bytes = 0;  // at the end
};

// Of which `part` took no longer, in microseconds; nullopt: there were none. Those that took longer
// than the last bound count as that bound.
[[nodiscard]] std::optional<double> percentile_us(const LatencyCounts& counts, double part);

// One thread.
class History {
 public:
  static constexpr std::chrono::seconds period{3};
  static constexpr std::size_t kept = 200;  // ten minutes

  // Every `period`, of all volumes. One that is not named is forgotten.
  void add(std::vector<Sample> samples, engine::Instant now);

  // Oldest first; fewer than `kept` of a volume that has not been there for so long.
  [[nodiscard]] const std::vector<Figures>& of(const std::string& volume) const;
  [[nodiscard]] const std::vector<Figures>& of_all() const { return all_.figures; }

 private:
  struct Track {
    Sample last{};
    std::vector<Figures> figures{};
  };
  static void note(Track& track, Sample now, double seconds);

  std::map<std::string, Track> tracks_;
  Track all_;
  std::optional<engine::Instant> last_;
};

}  // namespace target::control
