#include "engine/volume/admission_pace.h"

#include <algorithm>

namespace engine {

void AdmissionPace::measure(const Measure& now, Instant at) {
  const double full = now.room.value == 0 ? 1.0
                                          : std::min(1.0, static_cast<double>(now.dirty.value) /
                                                              static_cast<double>(now.room.value));
  const bool is_paced = full >= begins_at && now.drain.value != 0;
  // What is full gets a little still: what is free is measured in pieces.
  const double factor = std::max(0.05, (1.0 - full) / (1.0 - level_at));
  rate_ = {static_cast<std::uint64_t>(static_cast<double>(now.drain.value) * factor)};
  if (is_paced && !is_paced_.load(std::memory_order_relaxed)) {
    credit_.store(0, std::memory_order_relaxed);
    refilled_ = at;
  }
  is_paced_.store(is_paced, std::memory_order_relaxed);
}

bool AdmissionPace::take(ByteCount bytes) {
  if (credit_.load(std::memory_order_relaxed) < 0) return false;
  credit_.fetch_sub(static_cast<std::int64_t>(bytes.value), std::memory_order_relaxed);
  return true;
}

void AdmissionPace::refill(Instant now) {
  if (!is_paced()) return;
  const auto bytes_in = [this](Duration time) {
    return static_cast<std::int64_t>(static_cast<double>(rate_.value) *
                                     std::chrono::duration<double>(time).count());
  };
  const std::int64_t more = bytes_in(now - refilled_);
  if (more <= 0) return;
  refilled_ = now;
  // Others take meanwhile; nobody else gives.
  const std::int64_t had = credit_.fetch_add(more, std::memory_order_relaxed);
  const std::int64_t beyond = had + more - bytes_in(burst);
  if (beyond > 0) credit_.fetch_sub(std::min(beyond, more), std::memory_order_relaxed);
}

}  // namespace engine
