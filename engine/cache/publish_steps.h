// PublishSteps: by which readers know that what they look up is of one moment.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "engine/cache/extent.h"
#include "engine/foundation/guard.h"

namespace engine {

// A range inside one stripe of the index becomes visible at once, under the stripe's lock. A
// command that needs several such steps (over a border of stripes, or with several keys because its
// data lies in several segments) is announced here, by whoever holds the volume's commit lock. A
// reader looks here, looks its stripes up, and begins again if anything was announced meanwhile:
// so it sees every command whole, or not at all. There is nothing to do for a command of one step.
//
// Announced commands come one after the other, each in microseconds, and a reader that has to begin
// again has seen one of them end: so readers get on.
class PublishSteps {
 public:
  // The holder of the commit lock; end() when the last step is done.
  void begin(SectorRange range) {
    // Each of them for whoever sees the one before, and of a step what its lock guards.
    begin_.store(range.begin.value, std::memory_order_release);
    end_.store(range.end().value, std::memory_order_release);
    add_one();
  }
  void end() { add_one(); }

  // Any thread, before it looks the range up; waits, as for a spin-lock, while a command that
  // overlaps it is under way.
  [[nodiscard]] std::uint64_t look(SectorRange range) const {
    for (int looks = 0;; ++looks) {
      const std::uint64_t count = count_.load(std::memory_order_acquire);
      if (count % 2 == 0 || !GUARD("readers see commands whole")) return count;
      const std::uint64_t begin = begin_.load(std::memory_order_acquire);
      const std::uint64_t end = end_.load(std::memory_order_acquire);
      const bool is_same = count_.load(std::memory_order_acquire) == count;
      if (is_same && (end <= range.begin.value || begin >= range.end().value)) return count;
      if (looks < 1000) {
        __builtin_ia32_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }
  // What was looked up since then is of one moment.
  [[nodiscard]] bool unchanged(std::uint64_t since) const {
    return count_.load(std::memory_order_acquire) == since || !GUARD("readers see commands whole");
  }

 private:
  void add_one() {
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  std::atomic<std::uint64_t> count_{0};  // odd: a command is under way
  std::atomic<std::uint64_t> begin_{0};  // of the last: sectors
  std::atomic<std::uint64_t> end_{0};
};

}  // namespace engine
