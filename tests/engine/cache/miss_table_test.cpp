#include "engine/cache/miss_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {
namespace {

SectorRange range(std::uint64_t begin, std::uint64_t end) { return {{begin}, {end - begin}}; }

TEST(MissTable, WhoAsksForTheSameWaitsForTheFirst) {
  MissTable table;
  MissPart first;
  MissPart second;
  MissPart third;
  table.begin(range(0, 64), first);
  EXPECT_TRUE(first.reads());
  table.begin(range(8, 16), second);
  table.begin(range(16, 64), third);
  EXPECT_FALSE(second.reads());
  EXPECT_FALSE(third.reads());
  EXPECT_EQ(second.range(), range(8, 16));
  MissPart* const joined = table.take_joined(first);
  ASSERT_EQ(joined, &third);
  ASSERT_EQ(joined->next(), &second);
  EXPECT_EQ(second.next(), nullptr);
  table.check_invariants();
  table.end(first);
  table.check_invariants();
}

TEST(MissTable, AGapIsTakenInPartsOfThoseWhoReadAlready) {
  MissTable table;
  MissPart there;
  MissPart parts[3];
  table.begin(range(16, 32), there);
  table.begin(range(0, 64), parts[0]);
  EXPECT_TRUE(parts[0].reads());
  EXPECT_EQ(parts[0].range(), range(0, 16));
  table.begin(range(16, 64), parts[1]);
  EXPECT_FALSE(parts[1].reads());
  EXPECT_EQ(parts[1].range(), range(16, 32));
  table.begin(range(32, 64), parts[2]);
  EXPECT_TRUE(parts[2].reads());
  EXPECT_EQ(parts[2].range(), range(32, 64));
  table.check_invariants();
  EXPECT_EQ(table.take_joined(there), &parts[1]);
  for (MissPart* part : {&there, &parts[0], &parts[2]}) table.end(*part);
}

TEST(MissTable, PartsEndAtWholeMebibytes) {
  MissTable table;
  MissPart part;
  table.begin(range(2000, 5000), part);
  EXPECT_EQ(part.range(), range(2000, 2048));
  table.end(part);
}

TEST(MissTable, WhoAsksAfterAChangeDoesNotGetWhatWasReadBefore) {
  MissTable table;
  MissPart before;
  MissPart after;
  MissPart elsewhere;
  table.begin(range(0, 8), before);
  table.begin(range(64, 72), elsewhere);
  table.overtake(range(7, 12));
  EXPECT_TRUE(before.overtaken());
  EXPECT_FALSE(elsewhere.overtaken());
  table.begin(range(0, 8), after);
  EXPECT_TRUE(after.reads());
  EXPECT_FALSE(after.overtaken());
  table.check_invariants();
  for (MissPart* part : {&before, &after, &elsewhere}) table.end(*part);
}

TEST(MissTable, AChangeOfManyMebibytesFindsThemAll) {
  MissTable table;
  std::vector<MissPart> parts(80);
  for (std::uint64_t at = 0; at < parts.size(); ++at) {
    table.begin(range(at * 2048 + 5, at * 2048 + 6), parts[at]);
  }
  table.overtake(range(0, 79 * 2048 + 5));
  for (std::size_t at = 0; at < parts.size(); ++at) {
    EXPECT_EQ(parts[at].overtaken().load(), at < 79) << at;
    table.end(parts[at]);
  }
}

TEST(MissTable, AMissBesideADirectWriteNeverFills) {
  MissTable table;
  MissPart before;
  MissPart during;
  MissPart joins;
  MissPart after;
  table.begin(range(0, 8), before);
  DirectWrite write;
  table.begin_direct(range(4, 20), write);
  EXPECT_TRUE(before.overtaken());
  table.begin(range(8, 16), during);
  EXPECT_TRUE(during.reads());
  EXPECT_TRUE(during.overtaken());
  // Nothing is acknowledged yet, so they may share what they get.
  table.begin(range(8, 16), joins);
  EXPECT_FALSE(joins.reads());
  table.end_direct(write);
  table.begin(range(8, 16), after);
  EXPECT_TRUE(after.reads());
  EXPECT_FALSE(after.overtaken());
  EXPECT_EQ(table.take_joined(during), &joins);
  for (MissPart* part : {&before, &during, &after}) table.end(*part);
  table.check_invariants();
}

// The miss's hole is a hole again when its data arrives, and the data is old.
TEST(ScenarioS6, AFillThatWasOvertakenByAWriteNowEvictedIsDropped) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  MissTable& misses = open.volume->misses();
  MissPart overtaken;
  MissPart untouched;
  misses.begin(range(0, 8), overtaken);
  misses.begin(range(8, 16), untouched);
  must(open.write(2, 3, 7));
  // Written back and evicted.
  EXPECT_TRUE(open.volume->commit().try_lock());
  auto permit = open.volume->index().prepare(range(0, 16));
  ASSERT_TRUE(permit.has_value());
  open.volume->index().erase(std::move(*permit), [&](const Fragment& gone) {
    const auto segment = open.device->layout().segment_of({gone.value.place.value * 512});
    open.device->segments().counters(*segment).live_sectors.fetch_sub(
        static_cast<std::uint32_t>(gone.range.count.value));
  });
  open.volume->commit().unlock();
  const auto fill = [&](const MissPart& part) {
    CommitRecord record(open.sink);
    const std::vector<std::byte> old(part.range().count.value * 512, std::byte{1});
    must(open.volume->fill(*open.actor, record, part.range(), old, &part.overtaken()));
    EXPECT_FALSE(open.actor->end_turn());
    return record.any_dropped();
  };
  EXPECT_TRUE(fill(overtaken));
  EXPECT_FALSE(fill(untouched));
  EXPECT_EQ(open.read(0, 9), (std::vector<int>{-1, -1, -1, -1, -1, -1, -1, -1, 1}));
  misses.end(overtaken);
  misses.end(untouched);
}

TEST(ScenarioS6, ReadersNeverJoinWhatWasReadBeforeAnAcknowledgedWrite) {
  constexpr int threads = 3;
  MissTable table;
  // Versions of the one block that there is.
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> acknowledged{0};
  const auto reader = [&](std::uint64_t seed) {
    SeededRandom random(seed);
    struct Asked : MissPart {
      std::uint64_t acknowledged = 0;  // when it was asked
      std::atomic<std::uint64_t> got{~0ULL};
    };
    std::vector<std::unique_ptr<Asked>> all;
    for (int round = 0; round < 2000; ++round) {
      Asked& asked = *all.emplace_back(std::make_unique<Asked>());
      asked.acknowledged = acknowledged.load();
      table.begin(range(0, 8), asked);
      if (!asked.reads()) continue;
      const std::uint64_t read = published.load();
      for (MissPart* other = table.take_joined(asked); other != nullptr;) {
        MissPart* const next = other->next();
        static_cast<Asked*>(other)->got.store(read);
        other = next;
      }
      asked.got.store(read);
      table.end(asked);
    }
    for (const auto& asked : all) {
      std::uint64_t got = 0;
      while ((got = asked->got.load()) == ~0ULL) std::this_thread::yield();
      EXPECT_GE(got, asked->acknowledged);
    }
  };
  std::atomic<bool> stop{false};
  std::jthread writer([&] {
    while (!stop.load()) {
      const std::uint64_t next = published.load() + 1;
      published.store(next);
      table.overtake(range(0, 8));
      acknowledged.store(next);
    }
  });
  {
    std::vector<std::jthread> readers;
    for (int at = 0; at < threads; ++at) readers.emplace_back(reader, at + 1);
  }
  stop.store(true);
  writer.join();
  table.check_invariants();
}

// Over three buckets; whoever changes something tells those that it touches.
TEST(MissTable, AWatchedReadKnowsWhatHasChangedUnderIt) {
  MissTable table;
  ReadWatch watch;
  ReadWatch other;
  const SectorRange read{{2040}, {4000}};
  table.watch(read, watch);
  table.watch({{2040}, {8}}, other);
  EXPECT_FALSE(watch.is_changed(read));
  table.overtake({{2045}, {10}}, true);
  table.overtake({{3000}, {64}});  // the backing counts there, as for a hole
  table.overtake({{6030}, {1000}}, true);
  EXPECT_FALSE(watch.is_changed({{2040}, {5}}));
  EXPECT_TRUE(watch.is_changed({{2045}, {1}}));
  EXPECT_TRUE(watch.is_changed({{2054}, {1}}));
  EXPECT_FALSE(watch.is_changed({{2055}, {3975}}));
  EXPECT_TRUE(watch.is_changed({{2055}, {3976}}));
  EXPECT_TRUE(other.is_changed({{2047}, {1}}));
  table.check_invariants();
  table.unwatch(watch);
  table.overtake({{2040}, {4000}}, true);
  EXPECT_FALSE(watch.is_changed({{2040}, {5}})) << "it is watched for no more";
  EXPECT_TRUE(other.is_changed({{2040}, {8}}));
  // Used again, it knows of nothing.
  table.watch(read, watch);
  EXPECT_FALSE(watch.is_changed(read));
  table.unwatch(watch);
  table.unwatch(other);
  table.check_invariants();
}

}  // namespace
}  // namespace engine::test
