// SimClock: time that only moves when the test says so.
#pragma once

#include "engine/foundation/clock.h"

namespace target {

class SimClock final : public engine::Clock {
 public:
  [[nodiscard]] engine::Instant now() const override { return now_; }
  [[nodiscard]] std::chrono::milliseconds wall() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now_.since_start);
  }
  void advance(engine::Duration by) { now_ = now_ + by; }

 private:
  engine::Instant now_{std::chrono::hours(1)};
};

}  // namespace target
