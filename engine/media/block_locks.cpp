#include "engine/media/block_locks.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {

bool BlockLocks::lock(Holder& holder, std::uint64_t block) {
  const std::lock_guard guard(mutex_);
  holder.block = block;
  holder.held = std::none_of(holders_.begin(), holders_.end(),
                             [block](const Holder& other) { return other.block == block; });
  holders_.push_back(holder);
  return holder.held;
}

void BlockLocks::unlock(Holder& holder) {
  Holder* next = nullptr;
  {
    const std::lock_guard guard(mutex_);
    CHECK(holder.held);
    holder.held = false;
    holders_.erase(holders_.iterator_to(holder));
    const auto found =
        std::find_if(holders_.begin(), holders_.end(),
                     [&holder](const Holder& other) { return other.block == holder.block; });
    if (found != holders_.end()) {
      next = &*found;
      next->held = true;
    }
  }
  // It stays alive until it has been told, so it may be told without the mutex.
  if (next != nullptr) next->lane->post(next->granted);
}

}  // namespace engine
