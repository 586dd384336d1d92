// What a survey says of each kind of damage, and that it writes nothing.
#include "engine/cache/cache_survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/cache/cached_data.h"
#include "tests/engine/cache/written_cache.h"

namespace engine::test {
namespace {

using testing::HasSubstr;

struct FoundRow {
  const char* name;
  std::function<void(WrittenCache&)> damage;
  const char* findings;
};

const FoundRow found_rows[] = {
    {"Whole", [](WrittenCache&) {}, ""},
    {"FarSuperblockLost",
     [](WrittenCache& cache) { flip_bit(cache.pmem(), cache.look()->layout().superblock[1]); },
     "replica_invalid"},
    {"TableReplicaUnreadable",
     [](WrittenCache& cache) {
       cache.pmem().poison(cache.look()->layout().segment_entry(0)[1], ByteCount{64});
     },
     "replica_unreadable"},
    {"OneKsetCopyRotten", [](WrittenCache& cache) { cache.rot(7, 1); }, "bad_kset_copy"},
    {"OneKsetCopyUnreadable",
     [](WrittenCache& cache) { cache.pmem().poison(cache.kset(7, 0), ByteCount{64}); },
     "bad_kset_copy"},
    {"BothKsetCopiesRotten", [](WrittenCache& cache) { cache.rot(7); }, "!lost_kset"},
    // Nobody knows that there was more: docs/media-format.md, "What cannot be told".
    {"LastKsetRotten", [](WrittenCache& cache) { cache.rot(WrittenCache::writes); }, ""},
    {"OneChunkHeaderLost", [](WrittenCache& cache) { cache.lose_header_of(1, 0); },
     "header_missing"},
    {"FirstChunkLost", [](WrittenCache& cache) { cache.lose_chunk_of(1); },
     "!chunk_gap !stray_kset !stray_kset !missing_chunk"},
    {"LastChunkLost", [](WrittenCache& cache) { cache.lose_chunk_of(WrittenCache::writes); },
     "!stray_kset !stray_kset !missing_chunk"},
    {"SegmentEntryLost",
     [](WrittenCache& cache) { cache.lose_segment_entry(cache.segment_of_data(1)); },
     "!lost_entry !stale_key"},
    {"VolumeEntryLost",
     [](WrittenCache& cache) {
       for (const MediaOffset place :
            cache.look()->layout().volume_entry(0, format::EntryType::volume_tails)) {
         flip_bit(cache.pmem(), place);
       }
     },
     "!lost_entry"},
};

TEST(CacheSurvey, EveryDamageIsNamedAndNoByteIsWritten) {
  for (const FoundRow& row : found_rows) {
    SCOPED_TRACE(row.name);
    WrittenCache cache;
    row.damage(cache);
    const std::vector<std::byte> before(cache.pmem().content().begin(),
                                        cache.pmem().content().end());
    std::uint64_t stores = 0;
    cache.pmem().on_persist_point([&stores](PersistPoint) { ++stores; });
    EXPECT_EQ(cache.findings(SurveyDepth::data), row.findings);
    EXPECT_EQ(stores, 0U);
    EXPECT_TRUE(std::ranges::equal(before, cache.pmem().content()));
  }
}

TEST(CacheSurvey, CountsWhatIsDirtyCleanAndZero) {
  WrittenCache cache([](OpenVolume& open) {
    CommitRecord zeroes(open.sink);
    const SectorRange range{{100}, {10}};
    must(open.volume->write_zeroes(*open.actor, zeroes, {&range, 1}));
    EXPECT_FALSE(open.actor->end_turn());
  });
  cache.set_tails({.dirty_tail = 50});
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::entries));
  ASSERT_EQ(survey.volumes.size(), 1U);
  const VolumeSurvey& volume = survey.volumes[0];
  EXPECT_EQ(volume.clean.value, 50 * 512U);
  EXPECT_EQ(volume.dirty.value, (100 - 10) * 512U);
  EXPECT_EQ(volume.zeros.value, 10 * 512U);
  EXPECT_EQ(volume.report.last_sequence, 151U);
  EXPECT_EQ(volume.chunks, 2U);
  EXPECT_EQ(survey.segments.free + survey.segments.data + survey.segments.log, 24U);
  EXPECT_EQ(survey.segments.data, volume.segments);
  EXPECT_EQ(survey.segments.unnamed, 0U);
  EXPECT_FALSE(survey.any_damage());
}

TEST(CacheSurvey, RottenDataIsFoundOnlyWhenItIsRead) {
  WrittenCache cache;
  cache.set_tails({.dirty_tail = 50});
  flip_bit(cache.pmem(), cache.data(7));
  cache.pmem().poison(cache.data(100), ByteCount{64});
  EXPECT_EQ(cache.findings(SurveyDepth::entries), "");
  EXPECT_EQ(cache.findings(SurveyDepth::data), "bad_clean_data !bad_dirty_data");
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::data));
  EXPECT_EQ(survey.volumes[0].bad_dirty.value, 512U);
  EXPECT_THAT(survey.findings[1].text,
              HasSubstr("sectors 100 to 100 of volume slot 0 at byte " +
                        std::to_string(cache.data(100).value) + ": unreadable; nobody else"));
}

TEST(CacheSurvey, OrphansAndVolumesThatAreLeaving) {
  WrittenCache cache([](OpenVolume& open) {
    must(open.device->volumes().leave(open.writer, 0));
    (void)must(open.device->segments().allocate(open.writer, format::SegmentUse::data, 9));
  });
  EXPECT_EQ(cache.findings(), "!orphan_segment leaving_volume");
  EXPECT_EQ(must(survey_cache(cache.pmem(), SurveyDepth::entries)).segments.orphan, 1U);
}

TEST(CacheSurvey, ABlankRegionIsNoCache) {
  SimPmem blank(small_size);
  EXPECT_EQ(survey_cache(blank, SurveyDepth::data).error().kind, CacheError::Kind::not_a_cache);
}

// What a hostile identity says of the volume's size costs no time: only what is cached does.
TEST(CachedData, IsFoundInAVolumeOfAnySize) {
  WrittenCache cache;
  {
    const auto device = open_device(cache.pmem());
    auto writer = must(DurableWriter::make(cache.pmem()));
    must(device->volumes().set_size(writer, 0, {std::uint64_t{1} << 62}));
  }
  const auto survey = must(survey_cache(cache.pmem(), SurveyDepth::data));
  EXPECT_EQ(survey.volumes[0].dirty.value, WrittenCache::writes * 512);
}

// One write of 20 KiB in pieces of 4 KiB, its third piece rotten.
TEST(CachedData, ARottenPieceCostsNoMoreThanItself) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(16, 24, 1));
  must(open.write(20, 2, 2));
  const auto value = [&open](std::uint64_t sector) {
    ExtentValue found;
    open.volume->index().look_up({{sector}, {1}}, ExtentIndex::Heat::keep,
                                 [&found](const Piece& piece) { found = *piece.value; });
    return found;
  };
  flip_bit(*pmem, {value(33).place.value * format::place_bytes});
  std::string told;
  visit_cached_data(
      *open.volume, CachedPart::dirty, CachedReading::data, [&told](const CachedPiece& piece) {
        told += std::to_string(piece.range.begin.value) + "+" +
                std::to_string(piece.range.count.value) +
                (piece.fault ? "bad "
                             : "=" + std::to_string(std::to_integer<int>(piece.bytes[0])) + " ");
        EXPECT_EQ(piece.bytes.size(),
                  piece.fault ? 0 : piece.range.count.value * format::place_bytes);
      });
  EXPECT_EQ(told, "16+4=1 20+2=2 22+2=1 24+8=1 32+8bad ");
}

}  // namespace
}  // namespace engine::test
