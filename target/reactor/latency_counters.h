// LatencyCounters: how long things took, in the twelve buckets that metrics show.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

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
  // Of at least 0. No two bounds have their highest bit in the same place, so there is one to
  // compare with.
  [[nodiscard]] static constexpr std::size_t bucket_of(std::int64_t nanoseconds) {
    const auto bits =
        static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(nanoseconds)));
    const std::size_t bucket = first_bucket_of_bits[bits];
    return bucket + static_cast<std::size_t>(nanoseconds > bound_of_bits[bits]);
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

 private:
  static constexpr std::size_t bit_widths = 65;
  // By the bits that a time takes: the bucket of the shortest of them, and the one bound that may
  // lie among them.
  static constexpr auto first_bucket_of_bits = [] {
    std::array<std::uint8_t, bit_widths> first{};
    for (std::size_t bits = 1; bits < bit_widths; ++bits) {
      const std::uint64_t shortest = std::uint64_t{1} << (bits - 1);
      std::uint8_t bucket = 0;
      while (bucket < bounds_ns.size() &&
             shortest > static_cast<std::uint64_t>(bounds_ns[bucket])) {
        ++bucket;
      }
      first[bits] = bucket;
    }
    return first;
  }();
  static constexpr auto bound_of_bits = [] {
    std::array<std::int64_t, bit_widths> bounds{};
    for (std::size_t bits = 0; bits < bit_widths; ++bits) {
      const std::size_t bucket = first_bucket_of_bits[bits];
      bounds[bits] =
          bucket < bounds_ns.size() ? bounds_ns[bucket] : std::numeric_limits<std::int64_t>::max();
    }
    return bounds;
  }();
};

// One thread adds; any thread copies, each number for itself.
class LatencyCounters {
 public:
  // So many took that long each.
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
