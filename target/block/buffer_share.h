// BufferShare: how much of the transfer buffers the commands of one volume hold. A disk that hangs
// keeps what it was given; this bounds what that is (P5).
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"

namespace target::block {

// Thread-safe. A command counts from its lease until the volume has done with the buffer, whether
// its connection still lives or not.
class BufferShare {
 public:
  BufferShare() = default;
  BufferShare(const BufferShare&) = delete;
  BufferShare& operator=(const BufferShare&) = delete;

  // A volume that has given nothing back for so long, while it holds buffers, hangs.
  static constexpr engine::Duration patience = std::chrono::seconds(1);

  // True if commands of this volume may hold `bytes` more: at most three times what is then free of
  // `budget`. One volume alone gets three quarters of the memory; of several that hang, each gets
  // as much as the others, and something stays free. Those that make progress hardly notice: there
  // is a small amount that everyone may hold.
  [[nodiscard]] bool admits(std::uint64_t bytes, const engine::MemoryBudget& budget) const {
    const std::uint64_t wanted = held() + bytes;
    return wanted <= small_bytes || budget.has_free({bytes + wanted / times_free});
  }
  void take(std::uint64_t bytes, engine::Instant now) {
    if (held_.fetch_add(bytes, std::memory_order_relaxed) == 0) note_progress(now);
  }
  void give_back(std::uint64_t bytes, engine::Instant now) {
    held_.fetch_sub(bytes, std::memory_order_relaxed);
    note_progress(now);
  }
  [[nodiscard]] std::uint64_t held() const { return held_.load(std::memory_order_relaxed); }

  // When it counts as hanging, unless it gives something back before.
  [[nodiscard]] engine::Instant hangs_from() const {
    return {engine::Duration(progress_ns_.load(std::memory_order_relaxed)) + patience};
  }
  [[nodiscard]] bool hangs(engine::Instant now) const { return held() != 0 && now >= hangs_from(); }

 private:
  void note_progress(engine::Instant now) {
    progress_ns_.store(now.since_start.count(), std::memory_order_relaxed);
  }

  static constexpr std::uint64_t small_bytes = 64U << 10;
  static constexpr std::uint64_t times_free = 3;

  // Together, and with nobody else on their cache line: every reactor writes them.
  alignas(64) std::atomic<std::uint64_t> held_{0};
  std::atomic<engine::Duration::rep> progress_ns_{0};
};

}  // namespace target::block
