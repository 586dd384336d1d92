// Deadlines of one reactor. A Timer is a member of what it watches over; arming allocates nothing.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "engine/foundation/clock.h"

namespace target {

class TimerQueue;

// Calls `expired` once when its deadline has passed. Disarms itself when destroyed. One thread.
class Timer : public boost::intrusive::set_base_hook<> {
 public:
  // `expired` may arm this timer again and may destroy it.
  explicit Timer(std::function<void()> expired) : expired_(std::move(expired)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  [[nodiscard]] bool armed() const { return queue_ != nullptr; }
  [[nodiscard]] engine::Instant deadline() const { return deadline_; }
  void disarm();

 private:
  friend class TimerQueue;
  std::function<void()> expired_;
  TimerQueue* queue_ = nullptr;  // while armed
  engine::Instant deadline_{};
};

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue() {
    timers_.clear_and_dispose([](Timer* timer) { timer->queue_ = nullptr; });
  }

  // (Re-)arms; O(log n). Whoever pushes a deadline forward with every byte better notes the time
  // and looks at it when the timer expires.
  void arm(Timer& timer, engine::Instant deadline);
  [[nodiscard]] std::optional<engine::Instant> next_deadline() const;
  // How many are armed.
  [[nodiscard]] std::size_t size() const { return timers_.size(); }
  // Runs what is due at `now`, at most `most_expiries`; returns how many.
  std::size_t expire(engine::Instant now);

  // A timer that arms itself in the past cannot hold a turn for ever.
  static constexpr std::size_t most_expiries = 1024;

 private:
  friend class Timer;
  struct ByDeadline {
    using type = engine::Instant;
    engine::Instant operator()(const Timer& timer) const { return timer.deadline_; }
  };
  boost::intrusive::multiset<Timer, boost::intrusive::key_of_value<ByDeadline>> timers_;
};

}  // namespace target
