// How thorough a test that repeats itself is.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace engine {

// A sanitizer makes each round take some ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// Of a random test: under a sanitizer an eighth, but in the long form.
inline unsigned rounds(unsigned usual) {
  return sanitized && std::getenv("FOREBAY_LONG") == nullptr ? usual / 8 : usual;
}

// A test that looks at every step of something looks, under a sanitizer, at each fifth; but in the
// long form. Where it does so again with another seed, it begins one later.
inline std::uint64_t stride() { return rounds(8) == 8 ? 1 : 5; }
inline std::uint64_t first_step(std::uint64_t seed) { return 1 + seed % stride(); }

}  // namespace engine
