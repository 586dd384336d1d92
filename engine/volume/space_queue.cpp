#include "engine/volume/space_queue.h"

#include <mutex>
#include <utility>

#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_write.h"

namespace engine {

void SpaceQueue::add(CachedWrite& write, Instant since, Turn turn) {
  const std::lock_guard lock(lock_);
  SpaceWaiter& waiter = write;
  waiter.since = since;
  waiter.is_told = waiter.is_told_again = false;
  writes_.insert(turn == Turn::next ? writes_.begin() : writes_.end(), waiter);
  waiting_.fetch_add(1, std::memory_order_release);
}

std::optional<Instant> SpaceQueue::waits_since() {
  const std::lock_guard lock(lock_);
  if (writes_.empty()) return std::nullopt;
  return writes_.front().since;
}

void SpaceQueue::tell_first() {
  CachedWrite* first = nullptr;
  {
    const std::lock_guard lock(lock_);
    if (writes_.empty()) return;
    first = &static_cast<CachedWrite&>(writes_.front());
    if (!note_told(*first)) return;
  }
  // It stays the first, and waits, until it has been told.
  first->lane().tell(*first);
}

void SpaceQueue::tell(CachedWrite& write) {
  {
    const std::lock_guard lock(lock_);
    if (!note_told(write)) return;
  }
  write.lane().tell(write);
}

// False: it has been told already, and looks once more then.
bool SpaceQueue::note_told(SpaceWaiter& waiter) {
  waiter.is_told_again = std::exchange(waiter.is_told, true);
  return !waiter.is_told_again;
}

void SpaceQueue::stay(CachedWrite& write) {
  {
    const std::lock_guard lock(lock_);
    SpaceWaiter& waiter = write;
    waiter.is_told = std::exchange(waiter.is_told_again, false);
    if (!waiter.is_told) return;
  }
  write.lane().tell(write);
}

void SpaceQueue::leave(CachedWrite& write) {
  {
    const std::lock_guard lock(lock_);
    writes_.erase(writes_.iterator_to(static_cast<SpaceWaiter&>(write)));
    waiting_.fetch_sub(1, std::memory_order_release);
  }
  tell_first();
}

}  // namespace engine
