// Latencies in log-linear buckets: 64 for each power of two, so a percentile is at most 1.6 % off.
#pragma once

#include <array>
#include <cstdint>

namespace bench {

// Values are nanoseconds; those over about 18 minutes count as that. Not thread safe: one each
// thread, then merge.
class Histogram {
 public:
  void record(std::uint64_t nanoseconds);
  void merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;
  // The value that `fraction` (0 to 1) of the recorded ones do not exceed: the upper end of its
  // bucket, never over max(). 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t percentile(double fraction) const;

 private:
  static constexpr unsigned sub_bits = 6;
  static constexpr std::uint64_t sub_buckets = 1u << sub_bits;
  static constexpr unsigned largest_exponent = 40;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_end(std::size_t bucket);

  std::array<std::uint64_t, (largest_exponent - sub_bits + 1) * sub_buckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace bench
