// AdmissionPace: how fast a volume takes writes while it has much that its backing lacks.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"

namespace engine {

// Below 70 % dirty nothing is paced, and admits() is one load. From there on writes are admitted at
// a multiple of the rate at which write-back gets on: twice that at 70 %, as much at 85 %, nothing
// at 100 %, so that a volume which is written to faster than its backing takes it comes to rest
// below full. What is admitted beyond what there was room for is a debt that is paid off first, so
// a command is never too large.
//
// Where the rate is not known, or the backing does not get on, nothing is paced: what room there is
// helps until it does.
class AdmissionPace {
 public:
  static constexpr double begins_at = 0.70;
  static constexpr double level_at = 0.85;  // as much comes in as goes out

  // Any thread: a write of so much may go on now. True: it has been counted.
  [[nodiscard]] bool admits(ByteCount bytes) {
    return !is_paced_.load(std::memory_order_relaxed) || take(bytes);
  }
  [[nodiscard]] bool is_paced() const { return is_paced_.load(std::memory_order_relaxed); }
  // Nothing is admitted before a refill.
  [[nodiscard]] bool holds_back() const {
    return is_paced() && credit_.load(std::memory_order_relaxed) < 0;
  }

  // One thread, the keeper's, from here on.
  struct Measure {
    ByteCount dirty;
    ByteCount room;   // that the volume could have for it, in all
    ByteCount drain;  // a second; zero: not known, or it does not get on
  };
  void measure(const Measure& now, Instant at);
  // More may come in, as time goes by; often, while anybody waits.
  void refill(Instant now);
  // Bytes a second; while it is paced.
  [[nodiscard]] ByteCount rate() const { return rate_; }

 private:
  [[nodiscard]] bool take(ByteCount bytes);

  // What comes in unused is kept for so long.
  static constexpr Duration burst = std::chrono::milliseconds(100);

  std::atomic<bool> is_paced_{false};
  std::atomic<std::int64_t> credit_{0};  // bytes; negative: a debt
  ByteCount rate_;
  Instant refilled_;
};

}  // namespace engine
