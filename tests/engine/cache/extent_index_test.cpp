#include "engine/cache/extent_index.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/cache/index_kit.h"

namespace engine::index_kit {
namespace {

constexpr std::uint64_t volume = 4 * stripe_sectors;
constexpr std::uint64_t leaf = LeafTable::leaf_sectors;

// Enough single sectors elsewhere in the stripe to make it take leaves.
void crowd(CheckedIndex& checked, std::uint64_t stripe) {
  for (std::uint64_t i = 0; i < StripeSlot::most_flat + 2U; ++i) {
    const std::uint64_t at = stripe * stripe_sectors + stripe_sectors - 2 - 3 * i;
    ASSERT_TRUE(checked.publish(sectors(at, 1), data_at(900'000 + i))) << checked.problem;
  }
}

// Allen's thirteen relations between the old extent [20, 30) and a new one.
struct Relation {
  const char* name;
  std::uint64_t begin;
  std::uint64_t end;
};
constexpr Relation relations[] = {
    {"before", 10, 15},      {"meets", 10, 20},         {"overlaps", 15, 25},
    {"starts", 20, 25},      {"during", 23, 27},        {"finishes", 25, 30},
    {"equals", 20, 30},      {"started_by", 20, 35},    {"contains", 15, 35},
    {"finished_by", 15, 30}, {"overlapped_by", 25, 35}, {"met_by", 30, 35},
    {"after", 35, 40},
};
// Where sector 25 of the relations lies: inside a leaf, across a leaf's border, across a stripe's.
struct Site {
  const char* name;
  std::uint64_t middle;
};
constexpr Site sites[] = {
    {"leaf_inside", stripe_sectors + leaf / 2},
    {"leaf_border", stripe_sectors + 5 * leaf},
    {"stripe_border", 2 * stripe_sectors},
};

using OverlapCase = std::tuple<Relation, Site>;
// Data or zero, one run or leaves.
struct Variant {
  bool old_zero;
  bool new_zero;
  bool crowded;
};

class Overlap : public testing::TestWithParam<OverlapCase> {
 protected:
  // The old extent, and the range that meets it.
  void prepare(CheckedIndex& checked, const Variant& variant) {
    if (variant.crowded) {
      for (const std::uint64_t stripe : {0, 1, 2}) crowd(checked, stripe);
    }
    const ExtentValue value = variant.old_zero ? zero_of(1000) : data_at(1000);
    ASSERT_TRUE(checked.publish(sectors(at(20), 10), value)) << checked.problem;
  }
  [[nodiscard]] static std::uint64_t at(std::uint64_t sector) {
    return std::get<Site>(GetParam()).middle - 25 + sector;
  }
  [[nodiscard]] static SectorRange met() {
    const Relation& relation = std::get<Relation>(GetParam());
    return sectors(at(relation.begin), relation.end - relation.begin);
  }
  template <class Test>
  static void for_variants(Test test) {
    for (unsigned bits = 0; bits < 8; ++bits) {
      const Variant variant{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      SCOPED_TRACE(std::string(variant.old_zero ? "old zero, " : "old data, ") +
                   (variant.new_zero ? "new zero, " : "new data, ") +
                   (variant.crowded ? "in leaves" : "in one run"));
      test(variant);
    }
  }
};

TEST_P(Overlap, NewCoversOldAndTheRestOfOldStays) {
  for_variants([&](const Variant& variant) {
    CheckedIndex checked(volume, 4_MiB);
    prepare(checked, variant);
    const ExtentValue value = variant.new_zero ? zero_of(2000) : data_at(2000);
    ASSERT_TRUE(checked.publish(met(), value)) << checked.problem;
    EXPECT_TRUE(checked.check_all()) << checked.problem;
  });
}

TEST_P(Overlap, InvalidationLeavesAHole) {
  for_variants([&](const Variant& variant) {
    CheckedIndex checked(volume, 4_MiB);
    prepare(checked, variant);
    ASSERT_TRUE(checked.erase(met())) << checked.problem;
    EXPECT_TRUE(checked.check_all()) << checked.problem;
  });
}

TEST_P(Overlap, EvictionTakesOnlyWhatIsStillTheOwners) {
  for_variants([&](const Variant& variant) {
    CheckedIndex checked(volume, 4_MiB);
    prepare(checked, variant);
    // The key that is evicted is the old extent's own, cut by the new one.
    ASSERT_TRUE(checked.publish(met(), variant.new_zero ? zero_of(2000) : data_at(2000)));
    const Owner owner{.kind = variant.old_zero ? ExtentKind::zero : ExtentKind::data,
                      .place = Place{1000}};
    const SectorRange key = sectors(at(20), 10);
    ASSERT_TRUE(checked.still_points(key, owner)) << checked.problem;
    ASSERT_TRUE(checked.erase_if(key, owner)) << checked.problem;
    EXPECT_TRUE(checked.check_all()) << checked.problem;
  });
}

std::string case_name(const testing::TestParamInfo<OverlapCase>& tested) {
  return std::string(std::get<Relation>(tested.param).name) + "_" +
         std::get<Site>(tested.param).name;
}
INSTANTIATE_TEST_SUITE_P(AllRelations, Overlap,
                         testing::Combine(testing::ValuesIn(relations), testing::ValuesIn(sites)),
                         case_name);

TEST(ExtentIndex, EmptyIsOneHole) {
  CheckedIndex checked(volume, 1_MiB);
  std::vector<Piece> pieces;
  checked.index.look_up(sectors(100, 50), ExtentIndex::Heat::keep,
                        [&](const Piece& piece) { pieces.push_back(piece); });
  EXPECT_EQ(pieces, (std::vector<Piece>{{sectors(100, 50), std::nullopt}}));
}

TEST(ExtentIndex, PieceKeepsPlaceOriginAndCrcWhenItsExtentIsCut) {
  CheckedIndex checked(volume, 1_MiB);
  ExtentValue value = data_at(5000);
  value.origin = 16;
  ASSERT_TRUE(checked.publish(sectors(1000, 100), value));
  ASSERT_TRUE(checked.publish(sectors(1020, 10), data_at(9000)));
  std::vector<Piece> pieces;
  checked.index.look_up(sectors(1025, 20), ExtentIndex::Heat::keep,
                        [&](const Piece& piece) { pieces.push_back(piece); });
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0].value->place, Place{9005});
  EXPECT_EQ(pieces[1].range, sectors(1030, 15));
  EXPECT_EQ(pieces[1].value->place, Place{5030});
  EXPECT_EQ(pieces[1].value->origin, 46);
  EXPECT_EQ(pieces[1].value->crc, value.crc);
}

// One extent over many leaves is one piece; a hole over many leaves is one hole.
TEST(ExtentIndex, PartsOfOneExtentAreJoined) {
  CheckedIndex checked(volume, 4_MiB);
  crowd(checked, 1);
  checked.index.publish(*checked.index.prepare(sectors(stripe_sectors + 1000, 2048)),
                        data_at(70'000), ignore);
  std::vector<Piece> pieces;
  checked.index.look_up(sectors(stripe_sectors, 6000), ExtentIndex::Heat::keep,
                        [&](const Piece& piece) { pieces.push_back(piece); });
  EXPECT_EQ(pieces, (std::vector<Piece>{{sectors(stripe_sectors, 1000), std::nullopt},
                                        {sectors(stripe_sectors + 1000, 2048), data_at(70'000)},
                                        {sectors(stripe_sectors + 3048, 2952), std::nullopt}}));
}

TEST(ExtentIndex, HeatRisesToItsTopAndComesWithTheValue) {
  CheckedIndex checked(volume, 1_MiB);
  checked.index.publish(*checked.index.prepare(sectors(8, 8)), data_at(1), ignore);
  std::vector<int> heats;
  for (int i = 0; i < 5; ++i) {
    checked.index.look_up(sectors(8, 8), ExtentIndex::Heat::warm,
                          [&](const Piece& piece) { heats.push_back(piece.value->heat); });
  }
  EXPECT_EQ(heats, (std::vector<int>{1, 2, 3, 3, 3}));
}

TEST(ExtentIndex, LargestValuesSurvive) {
  IndexMemory memory(1_MiB);
  ExtentIndex index(memory, SectorCount{volume});
  ExtentValue value{.place = Place{largest_place.value - 8},
                    .crc = 0xffff'ffff,
                    .origin = largest_extent_sectors - 8,
                    .dirty = true,
                    .heat = hottest};
  const std::uint64_t last = StripeSlot::most_stripes * stripe_sectors - 8;
  index.publish(*index.prepare(sectors(last, 8)), value, ignore);
  index.for_each([&](const Fragment& fragment) {
    EXPECT_EQ(fragment, (Fragment{sectors(last, 8), value}));
  });
  EXPECT_EQ(index.figures().fragments, 1U);
}

TEST(ExtentIndex, DiscardOfAGibibyteIsOneMarkForEachStripe) {
  IndexMemory memory(16_MiB);
  ExtentIndex index(memory, SectorCount{1024 * stripe_sectors});
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    index.publish(*index.prepare(sectors(i * 96, 8)), data_at(i * 8), ignore);
  }
  std::uint64_t displaced = 0;
  index.publish(*index.prepare(sectors(0, 256 * stripe_sectors)), zero_of(1),
                [&](const Fragment& fragment) { displaced += fragment.range.count.value; });
  EXPECT_EQ(displaced, 20'000U * 8);
  EXPECT_EQ(index.figures().fragments, 256U);
  EXPECT_EQ(index.memory_bytes(), index.table_bytes()) << "no block is left behind the marks";
  index.check_invariants();
}

TEST(ExtentIndex, EmptiedIndexHoldsTablesOnly) {
  CheckedIndex checked(volume, 4_MiB);
  for (const std::uint64_t stripe : {0, 1, 2, 3}) crowd(checked, stripe);
  ASSERT_TRUE(checked.erase(sectors(100, volume - 100)));
  EXPECT_TRUE(checked.check_all()) << checked.problem;
  EXPECT_EQ(checked.index.figures().fragments, 0U);
  EXPECT_EQ(checked.index.memory_bytes(), checked.index.table_bytes());
}

TEST(ExtentIndex, AbandonedPermitLeavesNothing) {
  CheckedIndex checked(volume, 1_MiB);
  {
    auto moved = checked.index.prepare(sectors(0, volume));
    ASSERT_TRUE(moved);
    auto permit = *std::move(moved);
    EXPECT_EQ(permit.range(), sectors(0, volume));
    permit.abandon();
    const auto dropped = checked.index.prepare(sectors(5, 5));
    ASSERT_TRUE(dropped);
  }
  EXPECT_TRUE(checked.check_all()) << checked.problem;
  EXPECT_TRUE(checked.memory.promise(100)) << "nothing is promised any more";
  checked.memory.unpromise(100);
}

// Recovery's way in gives what publishing the keys one by one gives.
TEST(ExtentIndex, ReplayEqualsPublishingInLogOrder) {
  CheckedIndex checked(volume, 8_MiB);
  SeededRandom random(5);
  std::vector<ReplayKey> keys;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const std::uint64_t begin = random.below(volume - 2048);
    const std::uint64_t count = random.chance(1, 50) ? 1 + random.below(2048) : 8;
    ReplayKey key{.range = sectors(begin, count), .value = data_at(1 + i * 2048)};
    if (random.chance(1, 10)) key.value = zero_of(i);
    key.erases = random.chance(1, 20);
    keys.push_back(key);
    if (key.erases) {
      checked.model.erase(key.range);
    } else {
      checked.model.publish(key.range, key.value);
    }
  }
  // In three pieces, and by five who each take a share, the last first.
  const ReplayKeys all(keys);
  const std::array<ReplayKeys, 3> pieces{all.first(7'000), all.subspan(7'000, 1),
                                         all.subspan(7'001)};
  for (std::uint32_t share = 5; share-- > 0;) {
    ASSERT_TRUE(checked.index.replay(pieces, {.number = share, .count = 5}, ignore));
  }
  EXPECT_TRUE(checked.check_all()) << checked.problem;
}

TEST(ExtentIndex, ReplaySaysWhenMemoryEnds) {
  IndexMemory memory(256_KiB);
  ExtentIndex index(memory, SectorCount{volume * 100});
  std::vector<ReplayKey> keys;
  for (std::uint64_t i = 0; i < 50'000; ++i) {
    keys.push_back({.range = sectors(i * 16, 8), .value = data_at(i * 8)});
  }
  const ReplayKeys all(keys);
  EXPECT_FALSE(index.replay({&all, 1}, {}, ignore));
  index.check_invariants();
}

}  // namespace
}  // namespace engine::index_kit
