#include "engine/foundation/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace engine {

namespace {
std::atomic<void (*)() noexcept> last_call{nullptr};
}  // namespace

void before_abort(void (*call)() noexcept) { last_call.store(call); }

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", condition, file, line);
  // Once: it may fail itself.
  if (auto* const call = last_call.exchange(nullptr)) call();
  std::abort();
}

}  // namespace engine
