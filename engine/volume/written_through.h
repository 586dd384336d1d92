// WrittenThrough: the writes of a volume that are answered when its backing has them.
#pragma once

#include <boost/intrusive/list.hpp>

#include "engine/cache/dirty_tail_waiter.h"
#include "engine/cache/hand_over.h"
#include "engine/cache/write_back.h"
#include "engine/foundation/clock.h"
#include "engine/volume/cache_command.h"

namespace engine {

class CachedWrite;

// A write that waits for the dirty tail; the keeper's thread's while it does.
class BackingWait : public DirtyTailWaiter,
                    public boost::intrusive::list_base_hook<
                        boost::intrusive::tag<BackingWait>,
                        boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit BackingWait(CachedWrite& write) : write_(write) {}

 private:
  friend class WrittenThrough;
  using Listed =
      boost::intrusive::list_base_hook<boost::intrusive::tag<BackingWait>,
                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  void written_back() override;

  CachedWrite& write_;
  Instant since_;
};

// Write-back begins at once for them; in log order, as always.
class WrittenThrough {
 public:
  WrittenThrough() = default;
  WrittenThrough(const WrittenThrough&) = delete;
  WrittenThrough& operator=(const WrittenThrough&) = delete;

  // Any thread: the write is durable in the cache. It is told when the backing has it, too.
  void push(CacheCommand& write) { coming_.push(write); }

  // The keeper's thread, from here on.
  void take(WriteBack& write_back, Instant now);
  // The backing does not get on: who has waited since before this is told that it will not do.
  void give_up(Instant before);
  [[nodiscard]] bool empty() const { return coming_.empty() && waiting_.empty(); }

 private:
  HandOver<CacheCommand> coming_;
  boost::intrusive::list<BackingWait, boost::intrusive::base_hook<BackingWait::Listed>,
                         boost::intrusive::constant_time_size<false>>
      waiting_;  // who has waited longest comes first
};

}  // namespace engine
