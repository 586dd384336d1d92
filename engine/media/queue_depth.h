// QueueDepth: how many operations all lanes together may have with the kernel for one backing.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

namespace engine {

// Lanes cap a backing each for itself (InFlightLimiter); where the operator has set a depth, they
// also share this one. A lane that finds nothing free queues its Turn, and each operation that ends
// is given on to the first in the queue, so no lane goes past another. Any thread; the lock is a
// leaf but for Turn::granted().
//
// Invariants: a turn is queued only while as many as the limit are taken.
class QueueDepth {
 public:
  // A lane's place in the queue.
  class Turn {
   public:
    // Somebody else has given it a place: take() will succeed. On any thread, with the lock held:
    // it may only wake its own thread.
    virtual void granted() = 0;

   protected:
    ~Turn() = default;

   private:
    friend class QueueDepth;
    std::uint32_t places_ = 0;  // given, not taken yet; under the lock
    bool is_queued_ = false;    // so is that
  };

  QueueDepth() = default;
  QueueDepth(const QueueDepth&) = delete;
  QueueDepth& operator=(const QueueDepth&) = delete;

  // Of an IoSource::backing, not 0; lives as long as the process.
  [[nodiscard]] static QueueDepth& of(std::uint32_t backing);
  // What all backings together are allowed: of so many operations each may need a worker.
  [[nodiscard]] static std::uint64_t allowed() { return allowed_.load(std::memory_order_relaxed); }

  // In operations; 0: none of its own, only the lanes' caps. Where it falls, what is under way
  // ends before more is begun.
  void set_limit(std::uint32_t limit);
  [[nodiscard]] std::uint32_t limit() const { return limit_.load(std::memory_order_relaxed); }

  // True: one place is taken, to be given back. False: `turn` is queued, and told.
  [[nodiscard]] bool take(Turn& turn);
  // True: `turn`, who calls, was itself the first in the queue, and has been given it again.
  [[nodiscard]] bool give_back(Turn& turn);
  // `turn` has no use for a place, or ends: it leaves the queue, and what it was given.
  void leave(Turn& turn);

 private:
  // With mutex_ held: free places go to those who wait. All are told but `caller`.
  void grant(const Turn* caller);

  static std::atomic<std::uint64_t> allowed_;

  std::atomic<std::uint32_t> limit_{0};  // written under mutex_
  std::mutex mutex_;                     // guards what follows
  std::uint32_t taken_ = 0;
  std::deque<Turn*> queue_;
};

}  // namespace engine
