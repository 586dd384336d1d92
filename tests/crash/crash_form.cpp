#include "tests/crash/crash_form.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace engine::test {

std::uint64_t number_of(const char* variable, std::uint64_t usual) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : usual;
}

void expect_spread(const CrashCounts& counts, std::uint64_t wanted,
                   std::span<const CrashKind> kinds, std::uint64_t least) {
  for (std::size_t kind = 0; kind < crash_kinds; ++kind) {
    if (counts.states[kind] == 0) continue;
    std::cout << text(static_cast<CrashKind>(kind)) << ": " << counts.states[kind] << "\n";
  }
  std::cout << "crash states: " << counts.total() << ", live checks: " << counts.live_checks
            << ", of backings alone: " << counts.backing_checks
            << " (with their journals: " << counts.journals
            << "), violations: " << counts.violations << "\n";
  EXPECT_EQ(counts.violations, 0U) << counts.first_violation;
  EXPECT_GE(counts.total(), wanted);
  if (wanted_states(1) < usual_crash_states) return;  // too few to spread over all kinds
  for (const CrashKind kind : kinds) EXPECT_GE(counts.of(kind), least) << text(kind);
}

}  // namespace engine::test
