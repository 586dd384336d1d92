// Aligned transfer buffers with one cap for the whole process: what the network fills and the disks
// read.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/media/buffer_arena.h"

namespace engine {

class BufferPool;

// The `memory:` cap. Shared by every pool; any thread.
class MemoryBudget {
 public:
  // `kept`: what reservations leave to buffers in any case.
  explicit MemoryBudget(ByteCount limit, ByteCount kept = {})
      : limit_(limit.value), kept_(kept.value) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // For a buffer. False when the cap would be exceeded; nothing is taken then.
  [[nodiscard]] bool try_take(ByteCount bytes);
  // Wakes every pool that has waiters.
  void give_back(ByteCount bytes);
  [[nodiscard]] ByteCount used() const { return {used_.load(std::memory_order_relaxed)}; }
  // What is no buffer: see MemoryReservation.
  [[nodiscard]] ByteCount reserved() const { return {reserved_.load(std::memory_order_relaxed)}; }
  [[nodiscard]] ByteCount limit() const { return {limit_}; }
  // What the cap would have to be, at least, for all reservations that are asked for.
  [[nodiscard]] ByteCount needed() const {
    return {asked_.load(std::memory_order_relaxed) + kept_};
  }
  // True if at least so much is free, or kept by pools for nothing but reuse. Cheap as long as
  // memory is not short.
  [[nodiscard]] bool has_free(ByteCount bytes) const;

 private:
  friend class BufferPool;
  friend class MemoryReservation;
  // Beside what is kept for buffers, or, `beside_used`, beside what they have now, too.
  [[nodiscard]] bool try_reserve(ByteCount bytes, bool beside_used);
  void unreserve(ByteCount bytes);
  [[nodiscard]] std::uint64_t buffers_limit() const {
    return limit_ - reserved_.load(std::memory_order_relaxed);
  }
  void tell_of_release();
  void add(BufferPool& pool);
  void remove(BufferPool& pool);
  // `pool` has waiters now: the others give back what they keep for reuse.
  void begin_waiting(BufferPool& pool);
  void end_waiting();
  [[nodiscard]] bool someone_waits() const {
    return waiting_pools_.load(std::memory_order_relaxed) != 0;
  }
  // `pool` has watchers now: it is woken whenever a buffer comes free in any pool.
  void begin_watching(BufferPool& pool);
  void end_watching();
  [[nodiscard]] bool someone_watches() const {
    return watching_pools_.load(std::memory_order_relaxed) != 0;
  }
  // A buffer has come free that is kept for reuse.
  void tell_watching();
  void wake_watching();
  void wake_all();

  const std::uint64_t limit_;
  const std::uint64_t kept_;
  std::atomic<std::uint64_t> used_{0};      // by buffers
  std::atomic<std::uint64_t> reserved_{0};  // never more than the limit
  std::atomic<std::uint64_t> asked_{0};     // sum of what is asked for, granted or not
  std::atomic<std::uint64_t> releases_{0};  // counts give_back(): tells a waiter that it missed one
  std::atomic<std::uint32_t> waiting_pools_{0};
  std::atomic<std::uint32_t> watching_pools_{0};
  mutable std::mutex mutex_;  // guards pools_; a leaf but for the pools' wake functions
  std::vector<BufferPool*> pools_;
  BufferArena arena_;
};

// A move-only duty: one buffer of a pool, given back when the lease ends. Only on the pool's
// thread.
class BufferLease {
 public:
  BufferLease() = default;
  BufferLease(BufferLease&& other) noexcept : pool_(other.pool_), bytes_(other.bytes_) {
    other.pool_ = nullptr;
    other.bytes_ = {};
  }
  BufferLease& operator=(BufferLease&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = other.pool_;
    bytes_ = other.bytes_;
    other.pool_ = nullptr;
    other.bytes_ = {};
    return *this;
  }
  ~BufferLease() { release(); }

  // The whole buffer, 4096-aligned; at least as long as was asked for. Empty for an empty lease.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] explicit operator bool() const { return !bytes_.empty(); }
  void release() noexcept;

 private:
  friend class BufferPool;
  BufferLease(BufferPool& pool, std::span<std::byte> bytes) : pool_(&pool), bytes_(bytes) {}
  BufferPool* pool_ = nullptr;
  std::span<std::byte> bytes_;
};

// Somebody waiting for a buffer. Called once, on the pool's thread, never from inside lease() or
// wait(). It may find that lease() fails nevertheless, and wait() again: it keeps its place then.
class BufferWaiter : public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual void buffer_available() = 0;

 protected:
  ~BufferWaiter() = default;
};

// One thread's buffers, in power-of-two classes from 4 KiB to 2 MiB; freed ones are kept for reuse
// up to a bound and given back to the budget otherwise, and all of them while any pool has waiters.
// All of it on one thread. Leases must have ended, and the budget must live, when it is destroyed.
class BufferPool {
 public:
  // `wake`, from any thread: makes the pool's thread call wake_waiters() soon. Without it only
  // buffers of this pool and calls of wake_waiters() help waiters.
  explicit BufferPool(MemoryBudget& budget, std::function<void()> wake = {});
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  static constexpr ByteCount largest = ByteCount{2U << 20};
  // Length of the reserve buffer.
  static constexpr ByteCount reserve_length = ByteCount{128U << 10};

  // nullopt when the budget is exhausted, or while earlier waiters are waiting (first come, first
  // served). bytes: 1..largest.
  [[nodiscard]] std::optional<BufferLease> lease(ByteCount bytes);
  // Queues `waiter` to be told when lease() may succeed again. Unlinks itself when destroyed.
  void wait(BufferWaiter& waiter);
  // Queues `waiter`, who does not want to lease as long as so little is free, to be told when more
  // is. Nobody waits behind it.
  void watch(BufferWaiter& waiter);

  // The one buffer for those on whom holders of all others depend (bouncing a write out): outside
  // of the cap, made at its first use. nullopt while it is out.
  [[nodiscard]] std::optional<BufferLease> lease_reserve();
  void wait_for_reserve(BufferWaiter& waiter);

  // Gives up half of what is kept for reuse: called every few seconds, it lets the memory of a busy
  // time go without hurting who is still busy.
  void trim() noexcept;

  // Tells waiters if space has come free, also by other threads' pools; lanes call it in reap().
  void wake_waiters();
  // Memory is short: somebody waits or watches.
  [[nodiscard]] bool has_waiters() const { return !waiters_.empty() || !watchers_.empty(); }
  [[nodiscard]] const MemoryBudget& budget() const { return budget_; }

 private:
  friend class BufferLease;
  friend class MemoryBudget;
  using Waiters = boost::intrusive::list<BufferWaiter, boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] std::optional<BufferLease> lease_new(std::size_t size_class);
  void take_back(std::span<std::byte> bytes) noexcept;
  void give_up_kept() noexcept { give_up_kept(0); }
  void give_up_kept(std::uint64_t remaining_bytes) noexcept;
  void serve();
  void tell_watchers();
  void stop_waiting_if_empty();
  void wake_from_any_thread();

  static constexpr std::size_t class_count = BufferArena::class_count;
  static constexpr std::size_t reserve_class = 5;
  static_assert(BufferArena::page_bytes << reserve_class == reserve_length.value);

  MemoryBudget& budget_;
  const std::function<void()> wake_;
  std::atomic<bool> wake_sent_{false};

  std::array<std::vector<std::byte*>, class_count> free_;
  std::atomic<std::uint64_t> kept_bytes_{0};  // written by this thread alone
  const std::uint64_t keep_limit_bytes_;
  std::uint64_t outstanding_ = 0;  // leases, the reserve included

  Waiters waiters_;
  bool waiting_ = false;  // this pool is counted in the budget's waiting_pools_
  bool serving_ = false;  // a waiter is being called: it may lease ahead of the others
  bool served_ = false;   // ... and has got something
  std::uint64_t seen_releases_ = 0;

  Waiters watchers_;
  std::atomic<bool> watching_{false};       // counted in the budget's watching_pools_
  std::atomic<bool> asked_to_tell_{false};  // another pool has begun to watch
  bool freed_ = false;                      // a buffer has come free since watchers were told
  std::uint64_t told_releases_ = 0;         // releases_ when watchers were told

  std::byte* reserve_ = nullptr;
  bool reserve_out_ = false;
  Waiters reserve_waiters_;
};

inline void BufferLease::release() noexcept {
  if (pool_ == nullptr) return;
  BufferPool* pool = pool_;
  pool_ = nullptr;
  pool->take_back(bytes_);
  bytes_ = {};
}

inline std::optional<BufferLease> BufferPool::lease(ByteCount bytes) {
  if (!waiters_.empty() && !serving_) return std::nullopt;
  const auto size_class = static_cast<std::size_t>(std::bit_width((bytes.value - 1) >> 12));
  if (size_class >= class_count || free_[size_class].empty()) return lease_new(size_class);
  std::byte* memory = free_[size_class].back();
  free_[size_class].pop_back();
  const std::size_t length = BufferArena::page_bytes << size_class;
  kept_bytes_.store(kept_bytes_.load(std::memory_order_relaxed) - length,
                    std::memory_order_relaxed);
  ++outstanding_;
  served_ = true;
  return BufferLease(*this, {memory, length});
}

}  // namespace engine
