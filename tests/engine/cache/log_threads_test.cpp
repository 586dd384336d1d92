// Segments and chunks under several threads, each with a writer of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

TEST(CacheThreads, SegmentsAndChunksAreSharedByReactors) {
  const auto region = must(make_anonymous_pmem({1U << 20}, PmemGranularity::cache_line));
  must(format_cache(*region, small_format()));
  const auto device = open_device(*region);
  const std::uint32_t all = device->segments().free_count();
  constexpr std::uint8_t threads = 3;
  {
    auto writer = must(DurableWriter::make(*region));
    for (std::uint8_t thread = 0; thread < threads; ++thread) {
      must(device->volumes().attach(writer, new_volume(static_cast<std::uint8_t>(thread + 1))));
      must(device->volumes().begin_epoch(writer, thread, 1, 1));
    }
  }
  const auto work = [&](std::uint32_t slot) {
    auto writer = must(DurableWriter::make(*region));
    SeededRandom random(slot + 1);
    std::deque<LogChunk> chunks;
    std::vector<std::uint32_t> segments;
    std::uint64_t ordinal = 1;
    for (int step = 0; step < 2000; ++step) {
      if (random.chance(1, 2)) {
        const auto places = device->chunks().reserve(writer);
        if (places) {
          chunks.push_back(
              must(device->chunks().begin(writer, places.value(), slot + 1, ordinal++, 1, 1)));
        }
        const auto segment =
            device->segments().allocate(writer, format::SegmentUse::data, slot + 1);
        if (segment) segments.push_back(segment.value());
      } else {
        if (!segments.empty()) {
          must(device->segments().free(writer, segments.back()));
          segments.pop_back();
        }
        const std::uint64_t below = ordinal - std::min(random.below(3), ordinal - 1);
        if (step % 3 == 0) {
          LogTails tails = device->volumes()[slot].tails;
          tails.key_tail_chunk = std::max(tails.key_tail_chunk, below);
          tails.dirty_tail_chunk = tails.key_tail_chunk;
          must(device->volumes().set_tails(writer, slot, tails));
        }
        must(device->chunks().release_below(writer, chunks,
                                            device->volumes()[slot].tails.key_tail_chunk));
      }
    }
    LogTails tails = device->volumes()[slot].tails;
    tails.key_tail_chunk = tails.dirty_tail_chunk = ordinal;
    must(device->volumes().set_tails(writer, slot, tails));
    must(device->chunks().release_below(writer, chunks, ordinal));
    for (const std::uint32_t segment : segments) must(device->segments().free(writer, segment));
  };
  std::vector<std::jthread> running;
  for (std::uint32_t slot = 0; slot < threads; ++slot) running.emplace_back(work, slot);
  running.clear();
  device->segments().check_invariants();
  device->chunks().check_invariants();
  EXPECT_EQ(device->chunks().taken(), 0U);
  EXPECT_EQ(device->segments().free_count() + device->chunks().segments(), all);
  const auto again = open_device(*region);
  EXPECT_TRUE(again->findings().empty());
  EXPECT_EQ(again->segments().free_count(), all);
}

}  // namespace
}  // namespace engine::test
