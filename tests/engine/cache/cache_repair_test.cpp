// What repair does about each kind of damage, what it leaves, and that it may crash anywhere.
#include "engine/cache/cache_repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/repair_kit.h"

namespace engine::test {
namespace {

using testing::HasSubstr;

void lose_identity(WrittenCache& cache) {
  for (const MediaOffset place :
       cache.look()->layout().volume_entry(0, format::EntryType::volume_identity)) {
    flip_bit(cache.pmem(), place);
  }
}

struct RepairRow {
  const char* name;
  std::function<void(WrittenCache&)> damage;
  const char* steps;     // with permission to cut
  const char* findings;  // afterwards
  std::uint64_t kept;    // writes that are there afterwards: a prefix
};

const RepairRow repair_rows[] = {
    {"Whole", [](WrittenCache&) {}, "", "", 150},
    {"OneOfEverything",
     [](WrittenCache& cache) {
       const CacheLayout layout = cache.look()->layout();
       flip_bit(cache.pmem(), layout.superblock[0] + ByteCount{90});
       flip_bit(cache.pmem(), layout.segment_entry(2)[1]);
       cache.pmem().poison(layout.volume_entry(0, format::EntryType::volume_epoch)[0],
                           ByteCount{64});
       cache.lose_header_of(1, 1);
       cache.rot(100, 0);
       cache.pmem().poison(cache.kset(140, 1), ByteCount{64});
     },
     "heal", "", 150},
    {"BothCopiesInTheMiddle", [](WrittenCache& cache) { cache.rot(70); }, "cut_log", "", 69},
    {"BothCopiesInTheLastChunk", [](WrittenCache& cache) { cache.rot(140); }, "cut_log", "", 139},
    {"BothCopiesOfTheFirst", [](WrittenCache& cache) { cache.rot(1); }, "cut_log", "", 0},
    {"BothCopiesAtTheEndOfAChunk", [](WrittenCache& cache) { cache.rot(127); }, "cut_log", "", 126},
    {"FirstChunkLost", [](WrittenCache& cache) { cache.lose_chunk_of(1); }, "cut_log", "", 0},
    {"LastChunkLost", [](WrittenCache& cache) { cache.lose_chunk_of(150); }, "cut_log", "", 127},
    {"SegmentEntryOfDirtyData",
     [](WrittenCache& cache) { cache.lose_segment_entry(cache.segment_of_data(1)); },
     "restore_segment", "", 150},
    {"SegmentEntryOfTheLog",
     [](WrittenCache& cache) {
       cache.lose_segment_entry(*cache.look()->layout().segment_of(cache.kset(1, 0)));
     },
     "heal restore_segment", "", 150},
    {"IdentityLost", lose_identity, "",
     "!lost_entry !unknown_chunk !unknown_chunk !unknown_chunk !unknown_chunk", 0},
};

TEST(CacheRepair, EveryDamageHasItsStep) {
  for (const RepairRow& row : repair_rows) {
    SCOPED_TRACE(row.name);
    WrittenCache cache;
    row.damage(cache);
    const std::array cut{uuid_of(1)};
    EXPECT_EQ(steps_of(cache.pmem(), cut), row.steps);
    must(repair(cache.pmem(), cut));
    EXPECT_EQ(cache.findings(), row.findings);
    EXPECT_EQ(steps_of(cache.pmem(), cut), "") << "nothing is left to do";
    if (std::string(row.findings).empty()) {
      EXPECT_EQ(kept_writes(cache.pmem()), row.kept);
      EXPECT_EQ(kept_writes(cache.pmem()), row.kept) << "opened once more";
    }
  }
}

TEST(CacheRepair, ALogIsCutOnlyWhereItsVolumeIsNamed) {
  WrittenCache cache;
  cache.rot(140);
  const std::vector<std::byte> before(cache.pmem().content().begin(), cache.pmem().content().end());
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::entries));
  const std::array other{uuid_of(2)};
  const RepairPlan plan = must(plan_repair(survey, other));
  EXPECT_TRUE(plan.steps.empty());
  ASSERT_EQ(plan.remains.size(), 1U);
  EXPECT_THAT(plan.remains[0],
              HasSubstr("cut it: --cut " + uuid_of(1).text() +
                        "; everything up to kset 139 stays, and ksets from 140 on are lost, to 150 "
                        "at least: 10 that can still be read, with 5120 bytes written, and 1 of "
                        "which nothing is known"));
  EXPECT_TRUE(std::ranges::equal(before, cache.pmem().content())) << "planning writes nothing";
}

// Up to D the backing has everything: damage there costs cached copies, and no permission.
TEST(CacheRepair, DamageBeforeTheDirtyTailIsForgotten) {
  WrittenCache cache;
  cache.set_tails({.dirty_tail = 50});
  cache.rot(20);
  EXPECT_EQ(cache.findings(), "!lost_kset");
  EXPECT_EQ(steps_of(cache.pmem(), {}), "forget_clean");
  must(repair(cache.pmem(), {}));
  EXPECT_EQ(cache.findings(), "forgotten_damage");
  EXPECT_EQ(kept_writes(cache.pmem(), 51), 150U);
  OpenVolume open(cache.pmem());
  EXPECT_EQ(open.read(1, 50), std::vector<int>(50, -1)) << "holes: the backing counts";
}

TEST(CacheRepair, DamageOnBothSidesOfTheDirtyTail) {
  WrittenCache cache;
  cache.set_tails({.dirty_tail = 50, .writeback_target = 90});
  cache.rot(20);
  cache.rot(80);
  const std::array cut{uuid_of(1)};
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::entries));
  const RepairPlan plan = must(plan_repair(survey, cut));
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_THAT(plan.steps[0].text, HasSubstr("A batch up to kset 90 was being written back"));
  must(repair(cache.pmem(), cut));
  EXPECT_EQ(cache.findings(), "forgotten_damage");
  EXPECT_EQ(kept_writes(cache.pmem(), 51), 79U);
  const CacheVolume volume = cache.look()->volumes()[0];
  EXPECT_EQ(volume.tails.key_tail, 50U);
  EXPECT_EQ(volume.tails.writeback_target, 79U);
}

// The log ends before D: what is there is older than the backing.
TEST(CacheRepair, ALogThatEndsBeforeTheDirtyTailIsEmptied) {
  WrittenCache cache;
  cache.set_tails({.dirty_tail = 150, .dirty_tail_chunk = 2});
  cache.rot(149);
  cache.rot(150);
  EXPECT_EQ(cache.findings(), "!ends_early");
  const std::array cut{uuid_of(1)};
  must(repair(cache.pmem(), cut));
  EXPECT_EQ(cache.findings(), "");
  OpenVolume open(cache.pmem());
  EXPECT_EQ(open.report.last_sequence, 150U);
  EXPECT_TRUE(open.volume->is_writable());
  EXPECT_EQ(open.read(1, 150), std::vector<int>(150, -1));
}

// A key at or before D that names a lost segment must not come to life with its new entry.
TEST(CacheRepair, AnUnnamedSegmentIsFreedInANewGeneration) { EXPECT_FALSE(stale_key_comes_back()); }

TEST(CacheRepair, AnotherCacheIsNotTouched) {
  WrittenCache cache;
  cache.rot(7, 1);
  const std::vector<std::byte> before(cache.pmem().content().begin(), cache.pmem().content().end());
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::entries));
  const RepairPlan plan = must(plan_repair(survey, {}));
  EXPECT_EQ(repair_cache(cache.pmem(), uuid_of(0x77), survey, plan).error().kind,
            CacheError::Kind::wrong_device);
  EXPECT_TRUE(std::ranges::equal(before, cache.pmem().content()));
}

TEST(CacheRepair, OrphansAndInterruptedDetachment) {
  WrittenCache cache([](OpenVolume& open) {
    must(open.device->volumes().leave(open.writer, 0));
    (void)must(open.device->segments().allocate(open.writer, format::SegmentUse::data, 9));
  });
  EXPECT_EQ(steps_of(cache.pmem(), {}), "free_segment finish_leaving");
  must(repair(cache.pmem(), {}));
  EXPECT_EQ(cache.findings(), "");
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::entries));
  EXPECT_EQ(survey.segments.free, 24U);
  EXPECT_TRUE(survey.volumes.empty());
}

TEST(CacheRepair, OnMediaOfPages) {
  SimPmemPages pmem(ByteCount{(16U << 10) + 24 * small_segment + (12U << 10)});
  FormatOptions options = small_format();
  options.layout.chunk_bytes = small_segment;
  must(format_cache(pmem, options));
  {
    const auto device = open_device(pmem);
    auto writer = must(DurableWriter::make(pmem));
    must(device->volumes().attach(writer, new_volume(1)));
    // The segment that the author's keys name is among them.
    for (int data = 0; data < 2; ++data) {
      (void)must(device->segments().allocate(writer, format::SegmentUse::data, 1));
    }
    LogAuthor author(*device, 0);
    author.begin_epoch();
    for (int kset = 1; kset <= 5; ++kset) {
      const LogAuthor::Written written = author.append();
      if (kset != 4) continue;
      for (std::size_t copy = 0; copy < 2; ++copy) {
        wipe(pmem, written.place(copy), PmemRegion::page_bytes);
      }
    }
  }
  const auto survey = must(survey_cache(pmem, SurveyDepth::data));
  const std::array cut{uuid_of(1)};
  const RepairPlan plan = must(plan_repair(survey, cut));
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_EQ(plan.steps[0].cut.last, 3U);
  EXPECT_EQ(plan.steps[0].cut.whole_ksets, 1U);
  must(repair_cache(pmem, uuid_of(0xd0), survey, plan));
  const auto after = must(survey_cache(pmem, SurveyDepth::data));
  EXPECT_TRUE(after.findings.empty());
  EXPECT_EQ(after.volumes[0].report.last_sequence, 3U);
}

TEST(CacheRepair, MayCrashAnywhereAndBeRepeated) {
  RepairCrashes crashes;
  crash_every_repair(crashes);
  EXPECT_EQ(crashes.violation, "");
  EXPECT_GT(crashes.states, rounds(500));
  std::cout << crashes.states << " crash states of repair\n";
}

}  // namespace
}  // namespace engine::test
