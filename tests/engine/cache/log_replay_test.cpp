// Recovery of a log of many windows, cut up among any number of helpers: always what reading it
// from one end to the other gives, also where the log is damaged.
#include "engine/cache/log_replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/sim/shuffled_tasks.h"

namespace engine::test {
namespace {

constexpr std::uint64_t ksets = 10'000;  // of one key, in chunks of 8 KiB: two windows
constexpr std::uint64_t blocks = 3'000;  // of one sector, over two stripes
constexpr Sector base{stripe_sectors - blocks / 2};

// Write n (from 1) fills a block with the byte n; every fiftieth zeroes some.
class LongLog {
 public:
  LongLog() : region_(must(make_anonymous_pmem(16_MiB))) {
    FormatOptions options = small_format();
    options.layout.segment_slots = 2048;
    must(format_cache(*region_, options));
    OpenVolume open(*region_);
    SeededRandom random(7);
    for (std::uint64_t n = 1; n <= ksets; ++n) {
      const std::uint64_t at = base.value + random.below(blocks - 16);
      if (n % 50 == 0) {
        must(open.zero(at, 16));
      } else {
        must(open.write(at, 1, static_cast<std::uint8_t>(n)));
      }
    }
    chunks_ = open.device->chunks_of(0).chunks;
  }

  [[nodiscard]] PmemRegion& region() { return *region_; }
  [[nodiscard]] std::size_t chunks() const { return chunks_.size(); }
  // One bit in both copies of a kset.
  void rot(std::uint64_t sequence) {
    const auto chunk = std::find_if(chunks_.rbegin(), chunks_.rend(), [&](const LogChunk& one) {
      return one.first_sequence <= sequence;
    });
    ASSERT_NE(chunk, chunks_.rend());
    const std::uint64_t at = (sequence - chunk->first_sequence) * kset_bytes(1, 64);
    for (const MediaOffset place : chunk->places) {
      flip_bit(*region_, place + ByteCount{64 + at + 40});
    }
  }
  void forget_up_to(std::uint64_t sequence) {
    const auto device = open_device(*region_);
    auto writer = must(DurableWriter::make(*region_));
    LogTails tails = device->volumes()[0].tails;
    tails.key_tail = tails.dirty_tail = sequence;
    must(device->volumes().set_tails(writer, 0, tails));
  }

 private:
  std::unique_ptr<PmemRegion> region_;
  std::deque<LogChunk> chunks_;
};

// Everything that recovery rebuilds, to be compared.
struct Rebuilt {
  RecoveryReport report;
  std::vector<Fragment> index;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> segments;  // live, highest sequence
  std::uint64_t backlog = 0;
  std::vector<std::pair<MediaOffset, ByteCount>> last_data;
};

Rebuilt rebuild(PmemRegion& region, ParallelTasks& tasks) {
  const auto device = open_device(region, CacheDevice::Access::inspect);
  const target::SimClock clock;
  IndexMemory memory(16_MiB);
  const auto volume = must(read_volume(*device, 0, memory, clock, tasks));
  volume.cache->index().check_invariants();
  Rebuilt found;
  found.report = volume.report;
  found.backlog = volume.cache->commit().backlog().value;
  found.last_data = volume.last_data;
  volume.cache->index().for_each([&](const Fragment& part) { found.index.push_back(part); });
  for (std::uint32_t at = 0; at < device->segments().count(); ++at) {
    const SegmentCounters& counters = device->segments().counters(at);
    found.segments.emplace_back(counters.live_sectors, counters.highest_sequence);
  }
  return found;
}

void expect_equal(const Rebuilt& found, const Rebuilt& expected) {
  EXPECT_EQ(found.index, expected.index);
  EXPECT_EQ(found.segments, expected.segments);
  EXPECT_EQ(found.backlog, expected.backlog);
  EXPECT_EQ(found.last_data, expected.last_data);
  const auto figures = [](const RecoveryReport& report) {
    return std::tuple(report.ksets, report.keys, report.stale_keys, report.last_sequence,
                      report.last_chunk, report.end_chunk, report.last_time_ms);
  };
  EXPECT_EQ(figures(found.report), figures(expected.report));
  EXPECT_EQ(found.report.notes, expected.report.notes);
  EXPECT_EQ(found.report.log_damage, expected.report.log_damage);
}

// The same for every number of helpers and order of their parts. Returns what it is.
Rebuilt rebuild_in_every_way(PmemRegion& region) {
  InlineTasks alone;
  const Rebuilt expected = rebuild(region, alone);
  for (const std::size_t width : {1U, 2U, 3U, 16U}) {
    SCOPED_TRACE(width);
    ShuffledTasks tasks(width, width);
    expect_equal(rebuild(region, tasks), expected);
  }
  return expected;
}

TEST(LogReplay, TheOrderOfTheLogCountsHoweverItIsCutUp) {
  LongLog log;
  ASSERT_GT(log.chunks(), 70U) << "more than a window";
  const Rebuilt found = rebuild_in_every_way(log.region());
  EXPECT_FALSE(found.report.damaged());
  EXPECT_EQ(found.report.last_sequence, ksets);
  EXPECT_EQ(found.report.keys, ksets);
  std::uint64_t live = 0;
  std::uint64_t held = 0;
  for (const auto& [sectors, sequence] : found.segments) live += sectors;
  for (const Fragment& part : found.index) {
    if (part.value.kind == ExtentKind::data) held += part.range.count.value;
  }
  EXPECT_EQ(live, held);
  EXPECT_EQ(found.backlog, ksets - ksets / 50) << "data, newer over older counted twice";
  // Zeros are the last; they have no data.
  EXPECT_TRUE(found.last_data.empty());
  OpenVolume open(log.region());
  SeededRandom random(7);
  std::vector<int> model(blocks, -1);
  for (std::uint64_t n = 1; n <= ksets; ++n) {
    const std::uint64_t at = random.below(blocks - 16);
    if (n % 50 == 0) {
      std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(at), 16, 0);
    } else {
      model[at] = static_cast<int>(n % 256);
    }
  }
  EXPECT_EQ(open.read(base.value, blocks), model);
}

// What lies behind the damage was decoded with the rest, and must not count.
TEST(LogReplay, NothingBehindDamageCountsThoughItWasReadAhead) {
  for (const std::uint64_t bad : {100U, 9'000U}) {
    SCOPED_TRACE(bad);
    LongLog log;
    log.rot(bad);
    const Rebuilt found = rebuild_in_every_way(log.region());
    ASSERT_TRUE(found.report.log_damage.has_value());
    EXPECT_EQ(found.report.log_damage->kind, LogDamage::Kind::lost_kset);
    EXPECT_EQ(found.report.last_sequence, bad - 1);
    EXPECT_EQ(found.report.keys, bad - 1);
    for (const auto& [sectors, sequence] : found.segments) EXPECT_LT(sequence, bad);
  }
}

TEST(LogReplay, ForgottenKsetsCountNotAndMayBeDamaged) {
  LongLog log;
  log.rot(20);
  log.rot(55);
  log.forget_up_to(55);
  const Rebuilt found = rebuild_in_every_way(log.region());
  EXPECT_FALSE(found.report.damaged());
  EXPECT_EQ(found.report.keys, ksets - 55);
  ASSERT_EQ(found.report.notes.size(), 2U);
  EXPECT_EQ(found.report.notes[1].kind, LogNote::Kind::forgotten_damage);
}

TEST(LogReplay, EndsSoonWhenNobodyWantsItAnyMore) {
  class GivenUp final : public ParallelTasks {
   public:
    void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
      InlineTasks().run(count, task);
      parts += count;
    }
    [[nodiscard]] std::size_t width() const override { return 1; }
    [[nodiscard]] bool given_up() const override { return parts > 0; }
    std::size_t parts = 0;
  };
  LongLog log;
  GivenUp tasks;
  const auto device = open_device(log.region(), CacheDevice::Access::inspect);
  const target::SimClock clock;
  IndexMemory memory(16_MiB);
  const auto volume = read_volume(*device, 0, memory, clock, tasks);
  ASSERT_FALSE(volume);
  EXPECT_EQ(volume.error().kind, CacheError::Kind::given_up);
  EXPECT_LT(tasks.parts, log.chunks()) << "one window";
}

TEST(LogReplay, SaysThatTheIndexHasNoMemory) {
  LongLog log;
  const auto device = open_device(log.region(), CacheDevice::Access::inspect);
  const target::SimClock clock;
  IndexMemory memory(64_KiB);
  ShuffledTasks tasks(1);
  const auto volume = read_volume(*device, 0, memory, clock, tasks);
  ASSERT_FALSE(volume);
  EXPECT_EQ(volume.error().kind, CacheError::Kind::exhausted);
}

}  // namespace
}  // namespace engine::test
