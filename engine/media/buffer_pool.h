// Aligned transfer buffers with one cap for the whole process: what the network fills and the disks
// read.
#pragma once

#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/foundation/units.h"

namespace engine {

// The `memory:` cap. Shared by every pool; any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(ByteCount limit) : limit_(limit.value) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // False when the cap would be exceeded; nothing is taken then.
  [[nodiscard]] bool try_take(ByteCount bytes);
  void give_back(ByteCount bytes);
  [[nodiscard]] ByteCount used() const { return {used_.load(std::memory_order_relaxed)}; }
  [[nodiscard]] ByteCount limit() const { return {limit_}; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

class BufferPool;

// A move-only duty: one buffer of a pool, given back when the lease ends. Only on the pool's
// thread.
class BufferLease {
 public:
  BufferLease() = default;
  BufferLease(BufferLease&& other) noexcept;
  BufferLease& operator=(BufferLease&& other) noexcept;
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
// wait().
class BufferWaiter : public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual void buffer_available() = 0;

 protected:
  ~BufferWaiter() = default;
};

// One thread's buffers, in power-of-two classes from 4 KiB to 2 MiB; freed ones are kept for reuse
// up to a bound and given back to the budget otherwise.
class BufferPool {
 public:
  explicit BufferPool(MemoryBudget& budget);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  static constexpr ByteCount largest = ByteCount{2U << 20};

  // nullopt when the budget is exhausted, or while earlier waiters are waiting (first come, first
  // served). bytes: 1..largest.
  [[nodiscard]] std::optional<BufferLease> lease(ByteCount bytes);
  // Queues `waiter` to be told when lease() may succeed again. Unlinks itself when destroyed.
  void wait(BufferWaiter& waiter);
  // Tells waiters if space has come free, also by other threads' pools; called once a reactor turn.
  void wake_waiters();
  [[nodiscard]] bool has_waiters() const { return !waiters_.empty(); }

 private:
  friend class BufferLease;
  void take_back(std::span<std::byte> bytes) noexcept;

  static constexpr std::size_t class_count = 10;  // 4 KiB << 0 .. 4 KiB << 9
  MemoryBudget& budget_;
  std::array<std::vector<std::byte*>, class_count> free_;
  boost::intrusive::list<BufferWaiter, boost::intrusive::constant_time_size<false>> waiters_;
};

}  // namespace engine
