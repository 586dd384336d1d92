// Chunk pairs: carved from two segments, given back, and found again.
#include "engine/cache/log_chunks.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

struct Opened {
  std::unique_ptr<SimPmem> pmem = formatted_pmem();
  std::unique_ptr<CacheDevice> device = open_device(*pmem);
  DurableWriter writer = must(DurableWriter::make(*pmem));

  Opened() {
    must(device->volumes().attach(writer, new_volume(1)));
    must(device->volumes().attach(writer, new_volume(2)));
    must(device->volumes().begin_epoch(writer, 0, 1, 1));
    must(device->volumes().begin_epoch(writer, 1, 1, 1));
  }
  LogChunk make(std::uint32_t tag, std::uint64_t ordinal, std::uint64_t first_sequence = 1) {
    return must(device->chunks().begin(writer, must(device->chunks().reserve(writer)), tag, ordinal,
                                       first_sequence, 1));
  }
};

TEST(LogChunks, PairsLieInTwoSegmentsAndNowhereTwice) {
  Opened opened;
  LogChunks& chunks = opened.device->chunks();
  const CacheLayout& layout = opened.device->layout();
  std::set<std::uint64_t> places;
  std::vector<ChunkPlaces> pairs;
  // Eight segments of two chunks.
  for (int pair = 0; pair < 8; ++pair) {
    pairs.push_back(must(chunks.reserve(opened.writer)));
    EXPECT_NE(layout.segment_of(pairs.back()[0]), layout.segment_of(pairs.back()[1]));
    for (const MediaOffset place : pairs.back()) EXPECT_TRUE(places.insert(place.value).second);
    chunks.check_invariants();
  }
  EXPECT_EQ(chunks.reserve(opened.writer).error().kind, CacheError::Kind::no_free_segment);
  EXPECT_EQ(chunks.segments(), 8U);
  for (const ChunkPlaces& pair : pairs) must(chunks.release(opened.writer, pair));
  EXPECT_EQ(chunks.segments(), 0U);
  EXPECT_EQ(opened.device->segments().free_count(), 8U);
  opened.device->segments().check_invariants();
}

TEST(LogChunks, OneLeftOverSegmentIsGivenBackToo) {
  Opened opened;
  SegmentTable& segments = opened.device->segments();
  for (int other = 0; other < 7; ++other) {
    (void)must(segments.allocate(opened.writer, format::SegmentUse::log, 0));
  }
  LogChunks& chunks = opened.device->chunks();
  EXPECT_EQ(chunks.reserve(opened.writer).error().kind, CacheError::Kind::no_free_segment);
  EXPECT_EQ(chunks.segments(), 0U);
  EXPECT_EQ(segments.free_count(), 1U);
}

TEST(LogChunks, AreFoundAgainInOrder) {
  Opened opened;
  std::vector<LogChunk> first{opened.make(1, 1), opened.make(1, 2, 9)};
  const LogChunk other = opened.make(2, 1);
  first.push_back(opened.make(1, 3, 20));
  const auto again = open_device(*opened.pmem);
  EXPECT_TRUE(again->findings().empty());
  const auto& found = again->chunks_of(0).chunks;
  EXPECT_TRUE(std::equal(found.begin(), found.end(), first.begin(), first.end()));
  ASSERT_EQ(again->chunks_of(1).chunks.size(), 1U);
  EXPECT_EQ(again->chunks_of(1).chunks[0], other);
  EXPECT_EQ(again->next_ordinal(0), 4U);
  EXPECT_EQ(again->chunks().taken(), 8U);
  again->chunks().check_invariants();
}

TEST(LogChunks, BelowTheTailsAreNobodys) {
  Opened opened;
  std::deque<LogChunk> chunks{opened.make(1, 1), opened.make(1, 2, 5), opened.make(1, 3, 9)};
  must(opened.device->volumes().set_tails(
      opened.writer, 0,
      {.key_tail = 8, .key_tail_chunk = 3, .dirty_tail = 8, .dirty_tail_chunk = 3}));
  EXPECT_EQ(open_device(*opened.pmem)->chunks_of(0).chunks.size(), 1U);
  must(opened.device->chunks().release_below(opened.writer, chunks, 3));
  EXPECT_EQ(chunks.size(), 1U);
  EXPECT_EQ(opened.device->chunks().segments(), 2U);
  EXPECT_EQ(opened.device->segments().free_count(), 6U);
  opened.device->chunks().check_invariants();
  const auto again = open_device(*opened.pmem);
  EXPECT_EQ(again->chunks_of(0).chunks, (std::deque<LogChunk>{chunks.begin(), chunks.end()}));
  EXPECT_TRUE(again->findings().empty());
}

TEST(LogChunks, OfAVolumeThatLeftAreNobodys) {
  Opened opened;
  (void)opened.make(1, 1);
  must(opened.device->volumes().leave(opened.writer, 0));
  const auto again = open_device(*opened.pmem);
  EXPECT_TRUE(again->findings().empty());
  EXPECT_TRUE(again->chunks_of(0).chunks.empty());
  EXPECT_EQ(again->segments().free_count(), 8U);  // the empty segments were given back
}

TEST(LogChunks, AHeaderOfAnEarlierGenerationIsNone) {
  Opened opened;
  const LogChunk chunk = opened.make(1, 1);
  std::deque<LogChunk> chunks{chunk};
  must(opened.device->chunks().release_below(opened.writer, chunks, 2));
  // The same segments are log segments again, in the next generation; the old headers are there.
  for (int segment = 0; segment < 2; ++segment) {
    (void)must(opened.device->segments().allocate(opened.writer, format::SegmentUse::log, 0));
  }
  EXPECT_TRUE(open_device(*opened.pmem, CacheDevice::Access::inspect)->chunks_of(0).chunks.empty());
}

TEST(LogChunks, AMissingHeaderIsWrittenAgain) {
  for (const bool unreadable : {false, true}) {
    for (std::size_t copy = 0; copy < 2; ++copy) {
      Opened opened;
      const LogChunk chunk = opened.make(1, 1);
      if (unreadable) {
        opened.pmem->poison(chunk.places[copy], ByteCount{64});
      } else {
        flip_bit(*opened.pmem, chunk.places[copy] + ByteCount{20});
      }
      {
        const auto again = open_device(*opened.pmem);
        ASSERT_EQ(again->findings().size(), 1U);
        EXPECT_EQ(again->findings()[0].kind, CacheFinding::Kind::header_missing);
        EXPECT_EQ(again->findings()[0].place, chunk.places[copy]);
        EXPECT_EQ(again->chunks().taken(), 2U);
      }
      const auto again = open_device(*opened.pmem);
      EXPECT_TRUE(again->findings().empty());
      ASSERT_EQ(again->chunks_of(0).chunks.size(), 1U);
      EXPECT_EQ(again->chunks_of(0).chunks[0], chunk);
    }
  }
}

// A header is never written over what may be somebody else's.
TEST(LogChunks, AClaimOnAnothersPlaceIsAContradiction) {
  Opened opened;
  const LogChunk mine = opened.make(1, 1);
  const LogChunk other = opened.make(2, 1);
  LogChunk hostile = mine;
  hostile.places[1] = other.places[1];
  const auto header = encode_chunk_header(opened.device->seal(), hostile, 0);
  poke(*opened.pmem, mine.places[0], bytes_of(header));
  wipe(*opened.pmem, mine.places[1], 64);
  const auto again = open_device(*opened.pmem);
  EXPECT_TRUE(again->chunks_of(0).contradicts);
  EXPECT_FALSE(again->chunks_of(1).contradicts);
  EXPECT_EQ(again->chunks_of(1).chunks[0], other);
  const auto once_more = open_device(*opened.pmem);
  EXPECT_EQ(once_more->chunks_of(1).chunks[0], other);
}

TEST(LogChunks, NothingIsGivenAwayWhileAChunkIsLost) {
  Opened opened;
  const std::vector<LogChunk> chunks{opened.make(1, 1), opened.make(1, 2, 5), opened.make(1, 3, 9)};
  for (const MediaOffset place : chunks[1].places) wipe(*opened.pmem, place, 64);
  const auto again = open_device(*opened.pmem);
  ASSERT_FALSE(again->findings().empty());
  EXPECT_EQ(again->findings()[0].kind, CacheFinding::Kind::chunk_gap);
  EXPECT_EQ(again->findings()[0].index, 2U);
  const auto places = must(again->chunks().reserve(opened.writer));
  for (const LogChunk& chunk : chunks) {
    for (const MediaOffset place : chunk.places) {
      EXPECT_NE(place, places[0]);
      EXPECT_NE(place, places[1]);
    }
  }
}

}  // namespace
}  // namespace engine::test
