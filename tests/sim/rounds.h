// How many rounds a random test goes.
#pragma once

#include <cstdlib>

namespace engine {

// Under a sanitizer, which makes each take some ten times as long, a quarter; but in the long form.
inline unsigned rounds(unsigned usual) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  if (std::getenv("FOREBAY_LONG") == nullptr) return usual / 4;
#endif
  return usual;
}

}  // namespace engine
