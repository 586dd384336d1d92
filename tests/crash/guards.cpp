#include "tests/crash/guards.h"

#include "engine/foundation/guard.h"

namespace engine {
namespace {

std::string off_name;
std::uint64_t uses = 0;

}  // namespace

#ifdef FOREBAY_MUTANTS
bool guard_is_on(const char* name) {
  if (off_name.empty() || off_name != name) return true;
  ++uses;
  return false;
}
#endif

namespace test {

void switch_guard_off(const std::string& name) {
  off_name = name;
  uses = 0;
}

std::uint64_t guard_uses() { return uses; }

}  // namespace test
}  // namespace engine
