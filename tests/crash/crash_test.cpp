// Power fails at every persist point of seeded workloads; what is recovered is an exact prefix of
// the log's order that holds every acknowledged command.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/crash/crash_run.h"
#include "tests/crash/page_crash_run.h"

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

// The same on a device of pages, torn by sectors or destroyed, which the kernel writes whenever it
// likes, and with syncs that fail.
TEST(PageCrashSuite, EverythingAcknowledgedIsThereAndNothingElse) {
  const bool is_long = std::getenv("FOREBAY_LONG") != nullptr;
  const std::uint64_t wanted = is_long ? 1'000'000 : 12'000;
  CrashCounts counts;
  for (std::uint64_t seed = 1; counts.total() < wanted && counts.violations == 0; ++seed) {
    run_page_crashes({.seed = seed, .states = 1500, .most_states = wanted}, counts);
  }
  print(counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
  for (std::size_t kind = 0; kind < crash_kinds; ++kind) {
    // Of bad media there are tests enough on finer ones.
    if (kind == static_cast<std::size_t>(CrashKind::rotten_kset)) continue;
    EXPECT_GE(counts.states[kind], 100U) << text(static_cast<CrashKind>(kind));
  }
}

TEST(PageCrashSuite, OneSeed) {
  const char* const given = std::getenv("FOREBAY_CRASH_SEED");
  CrashCounts counts;
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  run_page_crashes({.seed = seed}, counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

}  // namespace
}  // namespace engine::test
