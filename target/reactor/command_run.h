// CommandRun: commands of one reactor that begin in the same turn, one after the other, for the
// same volume; and BegunCounter: how many have begun for it.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "target/reactor/latency_counters.h"

namespace target {

// The reactor's thread counts, any thread reads. Some of what it counts is timed stage by stage.
class BegunCounter {
 public:
  // One more. True: its stages are timed; whoever begins it says by time_again_after() which one is
  // the next.
  [[nodiscard]] bool add() {
    add_owned(begun_);
    return --until_timed_ == 0;
  }
  void time_again_after(std::uint32_t commands) { until_timed_ = commands; }
  // Of those that are timed because the volume is named: every how-manieth is the reactor's too.
  [[nodiscard]] bool is_reactors_turn(std::uint32_t one_of) {
    if (--until_reactors_ != 0) return false;
    until_reactors_ = one_of;
    return true;
  }
  [[nodiscard]] std::uint64_t count() const { return begun_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> begun_{0};
  std::uint32_t until_timed_ = 1;  // the first is
  std::uint32_t until_reactors_ = 1;
};

// So that a command need not look up where it is counted: most begin behind one like them. Lasts
// until the turn has ended at the longest.
struct CommandRun {
  const void* whose = nullptr;  // the volume, only to be compared with; nullptr: there is none
  BegunCounter* counter = nullptr;
  // When its commands began. No other run of the reactor has the same, so whoever has this has the
  // volume, too: a run that would have it is a nanosecond later.
  engine::Instant began{};
};

}  // namespace target
