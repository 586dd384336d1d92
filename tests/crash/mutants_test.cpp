// Each guard of the engine, switched off by name, makes the crash suite fail: so the suite looks,
// and the guard is needed.
#include <gtest/gtest.h>

#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "tests/crash/crash_run.h"
#include "tests/crash/guards.h"

namespace engine::test {
namespace {

constexpr std::uint64_t most_states = 2000;

struct Mutant {
  const char* guard;
  std::uint64_t seed = 1;
};

const std::vector<Mutant> mutants{
    {"data fence"},
    {"kset fence"},
    {"second kset copy"},
    {"kset crc"},
    {"kset sequence"},
    {"epoch limit"},
    {"epoch before the first kset"},
    {"generation"},
    {"larger sequence behind the end"},
    {"known durable"},
    {"accepted end is settled"},
    {"conditional key"},
    {"publish order"},
    {"publish before acknowledgement"},
    {"one replica at a time"},
    {"chunk header first"},
};

CrashCounts crash_without(const std::string& guard, std::uint64_t first_seed) {
  switch_guard_off(guard);
  CrashCounts counts;
  for (std::uint64_t seed = first_seed; counts.total() < most_states && counts.violations == 0;
       ++seed) {
    run_crashes({.seed = seed,
                 .states = 250,
                 .most_states = most_states,
                 .data_is_fenced = guard != "data fence"},
                counts);
  }
  return counts;
}

TEST(Mutants, EachDies) {
  for (const Mutant& mutant : mutants) {
    const CrashCounts counts = crash_without(mutant.guard, mutant.seed);
    EXPECT_GT(guard_uses(), 0U) << "no such guard: " << mutant.guard;
    std::cout << std::left << std::setw(36) << mutant.guard;
    if (counts.violations == 0) {
      std::cout << "SURVIVED " << counts.total() << " states\n";
      ADD_FAILURE() << mutant.guard << " is not missed";
      continue;
    }
    std::cout << "killed after " << counts.total() << " states: "
              << counts.first_violation.substr(0, counts.first_violation.find('\n')) << "\n";
  }
  switch_guard_off("");
}

TEST(Mutants, WithAllGuardsNothingIsFound) {
  switch_guard_off("");
  CrashCounts counts;
  run_crashes({.seed = 1}, counts);
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
}

}  // namespace
}  // namespace engine::test
