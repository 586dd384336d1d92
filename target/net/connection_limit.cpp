#include "target/net/connection_limit.h"

#include <utility>

namespace target {

std::optional<ConnectionLimit::Place> ConnectionLimit::take(
    const std::shared_ptr<ConnectionLimit>& limit) {
  auto entry = std::make_unique<Entry>();
  entry->limit = limit;
  std::function<void()> evict;
  {
    const std::lock_guard lock(limit->mutex_);
    if (limit->open_ >= limit->most_) {
      if (limit->unsettled_.empty()) return std::nullopt;
      Entry& oldest = *limit->unsettled_.front();
      limit->unsettled_.pop_front();
      oldest.evicted = true;
      evict = std::exchange(oldest.evict, {});
      --limit->open_;
      ++limit->evicted_;
    }
    ++limit->open_;
    entry->at = limit->unsettled_.insert(limit->unsettled_.end(), entry.get());
  }
  if (evict) evict();
  return Place(std::move(entry));
}

void ConnectionLimit::Place::when_evicted(std::function<void()> evict) {
  if (entry_ == nullptr) return;
  {
    const std::lock_guard lock(entry_->limit->mutex_);
    if (!entry_->evicted) {
      entry_->evict = std::move(evict);
      return;
    }
  }
  evict();
}

void ConnectionLimit::Place::settle() {
  if (entry_ == nullptr) return;
  const std::lock_guard lock(entry_->limit->mutex_);
  if (entry_->evicted || entry_->settled) return;
  entry_->settled = true;
  entry_->evict = {};
  entry_->limit->unsettled_.erase(entry_->at);
}

void ConnectionLimit::Place::give_back() {
  if (entry_ == nullptr) return;
  const std::unique_ptr<Entry> entry = std::move(entry_);
  ConnectionLimit& limit = *entry->limit;
  const std::lock_guard lock(limit.mutex_);
  if (entry->evicted) return;
  if (!entry->settled) limit.unsettled_.erase(entry->at);
  --limit.open_;
}

std::uint32_t ConnectionLimit::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

std::uint64_t ConnectionLimit::evicted() const {
  const std::lock_guard lock(mutex_);
  return evicted_;
}

}  // namespace target
