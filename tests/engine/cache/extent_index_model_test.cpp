// A million operations from a printed seed, each compared with the model.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "engine/foundation/random.h"
#include "tests/engine/cache/index_kit.h"
#include "tests/sim/rounds.h"

namespace engine::index_kit {
namespace {

std::uint64_t chosen_seed() {
  const char* given = std::getenv("FOREBAY_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20;
}

// `sectors` and `limit` decide how crowded it is.
void run_random(std::uint64_t seed, std::uint64_t volume_sectors, ByteCount limit,
                unsigned usual_operations, std::uint64_t check_every = 2000) {
  SCOPED_TRACE("repeat with FOREBAY_SEED=" + std::to_string(seed));
  CheckedIndex checked(volume_sectors, limit);
  Operations operations(checked);
  SeededRandom random(seed);
  const auto draw = [&random](std::uint64_t bound) { return random.below(bound); };
  const unsigned most = rounds(usual_operations);
  for (unsigned done = 0; done < most; ++done) {
    ASSERT_TRUE(operations.step(draw)) << checked.problem << " at operation " << done;
    if (done % check_every != 0) continue;
    ASSERT_TRUE(checked.check_all()) << checked.problem << " at operation " << done;
  }
  ASSERT_TRUE(operations.finish(draw)) << checked.problem;
  std::printf("seed %llu: %u operations, %llu refused, %llu fragments at the end\n",
              static_cast<unsigned long long>(seed), most,
              static_cast<unsigned long long>(checked.refused),
              static_cast<unsigned long long>(checked.index.figures().fragments));
}

TEST(ExtentIndexModel, MillionRandomOperationsAgree) {
  run_random(chosen_seed(), 5 * stripe_sectors + 1000, 16_MiB, 700'000);
}

TEST(ExtentIndexModel, CrowdedStripesAgree) {
  run_random(chosen_seed() + 1, stripe_sectors, 16_MiB, 200'000);
}

TEST(ExtentIndexModel, ManyThinStripesAgree) {
  run_random(chosen_seed() + 2, 100 * stripe_sectors, 16_MiB, 100'000, 20'000);
}

// Memory for a part of what is asked: preparing is refused, publishing never fails.
TEST(ExtentIndexModel, ShortOfMemoryOnlyPreparingIsRefused) {
  run_random(chosen_seed() + 3, 3 * stripe_sectors, 176_KiB, 150'000);
}

}  // namespace
}  // namespace engine::index_kit
