// SpaceQueue: the writes of one volume that wait for space in its cache, first come, first served.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>

#include "engine/foundation/clock.h"
#include "engine/foundation/spin_lock.h"

namespace engine {

class CachedWrite;

// Linked while it waits; of the queue's lock.
struct SpaceWaiter
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  Instant since;
  bool is_told = false;        // and has not looked since
  bool is_told_again = false;  // perhaps after it has looked
};

// Any thread. One spin-lock, held for a few instructions; a leaf. Nothing is held for who waits:
// the first is told to try again when space may have come back, on its own lane.
class SpaceQueue {
 public:
  SpaceQueue() = default;
  SpaceQueue(const SpaceQueue&) = delete;
  SpaceQueue& operator=(const SpaceQueue&) = delete;

  [[nodiscard]] bool empty() const { return waiting_.load(std::memory_order_acquire) == 0; }
  // `next`: it has waited before, for the part of it that came before this one.
  enum class Turn : std::uint8_t { last, next };
  void add(CachedWrite& write, Instant since, Turn turn);
  // Since when the first has waited; nullopt: nobody does.
  [[nodiscard]] std::optional<Instant> waits_since();
  // There may be space: tells the first, who looks once more if it has been told and may be
  // looking already.
  void tell_first();
  // It is to look now, wherever it stands.
  void tell(CachedWrite& write);
  // It has looked, and goes on waiting.
  void stay(CachedWrite& write);
  // It does not wait any more, and the next may look.
  void leave(CachedWrite& write);

 private:
  // With the lock held.
  [[nodiscard]] static bool note_told(SpaceWaiter& waiter);

  SpinLock lock_;  // guards what follows
  boost::intrusive::list<SpaceWaiter, boost::intrusive::constant_time_size<false>> writes_;
  std::atomic<std::size_t> waiting_{0};  // written under the lock
};

}  // namespace engine
