// Guards of the repair of a cache device: each, switched off by name, is missed by its tests.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/crash/guards.h"
#include "tests/engine/cache/repair_kit.h"

namespace engine::test {
namespace {

class RepairMutants : public testing::Test {
 protected:
  void TearDown() override { switch_guard_off(""); }
};

TEST_F(RepairMutants, WithoutSettlingErasedChunks) {
  switch_guard_off("erased chunks are settled");
  RepairCrashes crashes;
  crash_every_repair(crashes);
  EXPECT_NE(crashes.violation, "");
  EXPECT_GT(guard_uses(), 0U);
  std::cout << "mutant: erased chunks are settled -> killed after " << crashes.states
            << " states: " << crashes.violation << "\n";
}

TEST_F(RepairMutants, WithoutAGenerationAboveAllKeys) {
  switch_guard_off("generation above all keys");
  EXPECT_TRUE(stale_key_comes_back());
  EXPECT_GT(guard_uses(), 0U);
}

TEST_F(RepairMutants, WithAllGuardsNothingIsFound) {
  RepairCrashes crashes;
  crash_every_repair(crashes);
  EXPECT_EQ(crashes.violation, "");
  EXPECT_FALSE(stale_key_comes_back());
}

}  // namespace
}  // namespace engine::test
