#include "tests/bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bench {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  value = std::min(value, (std::uint64_t{1} << largest_exponent) - 1);
  if (value < sub_buckets) return value;
  const auto exponent = static_cast<unsigned>(std::bit_width(value)) - 1;  // at least sub_bits
  const std::uint64_t sub = (value >> (exponent - sub_bits)) - sub_buckets;
  return (exponent - sub_bits + 1) * sub_buckets + sub;
}

std::uint64_t Histogram::upper_end(std::size_t bucket) {
  if (bucket < sub_buckets) return bucket;
  const std::size_t octave = bucket / sub_buckets - 1;
  const std::uint64_t sub = bucket % sub_buckets + sub_buckets;
  return ((sub + 1) << octave) - 1;
}

void Histogram::record(std::uint64_t nanoseconds) {
  ++buckets_[bucket_of(nanoseconds)];
  ++count_;
  sum_ += static_cast<double>(nanoseconds);
  min_ = std::min(min_, nanoseconds);
  max_ = std::max(max_, nanoseconds);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::uint64_t Histogram::percentile(double fraction) const {
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(upper_end(i), max_);
  }
  return max_;
}

}  // namespace bench
