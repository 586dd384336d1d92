#include "engine/cache/page_committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {
namespace {

using testing::Each;
using testing::ElementsAre;

// A command with the bytes that it writes.
struct Write {
  Write(CompletionSink& sink, std::uint8_t value) : record(sink), data(4096, std::byte{value}) {}
  CommitRecord record;
  std::vector<std::byte> data;
};

std::uint64_t syncs(const OpenVolume& open) { return open.device->region().counts().fences; }

class PageCommitterBothWays : public testing::TestWithParam<bool> {};

TEST_P(PageCommitterBothWays, ReadsWhatWasWrittenLastAndComesBackAsItWas) {
  const auto pmem = page_pmem(GetParam(), 40);
  const auto check = [](OpenVolume& open) {
    EXPECT_THAT(open.read(7, 5), ElementsAre(-1, 1, 2, 1, -1));
    EXPECT_THAT(open.read(100, 30), Each(3));
    EXPECT_THAT(open.read(130, 7), Each(4));
    EXPECT_THAT(open.read(137, 53), Each(3));
    EXPECT_THAT(open.read(199, 4), ElementsAre(-1, 0, 0, -1));
    EXPECT_EQ(open.live_sectors(), 3U + 90U);
    open.volume->index().check_invariants();
    open.device->segments().check_invariants();
    open.device->chunks().check_invariants();
  };
  {
    OpenVolume open(*pmem);
    must(open.write(8, 3, 1));
    must(open.write(9, 1, 2));
    must(open.write(100, 90, 3));
    must(open.write(130, 7, 4));
    CommitRecord record(open.sink);
    const SectorRange zeroes[] = {{{200}, {2}}};
    must(open.volume->write_zeroes(*open.actor, record, zeroes));
    open.finish_turn();
    EXPECT_EQ(open.sink.completed, 5);
    check(open);
  }
  OpenVolume again(*pmem);
  EXPECT_FALSE(again.report.damaged());
  check(again);
}

INSTANTIATE_TEST_SUITE_P(Checksums, PageCommitterBothWays, testing::Bool());

TEST(PageCommitter, LoneCommandTakesTwoSyncsAndNobodySeesItBeforeTheSecond) {
  const auto pmem = page_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 8, 1));
  const std::uint64_t before = syncs(open);
  Write write(open.sink, 2);
  must(open.volume->write(*open.actor, write.record, {{0}, {8}}, write.data));
  EXPECT_FALSE(open.actor->end_turn());
  EXPECT_EQ(syncs(open), before);
  EXPECT_TRUE(open.committer->step());
  EXPECT_EQ(syncs(open), before + 1);
  EXPECT_EQ(open.sink.completed, 1);
  EXPECT_THAT(open.read(0, 8), Each(1));
  EXPECT_FALSE(open.committer->step());
  EXPECT_EQ(syncs(open), before + 2);
  EXPECT_EQ(open.sink.completed, 2);
  EXPECT_THAT(open.read(0, 8), Each(2));
  EXPECT_FALSE(open.committer->step());
  EXPECT_EQ(syncs(open), before + 2);
}

TEST(PageCommitter, CommandWithoutDataTakesOneSync) {
  const auto pmem = page_pmem(false);
  OpenVolume open(*pmem);
  must(open.write(0, 8, 1));
  const std::uint64_t before = syncs(open);
  CommitRecord record(open.sink);
  must(open.volume->invalidate(*open.actor, record, {{2}, {2}}));
  open.finish_turn();
  EXPECT_EQ(syncs(open), before + 1);
  EXPECT_THAT(open.read(0, 5), ElementsAre(1, 1, -1, -1, 1));
}

TEST(PageCommitter, RoundsServeEverybodyAndOverlap) {
  // Segments and chunks that are never full: rounds have nothing to do but commands.
  SimPmemPages pmem({4U << 20});
  FormatOptions format = page_format(false);
  format.layout.segment_bytes = 256U << 10;
  format.layout.chunk_bytes = 128U << 10;
  must(format_cache(pmem, format));
  OpenVolume open(pmem);
  const auto other = open.make_actor();
  std::vector<std::unique_ptr<Write>> writes;
  const auto submit = [&](CacheActor& actor, std::uint64_t count) {
    for (std::uint64_t at = 0; at < count; ++at) {
      auto& write = *writes.emplace_back(std::make_unique<Write>(open.sink, 3));
      const SectorRange range{{writes.size() * 8}, {8}};
      must(open.volume->write(actor, write.record, range, write.data));
    }
    EXPECT_FALSE(actor.end_turn());
  };
  submit(*open.actor, 1);
  submit(*other, 1);
  open.finish_turn();
  const std::uint64_t before = syncs(open);
  submit(*open.actor, 1);
  submit(*other, 1);
  EXPECT_TRUE(open.committer->step());
  submit(*open.actor, 1);
  submit(*other, 1);
  EXPECT_TRUE(open.committer->step());
  EXPECT_EQ(open.sink.completed, 4);
  EXPECT_FALSE(open.committer->step());
  EXPECT_EQ(open.sink.completed, 6);
  EXPECT_EQ(syncs(open), before + 3);
  // One kset for both actors' commands.
  EXPECT_EQ(open.volume->commit().published(), 3U);
}

// Whatever the granularity: as much is taken, and refused for the same reasons.
struct Taken {
  std::uint64_t commands = 0;
  CacheRefusal refusal{};
  std::uint32_t free_segments = 0;
  std::uint64_t live_sectors = 0;
  friend bool operator==(const Taken&, const Taken&) = default;
};
Taken take_until_refused(PmemRegion& region, ByteCount index_memory, std::uint64_t sectors,
                         std::uint64_t stride) {
  OpenVolume open(region, index_memory);
  Taken taken;
  Result<void, CacheRefusal> result = success();
  while ((result = open.write(taken.commands * stride, sectors, 7))) ++taken.commands;
  taken.refusal = result.error();
  while (open.committer != nullptr && open.committer->step()) {
  }
  taken.free_segments = open.device->segments().free_count();
  taken.live_sectors = open.live_sectors();
  open.device->segments().check_invariants();
  open.device->chunks().check_invariants();
  return taken;
}

TEST(PageCommitter, RefusesWhatFinerMediaRefuse) {
  for (const std::uint32_t segments : {24U, 160U}) {
    for (const bool crc : {false, true}) {
      const auto lines = std::make_unique<SimPmem>(
          ByteCount{(32U << 10) + std::uint64_t{segments} * small_segment + (28U << 10)});
      const auto pages = std::make_unique<SimPmemPages>(lines->size());
      FormatOptions format = page_format(crc);
      format.layout.segment_slots = 256;
      must(format_cache(*lines, format));
      must(format_cache(*pages, format));
      const auto space = take_until_refused(*pages, 16_MiB, 8, 8);
      EXPECT_EQ(space.refusal, CacheRefusal::no_space);
      EXPECT_EQ(space.live_sectors, space.commands * 8);
      EXPECT_EQ(space, take_until_refused(*lines, 16_MiB, 8, 8));
    }
  }
}

TEST(PageCommitter, RefusedCommandHoldsNothing) {
  const auto pmem = page_pmem(false, 10);
  OpenVolume open(*pmem);
  std::uint64_t at = 0;
  while (open.write(at, 24, 7)) at += 24;
  const std::uint32_t free = open.device->segments().free_count();
  // Allocates what there is, and gives it back before anybody has written it down.
  EXPECT_EQ(open.write(at, 400, 7).error(), CacheRefusal::no_space);
  EXPECT_EQ(open.device->segments().free_count(), free);
  EXPECT_FALSE(open.device->segments().any_waiting());
  EXPECT_EQ(open.live_sectors(), at);
  open.device->segments().check_invariants();
}

TEST(PageCommitter, SegmentThatIsFreedAfterItsEntryWasWrittenIsFreedOnTheMediaToo) {
  const auto pmem = page_pmem(false);
  std::uint32_t segment = 0;
  std::uint64_t generation = 0;
  {
    OpenVolume open(*pmem);
    SegmentTable& segments = open.device->segments();
    auto later = DurableWriter::later();
    const std::uint32_t free = segments.free_count();
    segment = must(segments.allocate(later, format::SegmentUse::data, open.volume->tag()));
    generation = segments.info(segment).generation;
    EXPECT_FALSE(open.committer->step());
    EXPECT_EQ(open_device(*pmem, CacheDevice::Access::inspect)->segments().info(segment).use,
              format::SegmentUse::data);
    must(segments.free(later, segment));
    EXPECT_EQ(segments.free_count(), free - 1);
    EXPECT_TRUE(segments.any_waiting());
    segments.check_invariants();
    EXPECT_FALSE(open.committer->step());
    EXPECT_EQ(segments.free_count(), free);
    segments.check_invariants();
  }
  const auto device = open_device(*pmem, CacheDevice::Access::inspect);
  EXPECT_EQ(device->segments().info(segment).use, format::SegmentUse::free);
  EXPECT_EQ(device->segments().info(segment).generation, generation + 1);
}

TEST(PageCommitter, BadPageIsHealedByWhateverIsWrittenThere) {
  const auto pmem = page_pmem(false);
  OpenVolume open(*pmem);
  must(open.write(0, 8, 1));
  const auto hit = pin_front(*open.volume, {{0}, {8}});
  ASSERT_TRUE(hit.has_value());
  pmem->poison({(hit->value.place.value + 8) * 512}, {512});
  must(open.write(8, 1, 2));
  EXPECT_EQ(open.sink.failed, 0);
  EXPECT_THAT(open.read(7, 2), ElementsAre(1, 2));
}

// Of the syncs of two writes: a segment's entry, data, one kset and more data, the other kset.
class PageCommitterFailure : public testing::TestWithParam<int> {};

TEST_P(PageCommitterFailure, FailedSyncFailsTheDeviceForGood) {
  const auto pmem = page_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 24, 1));
  Write first(open.sink, 2);
  Write second(open.sink, 3);
  Write third(open.sink, 4);
  must(open.volume->write(*open.actor, first.record, {{0}, {8}}, first.data));
  EXPECT_TRUE(open.device->segments().any_waiting());
  EXPECT_FALSE(open.actor->end_turn());
  const auto other = open.make_actor();
  must(open.volume->write(*other, third.record, {{16}, {8}}, third.data));
  int good_syncs = GetParam();
  if (good_syncs == 0) pmem->fail_next_sync();
  pmem->on_persist_point([&](PersistPoint point) {
    if (point.kind == PersistPoint::Kind::settle && --good_syncs == 0) pmem->fail_next_sync();
  });
  (void)open.committer->step();
  if (!open.device->failed()) {
    must(open.volume->write(*open.actor, second.record, {{8}, {8}}, second.data));
    EXPECT_FALSE(open.actor->end_turn());
  }
  while (open.committer->step()) {
  }
  pmem->on_persist_point({});
  EXPECT_TRUE(open.device->failed());
  EXPECT_FALSE(open.volume->is_writable());
  const bool one_is_durable = GetParam() == 3;
  const int queued = GetParam() < 2 ? 1 : 2;
  EXPECT_EQ(open.sink.completed, 1 + queued);
  EXPECT_EQ(open.sink.failed, one_is_durable ? 1 : queued);
  // Taken before the failure, queued after it.
  EXPECT_FALSE(other->end_turn());
  EXPECT_FALSE(open.committer->step());
  EXPECT_EQ(open.sink.completed, 2 + queued);
  EXPECT_EQ(third.record.outcome(), CommitOutcome::failed);
  EXPECT_EQ(open.write(30, 1, 5).error(), CacheRefusal::failed);
  EXPECT_THAT(open.read(0, 8), Each(one_is_durable ? 2 : 1));
  EXPECT_THAT(open.read(8, 16), Each(1));
}

INSTANTIATE_TEST_SUITE_P(Syncs, PageCommitterFailure, testing::Values(0, 1, 2, 3));

// Opens and recovers; false if a sync fails on the way, and then nothing is writable.
bool recovers(PmemRegion& region, IndexMemory& memory, const Clock& clock) {
  const auto device = CacheDevice::open(region);
  if (!device) return false;
  auto writer = must(DurableWriter::make(region));
  const auto recovered = recover_volume(*device.value(), 0, memory, clock, writer);
  if (!recovered) return false;
  EXPECT_FALSE(recovered.value().report.damaged());
  EXPECT_EQ(recovered.value().cache->is_writable(), !recovered.value().report.not_opened);
  return recovered.value().cache->is_writable();
}

TEST(PageCommitter, SyncThatFailsInRecoveryEndsItAndTheNextOneSucceeds) {
  const auto pmem = page_pmem(true, 200);
  {
    OpenVolume open(*pmem);
    must(open.write(0, 8, 1));
    must(open.write(4, 8, 2));
  }
  IndexMemory memory(16_MiB);
  const target::SimClock clock;
  int failures = 0;
  for (int good_syncs = 0;; ++good_syncs, ++failures) {
    int left = good_syncs;
    if (left == 0) pmem->fail_next_sync();
    pmem->on_persist_point([&](PersistPoint point) {
      if (point.kind == PersistPoint::Kind::settle && --left == 0) pmem->fail_next_sync();
    });
    const bool recovered = recovers(*pmem, memory, clock);
    pmem->on_persist_point({});
    if (recovered) break;
    EXPECT_TRUE(pmem->needs_reopen());
    pmem->reopen();
    // What the failed one has left behind is there for the next, whatever the power does.
    LoseEverything lose;
    const auto after = pmem->crash(lose);
    OpenVolume again(*after);
    EXPECT_TRUE(again.volume->is_writable());
    EXPECT_THAT(again.read(0, 12), ElementsAre(1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2));
  }
  EXPECT_GT(failures, 3);
}

TEST(PageCommitter, TaskWritesBetweenRounds) {
  const auto pmem = page_pmem(false);
  OpenVolume open(*pmem);
  struct Note final : CommitTask {
    explicit Note(VolumeCache& of) : volume(of) {}
    void run(DurableWriter& writer) override {
      ASSERT_TRUE(volume.commit().try_lock());
      volume.commit().unlock();
      must(volume.note_durable(writer));
      // What is queued on the volume may be committed right here.
      EXPECT_FALSE(volume.commit().run(writer));
      published = volume.commit().published();
    }
    VolumeCache& volume;
    std::uint64_t published = 0;
  };
  must(open.write(0, 8, 1));
  Write write(open.sink, 2);
  must(open.volume->write(*open.actor, write.record, {{0}, {8}}, write.data));
  EXPECT_FALSE(open.actor->end_turn());
  EXPECT_TRUE(open.committer->step());
  Note note(*open.volume);
  open.committer->post(note);
  EXPECT_FALSE(open.committer->step());
  EXPECT_EQ(open.device->volumes()[0].epoch.known_durable, 1U);
  EXPECT_EQ(note.published, 2U);
  EXPECT_EQ(open.sink.completed, 2);
}

}  // namespace
}  // namespace engine::test
