// CrashCounts: how often power has failed, when, and what was wrong afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace engine::test {

// What was going on when power failed.
enum class CrashKind : std::uint8_t {
  data_copy,
  kset_append,
  segment_switch,
  chunk_switch,
  table_update,
  recovery,
  second_recovery,
  kill_then_power,  // the process was killed, another one recovered, then power failed
  rotten_kset,      // both copies of a kset, or one copy of a chunk, went bad besides
  write_back,       // of a backing too
  reclaim,          // keys logged again, tails, and what is freed behind them
  compaction,       // data that reclaim moves: copied, logged, and K on its way past it
  mode_switch,      // what has begun in the mode before is not over
  settled_mode,     // commands through the cache or around it, in a mode that is not new
};
inline constexpr std::size_t crash_kinds = 14;
[[nodiscard]] const char* text(CrashKind kind);

struct CrashCounts {
  std::array<std::uint64_t, crash_kinds> states{};
  std::uint64_t violations = 0;
  std::uint64_t live_checks = 0;
  std::uint64_t backing_checks = 0;  // of backings alone, at the moment that their marker names
  std::uint64_t journals = 0;        // of those: together with what their journals had
  std::string first_violation;       // what, and how to see it again
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] std::uint64_t of(CrashKind kind) const {
    return states[static_cast<std::size_t>(kind)];
  }
  void count(CrashKind kind) { ++states[static_cast<std::size_t>(kind)]; }
};

}  // namespace engine::test
