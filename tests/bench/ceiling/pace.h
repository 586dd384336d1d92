// Pace: what one of many equal operations takes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

// Times them in chunks that are shorter than a scheduler's slice, and takes the median: others who
// want the same core now and then do not count. Runs from its construction on; one thread.
class Pace {
 public:
  // A chunk must be many reads of the clock long.
  static constexpr std::uint64_t usual_chunk = 1024;
  explicit Pace(std::uint64_t chunk = usual_chunk) : chunk_(chunk), begin_(now_ns()) {}

  // So many more have ended.
  void count(std::uint64_t operations) {
    counted_ += operations;
    if (counted_ < chunk_) return;
    const double now = now_ns();
    samples_.push_back((now - begin_) / static_cast<double>(counted_));
    begin_ = now;
    counted_ = 0;
  }
  // Nanoseconds for each; what is left after the last whole chunk does not count, unless it is all.
  [[nodiscard]] double median_ns() {
    if (samples_.empty()) return (now_ns() - begin_) / static_cast<double>(counted_);
    const auto middle = samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
    std::ranges::nth_element(samples_, middle);
    return *middle;
  }

 private:
  static double now_ns() {
    return std::chrono::duration<double, std::nano>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  const std::uint64_t chunk_;
  double begin_;
  std::uint64_t counted_ = 0;
  std::vector<double> samples_;
};

}  // namespace bench
