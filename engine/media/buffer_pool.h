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

namespace engine {

class BufferPool;

// The `memory:` cap. Shared by every pool; any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(ByteCount limit) : limit_(limit.value) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // False when the cap would be exceeded; nothing is taken then.
  [[nodiscard]] bool try_take(ByteCount bytes);
  // Wakes every pool that has waiters.
  void give_back(ByteCount bytes);
  [[nodiscard]] ByteCount used() const { return {used_.load(std::memory_order_relaxed)}; }
  [[nodiscard]] ByteCount limit() const { return {limit_}; }

 private:
  friend class BufferPool;
  void add(BufferPool& pool);
  void remove(BufferPool& pool);
  // `pool` has waiters now: the others give back what they keep for reuse.
  void begin_waiting(BufferPool& pool);
  void end_waiting();
  [[nodiscard]] bool someone_waits() const {
    return waiting_pools_.load(std::memory_order_relaxed) != 0;
  }
  void wake_all();

  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> releases_{0};  // counts give_back(): tells a waiter that it missed one
  std::atomic<std::uint32_t> waiting_pools_{0};
  std::mutex mutex_;  // guards pools_; a leaf but for the pools' wake functions
  std::vector<BufferPool*> pools_;
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

  // The one buffer for those on whom holders of all others depend (bouncing a write out): outside
  // of the cap, made at its first use. nullopt while it is out.
  [[nodiscard]] std::optional<BufferLease> lease_reserve();
  void wait_for_reserve(BufferWaiter& waiter);

  // Gives up half of what is kept for reuse: called every few seconds, it lets the memory of a busy
  // time go without hurting who is still busy.
  void trim() noexcept;

  // Tells waiters if space has come free, also by other threads' pools; lanes call it in reap().
  void wake_waiters();
  [[nodiscard]] bool has_waiters() const { return !waiters_.empty(); }

 private:
  friend class BufferLease;
  friend class MemoryBudget;
  using Waiters = boost::intrusive::list<BufferWaiter, boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] std::optional<BufferLease> lease_new(std::size_t size_class);
  void take_back(std::span<std::byte> bytes) noexcept;
  void give_up_kept() noexcept { give_up_kept(0); }
  void give_up_kept(std::uint64_t remaining_bytes) noexcept;
  void serve();
  void stop_waiting_if_empty();
  void wake_from_any_thread();

  static constexpr std::size_t class_count = 10;  // 4 KiB << 0 .. 4 KiB << 9
  MemoryBudget& budget_;
  const std::function<void()> wake_;
  std::atomic<bool> wake_sent_{false};

  std::array<std::vector<std::byte*>, class_count> free_;
  std::uint64_t kept_bytes_ = 0;
  const std::uint64_t keep_limit_bytes_;
  std::uint64_t outstanding_ = 0;  // leases, the reserve included

  Waiters waiters_;
  bool waiting_ = false;  // this pool is counted in the budget's waiting_pools_
  bool serving_ = false;  // a waiter is being called: it may lease ahead of the others
  bool served_ = false;   // ... and has got something
  std::uint64_t seen_releases_ = 0;

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
  const std::size_t length = std::size_t{4096} << size_class;
  kept_bytes_ -= length;
  ++outstanding_;
  served_ = true;
  return BufferLease(*this, {memory, length});
}

}  // namespace engine
