// RateBucket: a rate (of commands, or of bytes) that everybody who uses a volume shares, as the
// moment up to which it has been given away.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/foundation/clock.h"

namespace target::block {

// Virtual scheduling (the generic cell rate algorithm of ITU-T I.371): who comes takes the next
// moment, and the one after lies as much later as his units take at this rate. So all threads are
// served in the order they came in, without a lock and without a queue in common; and whoever looks
// at his moment late costs the others nothing.
//
// Thread-safe, but for set(). All relaxed: a moment orders nothing else.
class RateBucket {
 public:
  using Rep = engine::Duration::rep;

  RateBucket() = default;
  RateBucket(const RateBucket&) = delete;
  RateBucket& operator=(const RateBucket&) = delete;

  // One command is charged at most this, however many units it has: those behind it have hosts that
  // wait.
  static constexpr engine::Duration largest_charge = std::chrono::seconds(10);

  // `per_second`: 0 is no limit. What is not used is kept for so long as `burst` says; a bucket
  // begins with nothing. What has been given away beyond `now` is forgotten: whoever waits for his
  // moment is to take() another. One thread at a time; others may take() meanwhile.
  void set(std::uint64_t per_second, engine::Duration burst, engine::Instant now) {
    const bool was_set = is_set();
    const Rep end = now.since_start.count();
    burst_ns_.store(burst.count(), std::memory_order_relaxed);
    const Rep given = next_ns_.load(std::memory_order_relaxed);
    next_ns_.store(was_set ? std::clamp(given, end - burst.count(), end) : end,
                   std::memory_order_relaxed);
    unit_ns_.store(per_second == 0 ? 0 : 1e9 / static_cast<double>(per_second),
                   std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_set() const { return unit_ns_.load(std::memory_order_relaxed) != 0; }

  // The moment when so many units may pass; `now` or before: at once. The first units pass whenever
  // anything is left, however many they are; who comes after waits for that.
  [[nodiscard]] engine::Instant take(std::uint64_t units, engine::Instant now) {
    const double unit = unit_ns_.load(std::memory_order_relaxed);
    if (unit == 0) return now;
    const Rep earliest = now.since_start.count() - burst_ns_.load(std::memory_order_relaxed);
    Rep next = next_ns_.load(std::memory_order_relaxed);
    Rep moment = 0;
    do {
      moment = std::max(next, earliest);
    } while (!next_ns_.compare_exchange_weak(next, moment + charge(units, unit),
                                             std::memory_order_relaxed));
    return {engine::Duration(moment)};
  }

  // Units that were taken, under the same rate, and did not pass. Whoever has his moment keeps it;
  // those to come have theirs earlier.
  void give_back(std::uint64_t units) {
    const double unit = unit_ns_.load(std::memory_order_relaxed);
    next_ns_.fetch_sub(charge(units, unit), std::memory_order_relaxed);
  }

 private:
  // To the nearest nanosecond.
  [[nodiscard]] static Rep charge(std::uint64_t units, double unit_ns) {
    const double ns = static_cast<double>(units) * unit_ns + 0.5;
    return static_cast<Rep>(std::min(ns, static_cast<double>(largest_charge.count())));
  }

  // Together, and with no other bucket on their cache line: every reactor writes there.
  alignas(64) std::atomic<Rep> next_ns_{0};
  std::atomic<double> unit_ns_{0};
  std::atomic<Rep> burst_ns_{0};
};

}  // namespace target::block
