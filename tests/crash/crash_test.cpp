// Power fails at every persist point of seeded workloads; what is recovered is an exact prefix of
// the log's order that holds every acknowledged command.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/crash/crash_run.h"
#include "tests/crash/lost_blocks.h"
#include "tests/crash/page_crash_run.h"
#include "tests/crash/page_entries.h"
#include "tests/crash/reclaim_driver.h"

namespace engine::test {
namespace {

void print(const CrashCounts& counts) {
  for (std::size_t kind = 0; kind < crash_kinds; ++kind) {
    std::cout << text(static_cast<CrashKind>(kind)) << ": " << counts.states[kind] << "\n";
  }
  std::cout << "crash states: " << counts.total() << ", live checks: " << counts.live_checks
            << ", of backings alone: " << counts.backing_checks
            << " (with their journals: " << counts.journals
            << "), violations: " << counts.violations << "\n";
}

std::uint64_t number_of(const char* variable, std::uint64_t usual) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : usual;
}

// FOREBAY_CRASH_STATES: so many. A few thousand do not spread over all kinds.
TEST(CrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  constexpr std::uint64_t usual = 60'000;
  const std::uint64_t wanted = number_of("FOREBAY_CRASH_STATES", usual);
  CrashCounts counts;
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    run_crashes({.seed = seed,
                 .most_states = wanted,
                 .churns = seed % 8 == 0,
                 .journalled = seed % 4 == 2,
                 .journalled_at_times = seed % 4 == 3},
                counts);
  }
  run_transient_error(counts);
  run_chunks_behind_damage(counts);
  run_rotten_payload(counts);
  run_reclaim(counts);
  run_overtaken_fill(counts);
  run_lost_blocks(counts);
  print(counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
  EXPECT_GE(counts.total(), wanted);
  EXPECT_TRUE(wanted < usual || counts.journals >= 500U) << counts.journals;
  for (std::size_t kind = 0; kind < crash_kinds && wanted >= usual; ++kind) {
    EXPECT_GE(counts.states[kind], 500U) << text(static_cast<CrashKind>(kind));
  }
}

// FOREBAY_CRASH_SEED: the one to look at.
TEST(CrashSuite, OneSeed) {
  CrashCounts counts;
  const std::uint64_t seed = number_of("FOREBAY_CRASH_SEED", 1);
  run_crashes({.seed = seed,
               .churns = seed % 8 == 0,
               .journalled = seed % 4 == 2,
               .journalled_at_times = seed % 4 == 3},
              counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

// The same on a device of pages, torn by sectors or destroyed, which the kernel writes whenever it
// likes, and with syncs that fail.
TEST(PageCrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  constexpr std::uint64_t usual = 12'000;
  const std::uint64_t wanted = number_of("FOREBAY_CRASH_STATES", 5 * usual) / 5;
  CrashCounts counts;
  run_page_entries(counts);
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    run_page_crashes({.seed = seed, .states = 1500, .most_states = wanted}, counts);
  }
  print(counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
  EXPECT_GE(counts.total(), wanted);
  for (std::size_t at = 0; at < crash_kinds && wanted >= usual; ++at) {
    const auto kind = static_cast<CrashKind>(at);
    // Of these there are tests enough on finer media.
    if (kind == CrashKind::rotten_kset || kind == CrashKind::write_back ||
        kind == CrashKind::reclaim) {
      continue;
    }
    EXPECT_GE(counts.states[at], 100U) << text(kind);
  }
}

TEST(PageCrashSuite, OneSeed) {
  CrashCounts counts;
  const std::uint64_t seed = number_of("FOREBAY_CRASH_SEED", 1);
  run_page_crashes({.seed = seed}, counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

}  // namespace
}  // namespace engine::test
