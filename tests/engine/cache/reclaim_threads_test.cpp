// Reclaim on its lane beside writers and readers on theirs.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/engine/cache/reclaim_kit.h"

namespace engine::test {
namespace {

constexpr std::uint64_t blocks = 24;  // of 4 sectors, for each writer
constexpr std::size_t writers = 2;

// The newest version of each block that a writer has seen acknowledged; its bytes name it.
struct Written {
  std::array<std::atomic<std::uint8_t>, blocks> oldest{};  // acknowledged
  std::array<std::atomic<std::uint8_t>, blocks> newest{};  // under way
};

void write_on(ReclaimedVolume& open, std::size_t which, Written& written) {
  const auto actor = must(CacheActor::make(*open.device));
  SeededRandom random(which + 1);
  struct Sink final : CompletionSink {
    void complete(CommitRecord& /*record*/) override { done.store(true); }
    std::atomic<bool> done{false};
  } sink;
  CommitRecord record(sink);
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t block = random.below(blocks);
    const auto version = static_cast<std::uint8_t>(written.newest[block].load() % 250 + 1);
    const std::vector<std::byte> data(4 * 512, std::byte{version});
    sink.done.store(false);
    written.newest[block].store(version);
    const SectorRange range{{(which * blocks + block) * 4}, {4}};
    while (!open.volume->write(*actor, record, range, data)) std::this_thread::yield();
    while (actor->end_turn() || !sink.done.load()) std::this_thread::yield();
    written.oldest[block].store(version);
  }
}

// What the cache has of a block is whole, and of the version acknowledged before or a newer one.
void read_on(ReclaimedVolume& open, std::array<Written, writers>& written,
             const std::atomic<bool>& stop) {
  SeededRandom random(99);
  while (!stop.load()) {
    const std::size_t which = random.below(writers);
    const std::uint64_t block = random.below(blocks);
    const auto before = written[which].oldest[block].load();
    std::array<std::byte, 4 * 512> bytes{};
    bool hole = false;
    open.volume->read({{(which * blocks + block) * 4}, {4}}, bytes, ExtentIndex::Heat::warm,
                      [&](const CacheGap& gap) { hole = gap.kind == CacheGap::Kind::hole; });
    const auto after = written[which].newest[block].load();
    if (hole) continue;
    // Versions go round; few of them are between the two.
    const auto found = std::to_integer<std::uint8_t>(bytes[0]);
    EXPECT_LE((found + 250 - before) % 250, (after + 250 - before) % 250);
    for (const std::byte byte : bytes) ASSERT_EQ(byte, bytes[0]);
  }
}

TEST(ReclaimThreads, WritersAndReadersGoOnWhileSpaceIsGivenUpAndUsedAgain) {
  const auto region = must(make_anonymous_pmem({(16U << 10) + 32 * small_segment + (12U << 10)}));
  FormatOptions options = small_format();
  options.payload_crc = true;
  must(format_cache(*region, options));
  ReclaimedVolume open(*region);
  std::array<Written, writers> written;
  std::atomic<bool> stop{false};
  std::jthread reader([&] { read_on(open, written, stop); });
  std::atomic<std::size_t> writing{writers};
  std::vector<std::jthread> threads;
  for (std::size_t which = 0; which < writers; ++which) {
    threads.emplace_back([&, which] {
      write_on(open, which, written[which]);
      writing.fetch_sub(1);
    });
  }
  while (writing.load() > 0) {
    // As write-back does it: never beyond what is published, nor its chunk beyond that.
    LogTails next = open.tails();
    const std::uint64_t chunk = open.volume->log().chunk_of_next();
    next.dirty_tail = std::max(next.dirty_tail, open.volume->commit().published());
    next.dirty_tail_chunk = std::max(next.dirty_tail_chunk, chunk);
    must(open.device->volumes().set_tails(open.writer, 0, next));
    ASSERT_NE(open.reclaim->step(*open.actor), Reclaim::Step::stopped);
    (void)open.actor->end_turn();
  }
  threads.clear();
  stop.store(true);
  reader.join();
  EXPECT_GT(open.reclaim->figures().segments, 0U);
  EXPECT_GT(open.reclaim->figures().relogged + open.reclaim->figures().moved, 0U);
  open.drain();
  open.device->segments().check_invariants();
  open.device->chunks().check_invariants();
  open.device->segments().shares().check_invariants();
  open.volume->index().check_invariants();
}

}  // namespace
}  // namespace engine::test
