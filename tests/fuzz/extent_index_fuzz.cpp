// Bytes become operations on the cache's index and on its model, which must agree after each.
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "engine/foundation/check.h"
#include "tests/engine/cache/index_kit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engine;
  using namespace engine::index_kit;
  // Two bytes a number; zeros when they are used up.
  std::size_t at = 0;
  const auto draw = [&](std::uint64_t bound) -> std::uint64_t {
    std::uint64_t number = 0;
    for (int i = 0; i < 2 && at < size; ++i) number = (number << 8) | data[at++];
    return number % bound;
  };
  // The first number says how much memory there is: sometimes too little.
  CheckedIndex checked(stripe_sectors + 300, ByteCount{(64 + draw(512)) << 10});
  Operations operations(checked);
  bool agree = true;
  while (agree && at < size) agree = operations.step(draw);
  agree = agree && operations.finish(draw);
  if (!agree) std::fprintf(stderr, "%s\n", checked.problem.c_str());
  CHECK(agree);
  return 0;
}
