// What loses against anything newer: eviction, clearing of dirty bits.
#include <gtest/gtest.h>

#include "tests/engine/cache/index_kit.h"

namespace engine::index_kit {
namespace {

constexpr std::uint64_t whole_volume = 4 * stripe_sectors;

Owner data_owner(std::uint64_t place, bool clean_only = false) {
  return {.kind = ExtentKind::data, .place = Place{place}, .clean_only = clean_only};
}
Owner zero_owner(std::uint64_t stamp) { return {.kind = ExtentKind::zero, .place = Place{stamp}}; }

struct Conditional : testing::Test {
  CheckedIndex checked{whole_volume, 4_MiB};

  void publish(std::uint64_t begin, std::uint64_t count, const ExtentValue& value) {
    ASSERT_TRUE(checked.publish(sectors(begin, count), value)) << checked.problem;
  }
  [[nodiscard]] std::optional<ExtentValue> at(std::uint64_t sector) {
    std::optional<ExtentValue> found;
    checked.index.look_up(sectors(sector, 1), ExtentIndex::Heat::keep,
                          [&](const Piece& piece) { found = piece.value; });
    return found;
  }
};

TEST_F(Conditional, EvictionForgetsOnlyWhatNobodyHasOverwritten) {
  publish(100, 64, data_at(1000, false));
  publish(120, 8, data_at(2000, false));
  ASSERT_TRUE(checked.erase_if(sectors(100, 64), data_owner(1000)));
  EXPECT_FALSE(at(119).has_value());
  EXPECT_EQ(at(120)->place, Place{2000});
  EXPECT_FALSE(at(128).has_value());
}

TEST_F(Conditional, SamePlaceAtAnotherSectorIsAnotherExtent) {
  publish(100, 8, data_at(1000, false));
  ASSERT_TRUE(checked.erase_if(sectors(99, 8), data_owner(1000)));
  EXPECT_TRUE(at(100).has_value());
  EXPECT_TRUE(checked.still_points(sectors(96, 16), data_owner(996)));
}

TEST_F(Conditional, DirtyExtentsAreNotEvicted) {
  publish(100, 8, data_at(1000, true));
  ASSERT_TRUE(checked.erase_if(sectors(100, 8), data_owner(1000, true)));
  EXPECT_TRUE(at(100).has_value());
  ASSERT_TRUE(checked.mark_clean(sectors(100, 8), data_owner(1000), CleanZeros::keep));
  ASSERT_TRUE(checked.erase_if(sectors(100, 8), data_owner(1000, true)));
  EXPECT_FALSE(at(100).has_value());
}

TEST_F(Conditional, CleaningTouchesOnlyWhatTheBatchWrote) {
  publish(100, 64, data_at(1000));
  publish(120, 8, data_at(2000));
  EXPECT_EQ(checked.index.mark_clean(sectors(100, 64), data_owner(1000), CleanZeros::keep),
            SectorCount{56});
  EXPECT_FALSE(at(100)->dirty);
  EXPECT_TRUE(at(125)->dirty);
  EXPECT_FALSE(at(130)->dirty);
}

TEST_F(Conditional, PartOfAFragmentCanBecomeClean) {
  publish(100, 64, data_at(1000));
  EXPECT_EQ(checked.index.mark_clean(sectors(110, 10), data_owner(1010), CleanZeros::keep),
            SectorCount{10});
  EXPECT_TRUE(at(109)->dirty);
  EXPECT_FALSE(at(110)->dirty);
  EXPECT_EQ(at(110)->origin, 10);
  EXPECT_TRUE(at(120)->dirty);
}

// Zero, data, zero again: writing back the first zero must not drop the second one.
TEST_F(Conditional, CleaningAZeroKnowsItFromALaterOne) {
  publish(0, stripe_sectors, zero_of(1));
  publish(0, stripe_sectors, zero_of(2));
  EXPECT_EQ(checked.index.mark_clean(sectors(0, stripe_sectors), zero_owner(1), CleanZeros::drop),
            SectorCount{0});
  EXPECT_TRUE(at(5)->dirty);
  EXPECT_EQ(checked.index.mark_clean(sectors(0, stripe_sectors), zero_owner(2), CleanZeros::drop),
            SectorCount{stripe_sectors});
  EXPECT_FALSE(at(5).has_value());
}

TEST_F(Conditional, CleanZerosStayIfAskedTo) {
  publish(50, 100, zero_of(9));
  EXPECT_EQ(checked.index.mark_clean(sectors(50, 100), zero_owner(9), CleanZeros::keep),
            SectorCount{100});
  ASSERT_TRUE(at(60).has_value());
  EXPECT_FALSE(at(60)->dirty);
}

// A leaf full of single sectors of one owner: the most parts that one operation meets.
TEST_F(Conditional, EvictionOfTheMostParts) {
  publish(0, 2048, data_at(500'000, false));
  for (std::uint64_t i = 0; i < 1024; ++i) publish(2 * i, 1, data_at(10'000 + 3 * i));
  ASSERT_TRUE(checked.erase_if(sectors(0, 2048), data_owner(500'000)));
  EXPECT_EQ(checked.index.figures().fragments, 1024U);
  checked.index.check_invariants();
  checked.memory.check_invariants();
}

}  // namespace
}  // namespace engine::index_kit
