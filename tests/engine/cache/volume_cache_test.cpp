#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/crc32c.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {
namespace {

using testing::Each;
using testing::ElementsAre;

class VolumeCacheBothWays : public testing::TestWithParam<bool> {};

TEST_P(VolumeCacheBothWays, ReadsWhatWasWrittenLastAndTellsHoles) {
  const auto pmem = cache_pmem(GetParam());
  OpenVolume open(*pmem);
  must(open.write(8, 3, 1));
  must(open.write(9, 1, 2));
  EXPECT_THAT(open.read(7, 5), ElementsAre(-1, 1, 2, 1, -1));
  // Over several segments, partly overwritten, read in parts.
  must(open.write(100, 90, 3));
  must(open.write(130, 7, 4));
  EXPECT_THAT(open.read(100, 30), Each(3));
  EXPECT_THAT(open.read(130, 7), Each(4));
  EXPECT_THAT(open.read(137, 53), Each(3));
  EXPECT_THAT(open.read(136, 2), ElementsAre(4, 3));
  EXPECT_EQ(open.live_sectors(), 3U + 90U);
  EXPECT_EQ(open.sink.completed, 4);
}

TEST_P(VolumeCacheBothWays, ComesBackAsItWas) {
  const auto pmem = cache_pmem(GetParam());
  {
    OpenVolume open(*pmem);
    must(open.write(0, 20, 1));
    must(open.write(4, 2, 2));
    CommitRecord record(open.sink);
    const SectorRange zeroes[] = {{{10}, {2}}, {{40}, {4}}};
    must(open.volume->write_zeroes(*open.actor, record, zeroes));
    EXPECT_FALSE(open.actor->end_turn());
  }
  OpenVolume again(*pmem);
  EXPECT_FALSE(again.report.damaged());
  EXPECT_THAT(again.read(3, 4), ElementsAre(1, 2, 2, 1));
  EXPECT_THAT(again.read(9, 4), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(again.read(39, 2), ElementsAre(-1, 0));
  EXPECT_EQ(again.live_sectors(), 20U - 2U);
}

INSTANTIATE_TEST_SUITE_P(Checksums, VolumeCacheBothWays, testing::Bool());

TEST(VolumeCache, RottenPieceIsAnErrorForWhatIsReadOfItAndNoMore) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 24, 5));
  const auto hit = pin_front(*open.volume, {{0}, {24}});
  ASSERT_TRUE(hit.has_value());
  // In the second of three pieces.
  flip_bit(*pmem, {(hit->value.place.value + 9) * 512 + 17});
  EXPECT_THAT(open.read(0, 8), Each(5));
  EXPECT_THAT(open.read(8, 1), Each(-3));
  EXPECT_THAT(open.read(16, 8), Each(5));
  // And the array.
  flip_bit(*pmem, {hit->value.place.value * 512 - 4});
  EXPECT_THAT(open.read(0, 1), Each(-3));
  must(open.write(0, 24, 6));
  EXPECT_THAT(open.read(0, 24), Each(6));
}

TEST(VolumeCache, SmallExtentThatWasOverwrittenInPartIsStillVerified) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 8, 1));
  must(open.write(2, 2, 2));
  const auto rest = pin_front(*open.volume, {{4}, {4}});
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->value.origin, 4);
  EXPECT_THAT(open.read(4, 4), Each(1));
  flip_bit(*pmem, {(rest->value.place.value - 4) * 512});
  EXPECT_THAT(open.read(4, 4), Each(-3));
}

// From the wire to the media: what has been computed once is not computed again, so that no change
// on the way goes unseen.
TEST(VolumeCache, SumsThatAreKnownGoToTheMediaAsTheyAre) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  const std::vector<std::byte> data(20 * 512, std::byte{7});
  std::array<PieceSum, 3> sums;
  const PieceSums known(sums, data.size());
  PieceSummer summer(known, 0);
  summer.take(data);
  (void)summer.finish();
  sums[1].crc ^= 1;
  CommitRecord record(open.sink);
  must(open.volume->write(*open.actor, record, {{100}, {20}}, data, known));
  open.finish_turn();
  EXPECT_THAT(open.read(100, 8), Each(7));
  EXPECT_THAT(open.read(108, 1), Each(-3));
  EXPECT_THAT(open.read(116, 4), Each(7));
  // Of what is not known it computes its own.
  known.forget(4096, 1);
  must(open.volume->write(*open.actor, record, {{200}, {20}}, data, known));
  open.finish_turn();
  EXPECT_THAT(open.read(200, 20), Each(7));
}

TEST(VolumeCache, AReadTellsTheSumsThatItWasCheckedAgainst) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 28, 5));
  must(open.write(9, 2, 6));
  std::vector<std::byte> bytes(28 * 512);
  const auto known = [&](std::uint64_t at, std::uint64_t sectors) {
    std::array<PieceSum, 4> all;
    const auto sums = std::span(all).first(PieceSums::pieces_of(sectors * 512));
    const PieceSums view(sums, sectors * 512);
    const auto to = std::span(bytes).first(sectors * 512);
    open.volume->read(
        {{at}, {sectors}}, to, ExtentIndex::Heat::keep, [](const CacheGap&) {}, view);
    EXPECT_EQ(view.whole(to), crc32c(to));
    std::vector<bool> found;
    for (const PieceSum& sum : sums) found.push_back(sum.known);
    return found;
  };
  EXPECT_THAT(known(0, 28), ElementsAre(true, false, true, true));
  EXPECT_THAT(known(8, 20), ElementsAre(false, true, true));
  EXPECT_THAT(known(16, 12), ElementsAre(true, true));
  EXPECT_THAT(known(16, 10), ElementsAre(true, false));
  EXPECT_THAT(known(1, 27), Each(false));
  // Of what others will give the bytes of, not even the good pieces.
  const auto last = pin_front(*open.volume, {{24}, {4}});
  ASSERT_TRUE(last.has_value());
  flip_bit(*pmem, {last->value.place.value * 512});
  EXPECT_THAT(known(16, 12), ElementsAre(false, false));
}

TEST(VolumeCache, FillLosesAgainstAWriteOfTheSameTurn) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  CommitRecord written(open.sink);
  CommitRecord filled(open.sink);
  CommitRecord elsewhere(open.sink);
  const std::vector<std::byte> newer(512, std::byte{9});
  const std::vector<std::byte> older(4 * 512, std::byte{1});
  must(open.volume->write(*open.actor, written, {{2}, {1}}, newer));
  must(open.volume->fill(*open.actor, filled, {{0}, {4}}, older));
  must(open.volume->fill(*open.actor, elsewhere, {{10}, {4}}, older));
  EXPECT_FALSE(open.actor->end_turn());
  EXPECT_EQ(open.sink.completed, 3);
  EXPECT_TRUE(filled.any_dropped());
  EXPECT_EQ(filled.sequence(), 0U);
  EXPECT_FALSE(elsewhere.any_dropped());
  EXPECT_THAT(open.read(0, 4), ElementsAre(-1, -1, 9, -1));
  EXPECT_THAT(open.read(10, 4), Each(1));
  EXPECT_EQ(open.live_sectors(), 5U);
}

// What was bad is replaced where it still is what it was, and nobody has written since it was read.
TEST(VolumeCache, HealingIsConditional) {
  const auto pmem = cache_pmem(true);
  const std::vector<std::byte> from_backing(8 * 512, std::byte{1});
  {
    OpenVolume open(*pmem);
    CommitRecord filled(open.sink);
    must(open.volume->fill(*open.actor, filled, {{0}, {8}}, from_backing));
    EXPECT_FALSE(open.actor->end_turn());
    const auto bad = pin_front(*open.volume, {{0}, {8}})->value;
    flip_bit(*pmem, {bad.place.value * 512});
    EXPECT_THAT(open.read(0, 8), Each(-2));
    const Fragment fragment{.range = {{0}, {8}}, .value = bad};
    CommitRecord healed(open.sink);
    std::atomic<bool> overtaken{true};
    must(open.volume->heal(*open.actor, healed, fragment, from_backing, &overtaken));
    EXPECT_FALSE(open.actor->end_turn());
    EXPECT_TRUE(healed.any_dropped());
    overtaken = false;
    must(open.write(2, 1, 9));
    must(open.volume->heal(*open.actor, healed, fragment, from_backing, &overtaken));
    EXPECT_FALSE(open.actor->end_turn());
    EXPECT_TRUE(healed.any_dropped()) << "not as a whole what it was";
    const Fragment rest{.range = {{3}, {5}}, .value = bad.advanced({3})};
    const auto part = std::span(from_backing).first(5 * 512);
    must(open.volume->heal(*open.actor, healed, rest, part, &overtaken));
    EXPECT_FALSE(open.actor->end_turn());
    EXPECT_FALSE(healed.any_dropped());
    EXPECT_THAT(open.read(0, 8), ElementsAre(-2, -2, 9, 1, 1, 1, 1, 1));
    EXPECT_EQ(open.live_sectors(), 8U);
  }
  OpenVolume again(*pmem);
  EXPECT_THAT(again.read(0, 8), ElementsAre(-2, -2, 9, 1, 1, 1, 1, 1));
}

TEST(VolumeCache, InvalidationUncoversTheBacking) {
  const auto pmem = cache_pmem(false);
  {
    OpenVolume open(*pmem);
    must(open.write(0, 4, 1));
    CommitRecord record(open.sink);
    must(open.volume->invalidate(*open.actor, record, {{1}, {2}}));
    EXPECT_FALSE(open.actor->end_turn());
    EXPECT_THAT(open.read(0, 4), ElementsAre(1, -1, -1, 1));
  }
  OpenVolume again(*pmem);
  EXPECT_THAT(again.read(0, 4), ElementsAre(1, -1, -1, 1));
}

TEST(VolumeCache, LongCommandIsSplitInOrderAndCompletesOnce) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  std::vector<SectorRange> ranges;
  for (std::uint64_t at = 0; at < 300; ++at) ranges.push_back({{at * 4}, {1}});
  CommitRecord record(open.sink);
  must(open.volume->write_zeroes(*open.actor, record, ranges));
  EXPECT_FALSE(open.actor->end_turn());
  EXPECT_EQ(open.sink.completed, 1);
  EXPECT_EQ(record.sequence(), 3U);
  EXPECT_EQ(open.volume->commit().published(), 3U);
  EXPECT_THAT(open.read(1196, 2), ElementsAre(0, -1));
}

TEST(VolumeCache, TurnBeyondTheBoundGoesOnInTheNext) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  std::vector<SectorRange> ranges;
  for (std::uint64_t at = 0; at < 128; ++at) ranges.push_back({{at}, {1}});
  std::vector<std::unique_ptr<CommitRecord>> records;
  for (int command = 0; command < 10; ++command) {
    records.push_back(std::make_unique<CommitRecord>(open.sink));
    must(open.volume->write_zeroes(*open.actor, *records.back(), ranges));
  }
  EXPECT_TRUE(open.actor->end_turn());
  EXPECT_EQ(open.sink.completed, static_cast<int>(VolumeCommit::most_ksets));
  EXPECT_FALSE(open.actor->end_turn());
  EXPECT_EQ(open.sink.completed, 10);
}

TEST(VolumeCache, WhoMeetsAnothersCommitComesAgainUntilItsOwnIsThrough) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  const auto other = open.make_actor();
  CommitRecord mine(open.sink);
  CommitRecord theirs(open.sink);
  const std::vector<std::byte> data(4096, std::byte{1});
  must(open.volume->write(*open.actor, mine, {{0}, {8}}, data));
  must(open.volume->write(*other, theirs, {{8}, {8}}, data));
  ASSERT_TRUE(open.volume->commit().try_lock());
  EXPECT_TRUE(open.actor->end_turn());
  EXPECT_TRUE(open.actor->end_turn());
  EXPECT_TRUE(other->end_turn());
  EXPECT_EQ(open.sink.completed, 0);
  open.volume->commit().unlock();
  EXPECT_FALSE(other->end_turn()) << "commits both, in one kset";
  EXPECT_EQ(open.sink.completed, 2);
  EXPECT_EQ(open.volume->commit().published(), 1U);
  EXPECT_FALSE(open.actor->end_turn()) << "nothing is left to come for";
}

TEST(VolumeCacheSpace, DataLeavesRoomForTheLogs) {
  const auto pmem = cache_pmem(false, 10);
  {
    OpenVolume open(*pmem);
    std::uint64_t at = 0;
    Result<void, CacheRefusal> taken = success();
    while ((taken = open.write(at, 30, 7))) at += 30;
    EXPECT_EQ(taken.error(), CacheRefusal::no_space);
    EXPECT_EQ(open.live_sectors(), at);
    EXPECT_EQ(open.device->segments().free_count(), SegmentShares::device_reserve);
    // A command that needs more than there is holds nothing of it.
    EXPECT_EQ(open.write(at, 64, 7).error(), CacheRefusal::no_space);
    EXPECT_EQ(open.live_sectors(), at);
  }
  OpenVolume again(*pmem);
  EXPECT_TRUE(again.volume->is_writable());
}

// A log that cannot be shortened, because the backing hangs, is a matter of its own volume.
TEST(VolumeCacheSpace, ALogTakesNothingThatOthersCountOn) {
  const auto pmem = cache_pmem(false, 24);
  OpenVolume open(*pmem);
  SegmentShares& shares = open.device->segments().shares();
  must(shares.set_log_need(4));
  must(shares.set_share(77, {.minimum = 6}));
  for (std::uint64_t at = 0; open.zero(at, 1); at += 2) ASSERT_LT(at, 100'000U);
  EXPECT_GE(open.device->segments().free_count(), 6U + SegmentShares::device_reserve);
  EXPECT_GT(open.volume->log().chunks(), VolumeLog::few_chunks);
}

TEST(VolumeCacheSpace, IndexWithoutMemoryRefusesAndHoldsNothing) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem, 64_KiB);
  std::uint64_t at = 0;
  Result<void, CacheRefusal> taken = success();
  // Scattered, so that each takes memory.
  while ((taken = open.write(at * 16, 1, 7)) && at < 10'000) ++at;
  EXPECT_EQ(taken.error(), CacheRefusal::no_memory);
  EXPECT_EQ(open.live_sectors(), at);
  EXPECT_THAT(open.read(0, 1), Each(7));
}

TEST(VolumeCacheFailure, LogThatCannotBeWrittenFailsItsCommandsForGood) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  must(open.write(0, 1, 1));
  pmem->heal_on_overwrite(false);
  pmem->poison(open.volume->log().places()[1] + ByteCount{open.volume->log().offset()}, {64});
  must(open.write(1, 1, 2));
  EXPECT_EQ(open.sink.failed, 1);
  EXPECT_THAT(open.read(0, 2), ElementsAre(1, -1));
  EXPECT_EQ(open.write(2, 1, 3).error(), CacheRefusal::failed);
}

TEST(VolumeCacheFailure, PlaceThatCannotBeWrittenAbandonsTheCommandAndTheNextGoesElsewhere) {
  const auto pmem = cache_pmem(false);
  OpenVolume open(*pmem);
  must(open.write(0, 1, 1));
  const auto hit = pin_front(*open.volume, {{0}, {1}});
  pmem->heal_on_overwrite(false);
  pmem->poison({(hit->value.place.value + 1) * 512}, {512});
  must(open.write(1, 1, 2));
  EXPECT_EQ(open.sink.bad_places, 1);
  EXPECT_EQ(open.sink.completed, 2);
  EXPECT_EQ(open.live_sectors(), 1U);
  EXPECT_THAT(open.read(0, 2), ElementsAre(1, -1));
  must(open.write(1, 1, 3));
  EXPECT_EQ(open.sink.bad_places, 1);
  EXPECT_THAT(open.read(0, 2), ElementsAre(1, 3));
}

TEST(VolumeCacheFailure, OneBadPlaceOfATurnLeavesTheOthers) {
  const auto pmem = cache_pmem(true);
  OpenVolume open(*pmem);
  must(open.write(0, 8, 1));
  const auto hit = pin_front(*open.volume, {{0}, {8}});
  pmem->heal_on_overwrite(false);
  pmem->poison({(hit->value.place.value + 16) * 512}, {512});  // of the second of these
  std::deque<CommitRecord> records;
  const std::vector<std::byte> data(4096, std::byte{9});
  for (const std::uint64_t at : {8, 16, 24}) {
    must(open.volume->write(*open.actor, records.emplace_back(open.sink), {{at}, {8}}, data));
  }
  open.finish_turn();
  EXPECT_EQ(open.sink.completed, 4);
  EXPECT_EQ(open.sink.bad_places, 1);
  EXPECT_EQ(records[1].outcome(), CommitOutcome::bad_place);
  EXPECT_EQ(open.live_sectors(), 24U);
  EXPECT_THAT(open.read(8, 8), Each(9));
  EXPECT_THAT(open.read(16, 8), Each(-1));
  EXPECT_THAT(open.read(24, 8), Each(9));
}

// Rewrites the only kset of a log with one field of its first key changed.
template <class Change>
RecoveryReport recover_changed(const Change& change) {
  const auto pmem = cache_pmem(false);
  {
    OpenVolume open(*pmem);
    must(open.write(0, 8, 1));
    must(open.write(8, 8, 2));
    const VolumeLog& log = open.volume->log();
    const std::uint64_t last = log.offset() - kset_bytes(1, 64);
    const auto bytes = pmem->content().subspan(log.places()[0].value + last);
    const auto kset = decode_kset(open.device->seal(), bytes).value();
    KsetStamp stamp = kset.stamp;
    format::Key key = kset.keys[0];
    change(key);
    std::array<std::byte, largest_kset_bytes> space{};
    const auto changed = encode_kset(open.device->seal(), stamp, {&key, 1}, 64, space);
    for (const MediaOffset place : log.places()) poke(*pmem, place + ByteCount{last}, changed);
  }
  OpenVolume again(*pmem);
  if (again.report.damaged()) {
    EXPECT_FALSE(again.volume->is_writable());
    EXPECT_EQ(again.write(0, 1, 3).error(), CacheRefusal::read_only);
    EXPECT_THAT(again.read(0, 8), Each(1));
    EXPECT_THAT(again.read(8, 8), Each(-1));
    EXPECT_FALSE(again.report.key_damage->text().empty());
  }
  return again.report;
}

TEST(VolumeRecovery, StaleKeyBehindTheDirtyTailIsDamage) {
  const auto report = recover_changed([](format::Key& key) { key.generation += 1; });
  ASSERT_TRUE(report.key_damage.has_value());
  EXPECT_TRUE(report.key_damage->stale);
  EXPECT_EQ(report.key_damage->sequence, 2U);
  EXPECT_EQ(report.last_sequence, 1U);
}

TEST(VolumeRecovery, ImpossibleKeyIsDamageAndTheRestIsServed) {
  const auto fault = [](const auto& change) {
    const auto report = recover_changed(change);
    return report.key_damage ? report.key_damage->fault : KeyFault::none;
  };
  EXPECT_EQ(fault([](format::Key&) {}), KeyFault::none);
  EXPECT_EQ(fault([](format::Key& key) { key.kind = 77; }), KeyFault::unknown_kind);
  EXPECT_EQ(fault([](format::Key& key) { key.sector = std::uint64_t{1} << 60; }),
            KeyFault::beyond_volume);
  EXPECT_EQ(fault([](format::Key& key) { key.place = 1; }), KeyFault::bad_place);
  EXPECT_EQ(fault([](format::Key& key) { key.sectors = 33; }), KeyFault::bad_length);
}

}  // namespace
}  // namespace engine::test
