// Random commands, turns, troubles and crashes from fixed seeds, each answer compared with the
// model: what the fuzzer does with its bytes (tests/fuzz/cache_model_fuzz.cpp).
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/foundation/random.h"
#include "tests/engine/volume/model_run.h"
#include "tests/sim/rounds.h"

namespace engine::test {
namespace {

constexpr unsigned steps = 150;

void run(std::uint64_t seed) {
  SeededRandom random(seed);
  const auto draw = [&random](std::uint64_t bound) { return random.below(bound); };
  ModelRun model_run(draw);
  for (unsigned step = 0; step < steps; ++step) {
    ASSERT_TRUE(model_run.step(draw))
        << model_run.problem() << ", seed " << seed << ", step " << step;
  }
  ASSERT_TRUE(model_run.finish()) << model_run.problem() << ", seed " << seed;
}

TEST(FrontModel, AnswersAreThoseOfTheModelThroughTroublesAndCrashes) {
  if (const char* given = std::getenv("FOREBAY_SEED"))
    return run(std::strtoull(given, nullptr, 10));
  const unsigned seeds = rounds(120);
  for (std::uint64_t seed = 1; seed <= seeds && !HasFatalFailure(); ++seed) run(seed);
}

}  // namespace
}  // namespace engine::test
