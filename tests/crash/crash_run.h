// CrashRun: a seeded workload on a simulated device, with power failing wherever it can.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/cache_actor.h"
#include "engine/foundation/random.h"
#include "tests/crash/crash_counts.h"
#include "tests/crash/crash_world.h"

namespace engine::test {

// Where it looks.
enum class CrashFocus : std::uint8_t {
  everything,
  cache,       // write-back is there for space alone
  write_back,  // the persist points of commits are passed over
};
[[nodiscard]] constexpr bool is_looked_at(CrashFocus focus, CrashKind kind) {
  return focus == CrashFocus::everything ||
         (kind == CrashKind::write_back) == (focus == CrashFocus::write_back);
}

struct CrashOptions {
  std::uint64_t seed = 1;
  std::uint64_t lives = 4;
  std::uint64_t steps = 40;           // in a life
  std::uint64_t states = 4000;        // end the run at about so many
  std::uint64_t most_states = ~0ULL;  // of `counts` altogether
  // Looks at one persist point of so many times as usual; and of those inside updates of entries.
  std::uint64_t thin = 1;
  std::uint64_t thin_entries = 1;
  CrashFocus focus = CrashFocus::everything;
  bool churns = false;  // the log above all: ksets of one size, chunks used again
  // Write-back goes through a journal: in every life, or in all but each third one.
  bool journalled = false;
  bool journalled_at_times = false;
  bool data_is_fenced = true;  // false for the mutant that does not
};

// Scripted cases.
void run_transient_error(CrashCounts& counts);
void run_chunks_behind_damage(CrashCounts& counts);
void run_rotten_payload(CrashCounts& counts);

// Runs until the lives are over, or the first violation.
void run_crashes(const CrashOptions& options, CrashCounts& counts);

}  // namespace engine::test
