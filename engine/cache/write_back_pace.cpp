#include "engine/cache/write_back_pace.h"

namespace engine {

void WriteBackPace::set_thresholds(const WriteBackLimits& limits) {
  limits_.high_percent = limits.high_percent;
  limits_.low_percent = limits.low_percent;
  limits_.most_age = limits.most_age;
}

void WriteBackPace::look(Instant now, ByteCount backlog, std::uint64_t dirty_tail,
                         std::uint64_t published) {
  const auto exceeds = [&](std::uint32_t percent) {
    return backlog.value > share_.value / 100 * percent;
  };
  if (share_.value != 0) {
    pressure_ = exceeds(pressure_ ? limits_.low_percent : limits_.high_percent);
  }
  aged_to_ = std::max(aged_to_, dirty_tail);
  if (published <= aged_to_) {
    dirty_since_.reset();
    return;
  }
  if (!dirty_since_) dirty_since_ = now;
  if (now - *dirty_since_ < limits_.most_age) return;
  age_goal_ = aged_to_ = published;
  dirty_since_.reset();
}

void WriteBackPace::succeeded(ByteCount bytes, Duration took) {
  failures_ = 0;
  if (bytes.value == 0 || took.count() <= 0) return;
  const double rate = static_cast<double>(bytes.value) / static_cast<double>(took.count());
  bytes_per_ns_ = bytes_per_ns_ == 0 ? rate : bytes_per_ns_ * 0.75 + rate * 0.25;
}

Instant WriteBackPace::failed(Instant now) {
  Duration wait = limits_.first_back_off;
  for (unsigned again = 0; again < failures_ && wait < limits_.longest_back_off; ++again) wait *= 2;
  ++failures_;
  return now + std::min(wait, limits_.longest_back_off);
}

ByteCount WriteBackPace::batch_bytes(ByteCount most) const {
  constexpr double quarter_ns = 0.25e9;
  const double wanted =
      bytes_per_ns_ == 0 ? static_cast<double>(first_batch.value) : bytes_per_ns_ * quarter_ns;
  const auto bytes = ByteCount{static_cast<std::uint64_t>(wanted)};
  return std::min(most, std::max(bytes, smallest_batch));
}

std::optional<Duration> WriteBackPace::time_for(ByteCount bytes) const {
  if (bytes.value == 0) return Duration{};
  if (bytes_per_ns_ == 0) return std::nullopt;
  return Duration(static_cast<Duration::rep>(static_cast<double>(bytes.value) / bytes_per_ns_));
}

}  // namespace engine
