// GUARD: names a step or check on which a promise rests, so that a test can show what it is for.
#pragma once

// GUARD("name") is true. Only in the mutants' test build (tests/crash) is it false while a test has
// switched that one off:
//   if (GUARD("data fence")) writer.fence();
//   if (GUARD("kset crc") && crc != expected) return bad_crc;
// Names are listed with what they protect in docs/recovery.md.
#ifdef FOREBAY_MUTANTS
namespace engine {
[[nodiscard]] bool guard_is_on(const char* name);
}  // namespace engine
#define GUARD(name) (::engine::guard_is_on(name))
#else
#define GUARD(name) true
#endif
