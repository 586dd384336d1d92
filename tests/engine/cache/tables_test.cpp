// Replicated entries and the two tables made of them.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <set>

#include "engine/cache/replicated_entry.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

const DeviceSeal tables_seal(uuid_of(0xd0));

RawEntry entry_of(std::uint64_t sequence, std::uint32_t tag = 1) {
  format::SegmentEntry entry{};
  entry.use = 1;
  entry.volume_tag = tag;
  entry.generation = 1;
  return next_entry(tables_seal, entry, format::EntryType::segment, 3, sequence - 1);
}

TEST(ReplicatedEntry, NewestValidWins) {
  const RawEntry old = entry_of(4);
  const RawEntry now = entry_of(5);
  const RawEntry other = entry_of(5, 2);
  RawEntry torn = now;
  torn.body[7] ^= std::byte{1};
  RawEntry flagged = now;
  flagged.header.flags = 1;
  flagged.header.crc = tables_seal.crc_of(flagged, 3);
  using Replica = std::optional<RawEntry>;
  using enum ReplicaState;
  struct Row {
    const char* what;
    std::array<Replica, 2> replicas;
    std::optional<std::uint64_t> sequence;
    std::array<ReplicaState, 2> state;
    bool contradicts = false;
  };
  const std::vector<Row> rows{
      {"equal", {now, now}, 5, {good, good}},
      {"first newer", {now, old}, 5, {good, older}},
      {"second newer", {old, now}, 5, {older, good}},
      {"first torn", {torn, old}, 4, {invalid, good}},
      {"second torn", {old, torn}, 4, {good, invalid}},
      {"first unreadable", {std::nullopt, old}, 4, {unreadable, good}},
      {"second unreadable", {now, std::nullopt}, 5, {good, unreadable}},
      {"both torn", {torn, torn}, std::nullopt, {invalid, invalid}},
      {"both unreadable", {std::nullopt, std::nullopt}, std::nullopt, {unreadable, unreadable}},
      {"torn and unreadable", {torn, std::nullopt}, std::nullopt, {invalid, unreadable}},
      {"same sequence, different", {now, other}, std::nullopt, {good, good}, true},
      {"flags", {flagged, old}, 4, {invalid, good}},
  };
  for (const Row& row : rows) {
    const auto reading = judge_replicas(tables_seal, format::EntryType::segment, 3, row.replicas);
    EXPECT_EQ(reading.value.has_value(), row.sequence.has_value()) << row.what;
    if (reading.value) {
      EXPECT_EQ(reading.value->header.sequence, *row.sequence) << row.what;
    }
    EXPECT_EQ(reading.state, row.state) << row.what;
    EXPECT_EQ(reading.contradicts, row.contradicts) << row.what;
  }
}

TEST(ReplicatedEntry, IsTiedToDeviceKindAndPlace) {
  const RawEntry entry = entry_of(1);
  using Type = format::EntryType;
  EXPECT_TRUE(tables_seal.is_sealed(entry, Type::segment, 3));
  EXPECT_FALSE(tables_seal.is_sealed(entry, Type::segment, 4));
  EXPECT_FALSE(tables_seal.is_sealed(entry, Type::volume_tails, 3));
  EXPECT_FALSE(DeviceSeal(uuid_of(0xd1)).is_sealed(entry, Type::segment, 3));
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    auto bytes = std::bit_cast<std::array<std::byte, 64>>(entry);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(tables_seal.is_sealed(std::bit_cast<RawEntry>(bytes), Type::segment, 3)) << bit;
  }
}

struct OpenTables {
  std::unique_ptr<SimPmem> pmem = formatted_pmem();
  std::unique_ptr<CacheDevice> device = open_device(*pmem);
  DurableWriter writer = must(DurableWriter::make(*pmem));
  [[nodiscard]] std::unique_ptr<CacheDevice> again() const { return open_device(*pmem); }
};

void set_segment(OpenTables& opened, std::uint32_t segment, format::SegmentUse use,
                 std::uint64_t generation) {
  format::SegmentEntry entry{};
  entry.use = static_cast<std::uint32_t>(use);
  entry.generation = generation;
  const RawEntry raw =
      next_entry(opened.device->seal(), entry, format::EntryType::segment, segment, 9);
  for (const MediaOffset place : opened.device->layout().segment_entry(segment)) {
    poke(*opened.pmem, place, bytes_of(raw));
  }
}

TEST(SegmentTable, AllocatesEachOnceAndFreesInTheNextGeneration) {
  OpenTables opened;
  SegmentTable& table = opened.device->segments();
  std::set<std::uint32_t> seen;
  for (int segment = 0; segment < 8; ++segment) {
    const bool data = table.free_count() > SegmentShares::device_reserve;
    const auto got = table.allocate(opened.writer, format::SegmentUse::data, data ? 7 : 8);
    EXPECT_EQ(got.has_value(), data) << segment;
    seen.insert(data ? got.value()
                     : must(table.allocate(opened.writer, format::SegmentUse::log, 0)));
  }
  EXPECT_EQ(seen.size(), 8U);
  EXPECT_EQ(table.free_count(), 0U);
  const auto none = table.allocate(opened.writer, format::SegmentUse::log, 0);
  EXPECT_EQ(none.error().kind, CacheError::Kind::no_free_segment);
  EXPECT_TRUE(table.is_current(5, 7, 1));
  table.counters(5).raise_sequence(12);
  for (const std::uint32_t segment : {7U, 6U, 5U}) must(table.free(opened.writer, segment));
  EXPECT_FALSE(table.is_current(5, 7, 1));
  EXPECT_EQ(table.counters(5).highest_sequence.load(), 0U);
  EXPECT_EQ(must(table.allocate(opened.writer, format::SegmentUse::data, 9)), 5U);
  EXPECT_TRUE(table.is_current(5, 9, 2));
  EXPECT_FALSE(table.is_current(5, 7, 2));
  table.check_invariants();
  const auto again = opened.again();
  for (std::uint32_t segment = 0; segment < 8; ++segment) {
    EXPECT_EQ(again->segments().info(segment), table.info(segment));
  }
  again->segments().check_invariants();
}

TEST(SegmentTable, ALostEntryIsNeitherUsedNorFreed) {
  OpenTables opened;
  const auto places = opened.device->layout().segment_entry(2);
  for (const MediaOffset place : places) flip_bit(*opened.pmem, place + ByteCount{20});
  const auto again = opened.again();
  EXPECT_TRUE(again->segments().info(2).lost);
  EXPECT_EQ(again->segments().free_count(), 7U);
  ASSERT_EQ(again->findings().size(), 1U);
  EXPECT_EQ(again->findings()[0].kind, CacheFinding::Kind::lost_entry);
  EXPECT_EQ(again->findings()[0].index, 2U);
  EXPECT_EQ(again->findings()[0].place, places[0]);
  again->segments().check_invariants();
}

TEST(SegmentTable, AnImpossibleEntryIsNotBelieved) {
  OpenTables opened;
  set_segment(opened, 4, static_cast<format::SegmentUse>(3), 1);
  const auto again = opened.again();
  EXPECT_TRUE(again->segments().info(4).lost);
  ASSERT_EQ(again->findings().size(), 1U);
  EXPECT_EQ(again->findings()[0].kind, CacheFinding::Kind::impossible_entry);
}

TEST(SegmentTable, ASegmentWhoseGenerationsAreUsedUpIsFreeAndNeverUsed) {
  constexpr std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  OpenTables opened;
  set_segment(opened, 1, format::SegmentUse::free, last);
  set_segment(opened, 2, format::SegmentUse::log, last);
  set_segment(opened, 3, format::SegmentUse::log, last - 1);
  const auto again = opened.again();
  SegmentTable& table = again->segments();
  EXPECT_FALSE(table.info(1).lost);
  EXPECT_TRUE(table.info(2).lost) << "its next use would be the first";
  EXPECT_EQ(table.free_count(), 5U);
  ASSERT_EQ(again->findings().size(), 1U);
  EXPECT_EQ(again->findings()[0].kind, CacheFinding::Kind::impossible_entry);
  EXPECT_EQ(table.info(3), (SegmentInfo{.generation = last})) << "freed: it has no chunks";
  table.check_invariants();
}

TEST(SegmentTable, AFailedWriteLosesTheSegmentUntilTheNextOpen) {
  OpenTables opened;
  SegmentTable& table = opened.device->segments();
  const auto places = opened.device->layout().segment_entry(0);
  opened.pmem->heal_on_overwrite(false);
  opened.pmem->poison(places[1], ByteCount{64});
  std::set<std::uint32_t> seen;
  int failures = 0;
  for (int segment = 0; segment < 8; ++segment) {
    const auto allocated = table.allocate(opened.writer, format::SegmentUse::log, 0);
    if (allocated) {
      seen.insert(allocated.value());
    } else {
      EXPECT_EQ(allocated.error().kind, CacheError::Kind::io);
      ++failures;
    }
  }
  EXPECT_EQ(failures, 1);
  EXPECT_FALSE(seen.contains(0));
  EXPECT_TRUE(table.info(0).lost);
}

TEST(SegmentTable, AllOfAVolumeAreFreedWithAsManySettlingsAsOne) {
  OpenTables opened;
  SegmentTable& table = opened.device->segments();
  std::vector<std::uint32_t> its;
  for (int segment = 0; segment < 5; ++segment) {
    its.push_back(must(table.allocate(opened.writer, format::SegmentUse::data, 7)));
  }
  const std::uint64_t before = opened.pmem->counts().fences;
  must(table.free(opened.writer, its.back()));
  const std::uint64_t for_one = opened.pmem->counts().fences - before;
  its.pop_back();
  must(table.free_all(opened.writer, its));
  EXPECT_EQ(opened.pmem->counts().fences - before, 2 * for_one);
  EXPECT_EQ(table.free_count(), 8U);
  table.check_invariants();
  const auto again = opened.again();
  for (const std::uint32_t segment : its) {
    EXPECT_EQ(again->segments().info(segment), table.info(segment));
    EXPECT_EQ(table.info(segment).generation, 2U);
  }
}

TEST(CacheVolumeTable, AttachFindLeaveRelease) {
  OpenTables opened;
  CacheVolumeTable& table = opened.device->volumes();
  EXPECT_EQ(must(table.attach(opened.writer, new_volume(1))), 0U);
  EXPECT_EQ(must(table.attach(opened.writer, new_volume(2))), 1U);
  EXPECT_EQ(table.attach(opened.writer, new_volume(1)).error().kind,
            CacheError::Kind::known_volume);
  EXPECT_EQ(table[1].identity.tag, 2U);
  EXPECT_EQ(table.find(uuid_of(2)), 1U);
  EXPECT_EQ(table.find_tag(1), 0U);
  must(table.leave(opened.writer, 1));
  EXPECT_EQ(opened.again()->volumes()[1].identity.state, format::VolumeSlotState::leaving);
  must(opened.device->finish_leaving(opened.writer, 1));
  EXPECT_FALSE(table.find(uuid_of(2)));
  // Its tag is never used again, not even after the slot is.
  EXPECT_EQ(must(table.attach(opened.writer, new_volume(3))), 1U);
  EXPECT_EQ(table[1].identity.tag, 3U);
  EXPECT_EQ(must(table.attach(opened.writer, new_volume(4))), 2U);
  EXPECT_EQ(must(table.attach(opened.writer, new_volume(5))), 3U);
  EXPECT_EQ(table.attach(opened.writer, new_volume(6)).error().kind,
            CacheError::Kind::no_free_slot);
  table.check_invariants();
  const auto again = opened.again();
  again->volumes().check_invariants();
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    EXPECT_EQ(again->volumes()[slot].identity, table[slot].identity);
    EXPECT_EQ(again->volumes()[slot].binding, table[slot].binding);
  }
}

TEST(CacheVolumeTable, UpdatesAreThereAfterOpen) {
  OpenTables opened;
  CacheVolumeTable& table = opened.device->volumes();
  must(table.attach(opened.writer, new_volume(1)));
  must(table.begin_epoch(opened.writer, 0, 1, 1));
  const LogTails tails{.key_tail = 3,
                       .key_tail_chunk = 2,
                       .dirty_tail = 5,
                       .dirty_tail_chunk = 2,
                       .writeback_target = 9,
                       .consistent_time_ms = 77};
  must(table.set_tails(opened.writer, 0, tails));
  must(table.set_size(opened.writer, 0, 2_GiB));
  LogEpoch epoch = table[0].epoch;
  epoch.known_durable = 11;
  must(table.set_epoch(opened.writer, 0, epoch));
  const auto again = opened.again();
  EXPECT_EQ(again->volumes()[0].tails, tails);
  EXPECT_EQ(again->volumes()[0].epoch, epoch);
  EXPECT_EQ(again->volumes()[0].identity.size, 2_GiB);
  EXPECT_EQ(again->volumes()[0].durable_floor(), 11U);
}

TEST(CacheVolumeTable, ALostEntryCostsItsVolumeOnly) {
  OpenTables opened;
  CacheVolumeTable& table = opened.device->volumes();
  must(table.attach(opened.writer, new_volume(1)));
  must(table.attach(opened.writer, new_volume(2)));
  for (const MediaOffset place :
       opened.device->layout().volume_entry(0, format::EntryType::volume_tails)) {
    opened.pmem->poison(place, ByteCount{64});
  }
  {
    const auto again = opened.again();
    EXPECT_TRUE(again->volumes()[0].damaged);
    EXPECT_FALSE(again->volumes()[0].identity_lost);
    EXPECT_FALSE(again->volumes()[1].damaged);
    EXPECT_FALSE(again->volumes()[0].is_provably_clean());
  }
  // Without its identity not even the tag is known, so no new one is given out.
  for (const MediaOffset place :
       opened.device->layout().volume_entry(1, format::EntryType::volume_identity)) {
    flip_bit(*opened.pmem, place + ByteCount{30});
  }
  const auto again = opened.again();
  EXPECT_TRUE(again->volumes()[1].identity_lost);
  EXPECT_EQ(again->volumes().attach(opened.writer, new_volume(3)).error().kind,
            CacheError::Kind::lost_entry);
}

TEST(CacheVolumeTable, TwoSlotsOfOneVolumeAreBothDamaged) {
  OpenTables opened;
  CacheVolumeTable& table = opened.device->volumes();
  must(table.attach(opened.writer, new_volume(1)));
  const auto& layout = opened.device->layout();
  std::array<std::byte, 64> raw{};
  must(opened.pmem->read(layout.volume_entry(0, format::EntryType::volume_identity)[0], raw));
  auto entry = std::bit_cast<format::VolumeIdentityEntry>(raw);
  opened.device->seal().seal(entry, format::EntryType::volume_identity, 2);
  for (const MediaOffset place : layout.volume_entry(2, format::EntryType::volume_identity)) {
    poke(*opened.pmem, place, bytes_of(entry));
  }
  const auto again = opened.again();
  EXPECT_TRUE(again->volumes()[0].damaged);
  EXPECT_TRUE(again->volumes()[2].damaged);
  EXPECT_FALSE(again->volumes()[1].damaged);
  EXPECT_EQ(again->findings().back().kind, CacheFinding::Kind::duplicate_volume);
}

}  // namespace
}  // namespace engine::test
