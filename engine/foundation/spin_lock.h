// SpinLock: guards a few dozen instructions; never held across I/O, a system call or a wait.
#pragma once

#include <atomic>
#include <thread>

namespace engine {

// Four bytes; satisfies Lockable. A waiter gives its core away after a while, because the holder
// may have been descheduled on it.
class SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() noexcept {
    while (!try_lock()) wait();
  }
  [[nodiscard]] bool try_lock() noexcept {
    return held_.exchange(1, std::memory_order_acquire) == 0;
  }
  void unlock() noexcept { held_.store(0, std::memory_order_release); }

 private:
  void wait() const noexcept {
    for (int spins = 0; held_.load(std::memory_order_relaxed) != 0; ++spins) {
      if (spins < 1000) {
        __builtin_ia32_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  std::atomic<unsigned> held_{0};
};

}  // namespace engine
