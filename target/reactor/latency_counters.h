// LatencyCounters: how long things took, in the twelve buckets that metrics show.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/clock.h"

namespace target {

// One more than it was; by the one thread that writes it, so no read-modify-write is needed.
inline void add_owned(std::atomic<std::uint64_t>& counter, std::uint64_t more = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

// A copy.
struct LatencyCounts {
  static constexpr std::size_t buckets = 12;
  // What is in a bucket took no longer than this; of the last one there is no bound.
  static constexpr std::array<std::int64_t, buckets - 1> bounds_ns{
      50'000,    100'000,    200'000,    500'000,     1'000'000,    2'000'000,
      5'000'000, 10'000'000, 50'000'000, 250'000'000, 2'500'000'000};
  [[nodiscard]] static constexpr std::size_t bucket_of(std::int64_t nanoseconds) {
    std::size_t bucket = 0;
    while (bucket < bounds_ns.size() && nanoseconds > bounds_ns[bucket]) ++bucket;
    return bucket;
  }

  std::array<std::uint64_t, buckets> counts{};  // each for itself, not added up
  std::uint64_t sum_ns = 0;

  [[nodiscard]] std::uint64_t count() const {
    std::uint64_t all = 0;
    for (const std::uint64_t each : counts) all += each;
    return all;
  }
  LatencyCounts& operator+=(const LatencyCounts& other) {
    for (std::size_t i = 0; i < buckets; ++i) counts[i] += other.counts[i];
    sum_ns += other.sum_ns;
    return *this;
  }
};

// One thread adds; any thread copies, each number for itself.
class LatencyCounters {
 public:
  // So many took that long each. What took nothing, as most stages of a command do, costs one
  // addition.
  void add(engine::Duration took, std::uint64_t times = 1) {
    if (took.count() <= 0) return add_owned(counts_[0], times);
    add_owned(counts_[LatencyCounts::bucket_of(took.count())], times);
    add_owned(sum_ns_, static_cast<std::uint64_t>(took.count()) * times);
  }
  [[nodiscard]] LatencyCounts counts() const {
    LatencyCounts copy;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      copy.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    copy.sum_ns = sum_ns_.load(std::memory_order_relaxed);
    return copy;
  }

 private:
  std::array<std::atomic<std::uint64_t>, LatencyCounts::buckets> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

}  // namespace target
