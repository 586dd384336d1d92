#include "engine/foundation/check.h"

#include <cstdio>
#include <cstdlib>

namespace engine {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace engine
