#include "target/reactor/timer_queue.h"

namespace target {

void Timer::disarm() {
  if (queue_ == nullptr) return;
  queue_->timers_.erase(queue_->timers_.iterator_to(*this));
  queue_ = nullptr;
}

void TimerQueue::arm(Timer& timer, engine::Instant deadline) {
  timer.disarm();
  timer.deadline_ = deadline;
  timer.queue_ = this;
  timers_.insert(timer);
}

std::optional<engine::Instant> TimerQueue::next_deadline() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->deadline_;
}

std::size_t TimerQueue::expire(engine::Instant now) {
  std::size_t expired = 0;
  while (expired < most_expiries && !timers_.empty() && timers_.begin()->deadline_ <= now) {
    Timer& timer = *timers_.begin();
    timer.disarm();
    ++expired;
    const std::function<void()> call = timer.expired_;  // it may destroy the timer
    call();
  }
  return expired;
}

}  // namespace target
