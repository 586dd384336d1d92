// How thorough a test that repeats itself is.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace engine {

// A sanitizer makes each round take some ten times as long.
#ifdef FOREBAY_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// Less under a sanitizer, but in the long form.
inline bool is_short() { return sanitized && std::getenv("FOREBAY_LONG") == nullptr; }

// Of a random test: an eighth.
inline unsigned rounds(unsigned usual) { return is_short() ? usual / 8 : usual; }

// A test that looks at every step of something looks at each fifth. Where it does so again with
// another seed, it begins one later.
inline std::uint64_t stride() { return is_short() ? 5 : 1; }
inline std::uint64_t first_step(std::uint64_t seed) { return 1 + seed % stride(); }

}  // namespace engine
