// LatencyHistogram: how long operations took, in steps of a quarter of an octave.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace engine {

// A value. Steps of microseconds: those below four each, then four to the octave, so a quantile is
// at most a quarter too high; everything from 67 s on is one step.
class LatencyHistogram {
 public:
  static constexpr std::size_t steps = 4 * 25;

  [[nodiscard]] static constexpr std::size_t step_of(std::chrono::nanoseconds took) {
    const std::int64_t nanoseconds = took.count() < 0 ? 0 : took.count();
    const std::uint64_t micros = static_cast<std::uint64_t>(nanoseconds) / 1000;
    if (micros < 4) return static_cast<std::size_t>(micros);
    const auto octave = static_cast<unsigned>(std::bit_width(micros));  // at least 3
    const std::size_t step = 4 * (octave - 2) + ((micros >> (octave - 3)) & 3);
    return step < steps ? step : steps - 1;
  }
  // What is in `step` took less than this; of the last step, its beginning.
  [[nodiscard]] static constexpr std::chrono::nanoseconds end_of(std::size_t step) {
    const std::size_t next = step + 1 < steps ? step + 1 : step;
    const std::uint64_t micros = next < 4 ? next : (4 + (next & 3)) << (next / 4 - 1);
    return std::chrono::microseconds(micros);
  }

  void add(std::size_t step, std::uint64_t count) { counts_[step] += count; }
  [[nodiscard]] std::uint64_t in(std::size_t step) const { return counts_[step]; }
  [[nodiscard]] std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t each : counts_) sum += each;
    return sum;
  }
  // What `per_mille` of a thousand operations were faster than; zero when there are none.
  [[nodiscard]] std::chrono::nanoseconds quantile(unsigned per_mille) const {
    const std::uint64_t all = count();
    if (all == 0) return {};
    const std::uint64_t wanted = (all * per_mille + 999) / 1000;
    std::uint64_t sum = 0;
    for (std::size_t step = 0; step < steps; ++step) {
      sum += counts_[step];
      if (sum >= wanted && sum != 0) return end_of(step);
    }
    return end_of(steps - 1);
  }
  // What has come since `earlier`, which this one grew out of.
  [[nodiscard]] LatencyHistogram since(const LatencyHistogram& earlier) const {
    LatencyHistogram difference;
    for (std::size_t step = 0; step < steps; ++step) {
      difference.counts_[step] = counts_[step] - earlier.counts_[step];
    }
    return difference;
  }
  // A sixteenth is forgotten, and `more` comes in.
  void fade_into(const LatencyHistogram& more) {
    for (std::size_t step = 0; step < steps; ++step) {
      counts_[step] -= (counts_[step] + 15) / 16;
      counts_[step] += more.counts_[step];
    }
  }
  friend bool operator==(const LatencyHistogram&, const LatencyHistogram&) = default;

 private:
  std::array<std::uint64_t, steps> counts_{};
};

}  // namespace engine
