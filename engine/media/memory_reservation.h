// MemoryReservation: a part of the `memory:` cap for what is no buffer: the index of a cache.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/media/buffer_pool.h"

namespace engine {

// Given back when it ends. What has been asked for stays known to the budget until then, also if it
// was refused: MemoryBudget::needed().
class MemoryReservation {
 public:
  explicit MemoryReservation(MemoryBudget& budget) : budget_(budget) {}
  MemoryReservation(const MemoryReservation&) = delete;
  MemoryReservation& operator=(const MemoryReservation&) = delete;
  ~MemoryReservation();

  // So much for certain, in place of what was asked for before. False: nothing is held now. The
  // answer depends on sizes alone, not on what buffers have at the moment: they give way as they
  // come back. One thread, before grow().
  [[nodiscard]] bool ask(ByteCount bytes);
  // More, if nobody has it. Any thread.
  [[nodiscard]] bool grow(ByteCount more);
  [[nodiscard]] ByteCount held() const { return {held_.load(std::memory_order_relaxed)}; }

 private:
  void give_back();

  MemoryBudget& budget_;
  std::uint64_t asked_ = 0;
  std::atomic<std::uint64_t> held_{0};
};

}  // namespace engine
