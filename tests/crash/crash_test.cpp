// Power fails at every persist point of seeded workloads; what is recovered is an exact prefix of
// the log's order that holds every acknowledged command.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/crash/crash_run.h"
#include "tests/crash/reclaim_driver.h"

namespace engine::test {
namespace {

void print(const CrashCounts& counts) {
  for (std::size_t kind = 0; kind < crash_kinds; ++kind) {
    std::cout << text(static_cast<CrashKind>(kind)) << ": " << counts.states[kind] << "\n";
  }
  std::cout << "crash states: " << counts.total() << ", live checks: " << counts.live_checks
            << ", violations: " << counts.violations << "\n";
}

// FOREBAY_LONG: millions.
TEST(CrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  const bool is_long = std::getenv("FOREBAY_LONG") != nullptr;
  const std::uint64_t wanted = is_long ? 5'000'000 : 60'000;
  CrashCounts counts;
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    run_crashes({.seed = seed, .most_states = wanted, .churns = seed % 8 == 0}, counts);
  }
  run_transient_error(counts);
  run_reclaim(counts);
  run_overtaken_fill(counts);
  print(counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
  for (std::size_t kind = 0; kind < crash_kinds; ++kind) {
    EXPECT_GE(counts.states[kind], 500U) << text(static_cast<CrashKind>(kind));
  }
}

// FOREBAY_CRASH_SEED: the one to look at.
TEST(CrashSuite, OneSeed) {
  const char* const given = std::getenv("FOREBAY_CRASH_SEED");
  CrashCounts counts;
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  run_crashes({.seed = seed, .churns = seed % 8 == 0}, counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

}  // namespace
}  // namespace engine::test
