// Bytes become what hosts, disks and the power do to two cached volumes; each answer, and what is
// there after each crash, is compared with a model that knows nothing but the commands.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "tests/engine/volume/model_run.h"

#ifdef FOREBAY_PLANTED_BUG
// In the commit alone: the rest of the engine is as always.
bool engine::guard_is_on(const char* name) { return std::strcmp(name, "conditional key") != 0; }
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // One byte a number, two where that is too little; zeros when they are used up.
  std::size_t at = 0;
  const auto draw = [&](std::uint64_t bound) -> std::uint64_t {
    std::uint64_t number = at < size ? data[at++] : 0;
    if (bound > 256) number = (number << 8) | (at < size ? data[at++] : 0);
    return number % bound;
  };
  engine::test::ModelRun run(draw);
  bool agree = run.problem().empty();
  while (agree && at < size) agree = run.step(draw);
  agree = agree && run.finish();
  if (!agree) std::fprintf(stderr, "%s\n", run.problem().c_str());
  CHECK(agree);
  return 0;
}
