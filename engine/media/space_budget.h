// SpaceBudget: what of a pool's free space nobody has been promised.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/foundation/units.h"

namespace engine {

// Who writes where there is no space yet asks admits() before anything is answered, and says
// ended() when the write has ended, however. From then on what of it is not on the file system is
// in a cache, and part of what is owed. The thread that measures says what is free and what is
// owed.
//
// Why nothing is promised twice: measure() reads what has ended, then what is owed, then what is
// free. Who has ended by then is written down among what is owed, or on the file system, and then
// missing from what is free. Who has not ended, or was admitted later, is in what was taken from
// the budget and is not given back. So what is left is at most what is free, less what is owed and
// what is under way. Everything that moves between the three readings (ends, or is written back) is
// counted twice, never missed.
class SpaceBudget {
 public:
  // Any thread: whether there is so much. True: it is taken, until ended().
  [[nodiscard]] bool admits(ByteCount bytes) {
    const auto wanted = static_cast<std::int64_t>(bytes.value);
    if (left_.load(std::memory_order_relaxed) < wanted) return false;
    if (left_.fetch_sub(wanted, std::memory_order_relaxed) >= wanted) return true;
    left_.fetch_add(wanted, std::memory_order_relaxed);
    return false;
  }
  // Any thread. What is owed of it is said to be so by then.
  void ended(ByteCount bytes) { ended_.fetch_add(bytes.value, std::memory_order_release); }
  // Any thread: so much has been found to be owed, and is from before now.
  void found(ByteCount bytes) {
    left_.fetch_sub(static_cast<std::int64_t>(bytes.value), std::memory_order_relaxed);
    ended(bytes);
  }

  // One thread, from here on. `owed` and `free` are asked in this order. Nothing is changed where
  // what is free cannot be told (nullopt).
  template <class Owed, class Free>
  void measure(const Owed& owed, const Free& free) {
    const std::uint64_t ended = ended_.load(std::memory_order_acquire);
    const ByteCount owed_now = owed();
    if (const auto free_now = free()) set(*free_now, ended, owed_now);
  }
  // Until the next measure() nobody gets anything: the thread itself takes space.
  void hold();
  // Promised and not on the file system, when it was last measured.
  [[nodiscard]] ByteCount promised() const { return promised_; }

 private:
  void set(ByteCount free, std::uint64_t ended, ByteCount owed);

  std::atomic<std::int64_t> left_{0};
  std::atomic<std::uint64_t> ended_{0};  // of all that was ever taken
  // What is left, and all that was ever taken of it; wraps, and only differences count.
  std::int64_t given_ = 0;
  ByteCount promised_;
};

}  // namespace engine
