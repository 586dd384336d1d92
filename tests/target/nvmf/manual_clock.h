// ManualClock: time that passes when the test says so.
#pragma once

#include <atomic>

#include "engine/foundation/clock.h"

namespace target::nvmf {

// Any thread.
class ManualClock final : public engine::Clock {
 public:
  void advance(engine::Duration by) { now_ns_ += by.count(); }
  [[nodiscard]] engine::Instant now() const override { return {engine::Duration(now_ns_.load())}; }
  [[nodiscard]] std::chrono::milliseconds wall() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now().since_start);
  }

 private:
  std::atomic<std::int64_t> now_ns_{3'600'000'000'000};
};

}  // namespace target::nvmf
