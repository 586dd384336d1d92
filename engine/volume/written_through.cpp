#include "engine/volume/written_through.h"

#include "engine/foundation/guard.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_write.h"

namespace engine {

void BackingWait::written_back() {
  Listed::unlink();
  write_.lane().tell(write_);
}

void WrittenThrough::take(WriteBack& write_back, Instant now) {
  CacheCommand* command = coming_.take_all();
  while (command != nullptr) {
    CacheCommand* const next = command->next();
    auto& write = static_cast<CachedWrite&>(*command);
    BackingWait& wait = write.backing_wait();
    wait.since_ = now;
    if (GUARD("answer behind the dirty tail") && write_back.wait(wait, write.awaited())) {
      waiting_.push_back(wait);
    } else {
      write.lane().tell(write);
    }
    command = next;
  }
}

void WrittenThrough::give_up(Instant before) {
  while (!waiting_.empty() && waiting_.front().since_ < before) {
    BackingWait& wait = waiting_.front();
    wait.DirtyTailWaiter::unlink();
    wait.Listed::unlink();
    wait.write_.give_up_on_backing();
    wait.write_.lane().tell(wait.write_);
  }
}

}  // namespace engine
