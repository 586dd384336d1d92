// LagAge: how long a backing has lacked something that its cache has.
#pragma once

#include <optional>

#include "engine/foundation/clock.h"

namespace engine {

// One thread's, which looks some ten times a second. What came between two looks counts from the
// earlier one: what is told is never too young.
class LagAge {
 public:
  void look(Instant now, bool lags) {
    if (!lags) had_all_ = now;
    lags_ = lags;
  }
  // Zero: it has everything. nullopt: it has lacked something since before the first look.
  [[nodiscard]] std::optional<Duration> at(Instant now) const {
    if (!lags_) return Duration{};
    if (!had_all_) return std::nullopt;
    return now - *had_all_;
  }

 private:
  bool lags_ = false;
  std::optional<Instant> had_all_;
};

}  // namespace engine
