// CrashForm: how many states the tests of a crash suite visit, and what is said of them.
#pragma once

#include <cstdint>
#include <span>

#include "tests/crash/crash_counts.h"

namespace engine::test {

// Of CrashSuite's test, unless FOREBAY_CRASH_STATES says otherwise; others take a share.
inline constexpr std::uint64_t usual_crash_states = 60'000;

// What the environment says, or what is usual.
[[nodiscard]] std::uint64_t number_of(const char* variable, std::uint64_t usual);
// One in `share` of what CrashSuite's test visits.
[[nodiscard]] inline std::uint64_t wanted_states(std::uint64_t share) {
  return number_of("FOREBAY_CRASH_STATES", usual_crash_states) / share;
}
// Prints what was visited; the test fails if something was wrong, if fewer than `wanted` states
// were visited, or, in a form that is not shorter than usual, fewer than `least` of any of `kinds`.
void expect_spread(const CrashCounts& counts, std::uint64_t wanted,
                   std::span<const CrashKind> kinds, std::uint64_t least);

}  // namespace engine::test
