#include "engine/media/queue_depth.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"

namespace engine {

std::atomic<std::uint64_t> QueueDepth::allowed_{0};

QueueDepth& QueueDepth::of(std::uint32_t backing) {
  CHECK(backing != 0);
  static std::mutex depths_mutex;
  static std::vector<std::unique_ptr<QueueDepth>> depths;  // by number; few
  const std::lock_guard lock(depths_mutex);
  if (depths.size() <= backing) depths.resize(std::size_t{backing} + 1);
  auto& depth = depths[backing];
  if (depth == nullptr) depth = std::make_unique<QueueDepth>();
  return *depth;
}

void QueueDepth::set_limit(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t before = limit_.exchange(limit, std::memory_order_relaxed);
  allowed_.fetch_add(limit, std::memory_order_relaxed);
  allowed_.fetch_sub(before, std::memory_order_relaxed);
  grant(nullptr);
}

bool QueueDepth::take(Turn& turn) {
  const std::lock_guard lock(mutex_);
  if (turn.places_ > 0) {
    --turn.places_;
    return true;
  }
  const std::uint32_t limit = limit_.load(std::memory_order_relaxed);
  if (limit == 0 || taken_ < limit) {
    ++taken_;
    return true;
  }
  if (!turn.is_queued_) {
    turn.is_queued_ = true;
    queue_.push_back(&turn);
  }
  return false;
}

bool QueueDepth::give_back(Turn& turn) {
  const std::lock_guard lock(mutex_);
  CHECK(taken_ > 0);
  --taken_;
  const std::uint32_t before = turn.places_;
  grant(&turn);
  return turn.places_ > before;
}

void QueueDepth::leave(Turn& turn) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(turn.is_queued_, false)) {
    queue_.erase(std::find(queue_.begin(), queue_.end(), &turn));
  }
  taken_ -= std::exchange(turn.places_, 0);
  grant(nullptr);
}

void QueueDepth::grant(const Turn* caller) {
  const std::uint32_t limit = limit_.load(std::memory_order_relaxed);
  while (!queue_.empty() && (limit == 0 || taken_ < limit)) {
    Turn& turn = *queue_.front();
    queue_.pop_front();
    turn.is_queued_ = false;
    ++turn.places_;
    ++taken_;
    if (&turn != caller) turn.granted();
  }
}

}  // namespace engine
