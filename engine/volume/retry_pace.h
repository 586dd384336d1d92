// RetryPace: when a pool is tried again: at once after a first failure, then ever more slowly.
#pragma once

#include <chrono>

#include "engine/foundation/clock.h"

namespace engine {

// What was late or failed is tried until it is well. A pool that is not there costs one look a
// second; everything else backs off, because each attempt asks a sick disk for work. One thread.
class RetryPace {
 public:
  static constexpr Duration shortest = std::chrono::seconds(1);
  static constexpr Duration longest = std::chrono::seconds(16);
  // So long after the last attempt, a failure is a new one: it is met at once.
  static constexpr Duration forgiving = std::chrono::minutes(1);
  static constexpr Instant never = {Duration::max()};

  enum class Outcome : std::uint8_t { well, not_there, still_down };

  [[nodiscard]] Instant next() const { return next_; }
  // Attempts in a row that have not made everything well.
  [[nodiscard]] unsigned tries() const { return tries_; }

  void tried(Instant now, Outcome outcome);
  // Something that was well has just failed.
  void failed(Instant now);

 private:
  Instant next_ = never;
  Instant last_try_{};
  Duration delay_{};
  unsigned tries_ = 0;
  bool after_failure_ = false;
};

}  // namespace engine
