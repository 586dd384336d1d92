#include "target/access_states.h"

#include <gtest/gtest.h>

namespace target {
namespace {

using block::AccessState;

config::Config two_ways() {
  config::Config config;
  for (const auto& [name, group] : {std::pair("a", "east"), {"b", "east"}, {"c", "c"}}) {
    config::Listener listener;
    listener.name = name;
    listener.group = group;
    config.listeners.emplace(name, listener);
  }
  return config;
}

TEST(AccessStates, WhatIsSaidLastCountsOfAGroupAndOfOneOfIt) {
  const config::Config config = two_ways();
  const auto& [a, b, c] =
      std::tie(config.listeners.at("a"), config.listeners.at("b"), config.listeners.at("c"));
  AccessStates states;
  EXPECT_EQ(states.of(a), AccessState::optimized);
  ASSERT_TRUE(states.set(config, "east", AccessState::inaccessible));
  EXPECT_EQ(states.of(a), AccessState::inaccessible);
  EXPECT_EQ(states.of(b), AccessState::inaccessible);
  EXPECT_EQ(states.of(c), AccessState::optimized);
  // Apart from its group, also back to what it is by itself.
  ASSERT_TRUE(states.set(config, "b", AccessState::optimized));
  EXPECT_EQ(states.of(a), AccessState::inaccessible);
  EXPECT_EQ(states.of(b), AccessState::optimized);
  ASSERT_TRUE(states.set(config, "east", AccessState::change));
  EXPECT_EQ(states.of(b), AccessState::change);
  ASSERT_TRUE(states.set(config, "east", AccessState::optimized));
  EXPECT_EQ(states.of(a), AccessState::optimized);
  EXPECT_TRUE(states.named().empty());
  ASSERT_TRUE(states.set(config, "c", AccessState::non_optimized));
  EXPECT_EQ(states.of(c), AccessState::non_optimized);
  // What it would be without a word is not remembered.
  ASSERT_TRUE(states.set(config, "b", AccessState::inaccessible));
  ASSERT_TRUE(states.set(config, "b", AccessState::optimized));
  EXPECT_EQ(states.named(), (AccessStates::States{{"c", AccessState::non_optimized}}));
}

TEST(AccessStates, ANameThatIsNothingIsRefused) {
  AccessStates states;
  const auto refused = states.set(two_ways(), "west", AccessState::inaccessible);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "no listener, and no group of listeners, is called west");
}

TEST(AccessStates, TheWorseOfTwoStatesCounts) {
  constexpr AccessState gravest_first[] = {AccessState::persistent_loss, AccessState::inaccessible,
                                           AccessState::change, AccessState::non_optimized,
                                           AccessState::optimized};
  for (const AccessState& one : gravest_first) {
    EXPECT_EQ(block::access_state_of(text(one)), one);
    for (const AccessState& other : gravest_first) {
      EXPECT_EQ(block::worse_of(one, other), &one < &other ? one : other);
    }
  }
  EXPECT_EQ(block::access_state_of("gone"), std::nullopt);
}

}  // namespace
}  // namespace target
