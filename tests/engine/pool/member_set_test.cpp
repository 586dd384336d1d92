// Members are told apart: what is refused, by which name, and what is healed.
#include "engine/pool/member_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "engine/format/device_pool_format.h"
#include "engine/format/pool_format.h"
#include "engine/pool/checked_struct.h"
#include "tests/engine/pool/device_pool_kit.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;
using Layout = format::MemberLayout;

constexpr BlockSize block_of_4k{4096};

// A pool of two disks with a volume "a" of a whole disk and a bit; a stripe, so nothing of it can
// be served without one of them (for linear ones see missing_member_test.cpp).
struct PoolOfDisks {
  SimDisks disks;
  Uuid pool;

  explicit PoolOfDisks(Layout layout = Layout::stripe) {
    add_disks(disks, 3, 4);
    const auto made = init_device_pool(disks.candidates({0, 1}), small_form(layout), any_content);
    EXPECT_TRUE(made) << made.error().text;
    pool = made.value();
    EXPECT_TRUE(change(5 * sim_slice.value));
  }
  // One more change of the table, with only these disks.
  bool change(std::uint64_t size, const std::vector<std::size_t>& chosen = {0, 1}) {
    auto opened = DevicePool::open(disks.candidates(chosen));
    const VolumeWish wish[] = {{"a", {size}, block_of_4k}};
    return opened && opened.value()->ensure(wish)[0];
  }
  [[nodiscard]] Result<std::unique_ptr<DevicePool>, PoolError> open(
      const std::vector<std::size_t>& chosen, std::optional<Uuid> expected = {}) {
    return DevicePool::open(disks.candidates(chosen), expected);
  }
  std::span<std::byte> bytes(std::size_t disk, MediaOffset at, std::size_t count) {
    return std::span(disks.disks[disk]->bytes).subspan(at.value, count);
  }
  void spoil(std::size_t disk, MediaOffset at) { bytes(disk, at, 1)[0] ^= std::byte{0xff}; }
};

void expect_refused(const Result<std::unique_ptr<DevicePool>, PoolError>& opened, ErrorKind kind,
                    const std::vector<std::string>& named) {
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, kind) << opened.error().text;
  for (const std::string& text : named) {
    EXPECT_NE(opened.error().text.find(text), std::string::npos)
        << "\"" << text << "\" is not in: " << opened.error().text;
  }
}

TEST(MemberSet, OrderInTheConfigurationMeansNothing) {
  PoolOfDisks pool;
  const auto opened = pool.open({1, 0});
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(opened.value()->member(0).path, pool.disks.disks[0]->path);
  EXPECT_EQ(opened.value()->member(1).path, pool.disks.disks[1]->path);
  EXPECT_TRUE(opened.value()->notes().empty());
}

TEST(MemberSet, AMissingMemberIsNamedByIndexUuidSerialAndLastPath) {
  PoolOfDisks pool;
  expect_refused(pool.open({0}), ErrorKind::member_missing,
                 {"member 1 of 2", pool.pool.text(), "SERIAL1", "/dev/disk/by-id/sim1"});
  expect_refused(pool.open({1}), ErrorKind::member_missing, {"member 0 of 2", "SERIAL0"});
  auto candidates = pool.disks.candidates({0});
  candidates.push_back({.path = "/dev/gone", .opened = FileError{ENOENT}});
  expect_refused(DevicePool::open(std::move(candidates)), ErrorKind::missing,
                 {"/dev/gone does not exist", "member 1 of 2", "SERIAL1"});
}

TEST(MemberSet, ADiskWithoutALabelIsNotTaken) {
  PoolOfDisks pool;
  expect_refused(pool.open({0, 2}), ErrorKind::not_labelled,
                 {"sim2", "SERIAL2", "is it the right disk?", "member 1 of 2"});
  expect_refused(pool.open({2}), ErrorKind::not_labelled, {"sim2"});
  EXPECT_TRUE(std::ranges::all_of(pool.disks.disks[2]->bytes,
                                  [](std::byte byte) { return byte == std::byte{0xa5}; }));
}

TEST(MemberSet, NoPathAtAllIsAnError) {
  expect_refused(DevicePool::open({}), ErrorKind::missing, {"no member"});
}

TEST(MemberSet, AnotherPoolsMemberIsNotTaken) {
  PoolOfDisks pool;
  const auto other =
      init_device_pool(pool.disks.candidates({2}), small_form(Layout::single), any_content);
  ASSERT_TRUE(other);
  expect_refused(pool.open({0, 2}), ErrorKind::wrong_pool,
                 {"sim2", other.value().text(), pool.pool.text(), "member 1 of 2"});
  expect_refused(pool.open({2}, pool.pool), ErrorKind::wrong_pool, {"sim2", pool.pool.text()});
  expect_refused(pool.open({0, 1, 2}), ErrorKind::wrong_pool, {"sim2"});
  EXPECT_TRUE(pool.open({0, 1}, pool.pool));
}

TEST(MemberSet, TheSameMemberTwiceNamesBothPaths) {
  PoolOfDisks pool;
  pool.disks.disks[2]->bytes = pool.disks.disks[1]->bytes;
  expect_refused(pool.open({0, 1, 2}), ErrorKind::member_twice, {"sim1", "sim2"});
}

TEST(MemberSet, AnOlderCopyOfAMemberIsNotTaken) {
  PoolOfDisks pool;
  const auto copy = pool.disks.disks[1]->bytes;
  ASSERT_TRUE(pool.change(7 * sim_slice.value));
  pool.disks.disks[1]->bytes = copy;
  expect_refused(pool.open({0, 1}), ErrorKind::member_outdated, {"sim1", "older copy", "member 1"});
  EXPECT_EQ(pool.disks.disks[1]->bytes, copy);
}

TEST(MemberSet, AMemberThatHasBecomeShorterIsNotTaken) {
  PoolOfDisks pool;
  pool.disks.disks[1]->bytes.resize(pool.disks.disks[1]->bytes.size() - 512);
  expect_refused(pool.open({0, 1}), ErrorKind::member_short, {"sim1", "member 1"});
}

TEST(MemberSet, ADiskThatSomebodyUsesIsNotTaken) {
  PoolOfDisks pool;
  pool.disks.disks[1]->held = true;
  expect_refused(pool.open({0, 1}), ErrorKind::in_use, {"sim1", "in use"});
  pool.disks.disks[1]->held = false;
  const auto first = pool.open({0, 1});
  ASSERT_TRUE(first);
  expect_refused(pool.open({0, 1}), ErrorKind::in_use, {"sim0", "sim1"});
  auto second = DevicePool::open(pool.disks.candidates({0, 1}), {}, first.value().get());
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(second.value()->has_inherited_lock());
}

TEST(MemberSet, AnySingleReplicaIsEnough) {
  for (std::size_t disk = 0; disk < 2; ++disk) {
    for (std::size_t slot = 0; slot < 2; ++slot) {
      PoolOfDisks pool;
      for (std::size_t other = 0; other < 4; ++other) {
        if (other != disk * 2 + slot) pool.spoil(other / 2, small_area.slot(other % 2));
      }
      const auto opened = pool.open({0, 1});
      ASSERT_TRUE(opened) << opened.error().text;
      EXPECT_NE(volume_called(*opened.value(), "a"), nullptr);
      const std::size_t used = 8192;
      const auto good = pool.bytes(disk, small_area.slot(slot), used);
      for (std::size_t other = 0; other < 4; ++other) {
        EXPECT_TRUE(
            std::ranges::equal(pool.bytes(other / 2, small_area.slot(other % 2), used), good))
            << "not healed";
      }
    }
  }
}

TEST(MemberSet, WithoutAnyReplicaNothingIsServedOrWritten) {
  PoolOfDisks pool;
  for (std::size_t slot = 0; slot < 4; ++slot) pool.spoil(slot / 2, small_area.slot(slot % 2));
  const auto before = pool.disks.disks[0]->bytes;
  expect_refused(pool.open({0, 1}), ErrorKind::damaged, {"no replica", "untouched"});
  EXPECT_EQ(pool.disks.disks[0]->bytes, before);
}

TEST(MemberSet, ANewerFormatInAnyReplicaRefusesThePool) {
  for (std::size_t slot = 0; slot < 4; ++slot) {
    PoolOfDisks pool;
    const auto place = pool.bytes(slot / 2, small_area.slot(slot % 2), 4096);
    auto header = *ByteReader(place).read<format::DeviceTableHeader>();
    header.version = 2;
    seal(header);
    std::ranges::copy(bytes_of(header), place.begin());
    const auto before = pool.disks.disks[0]->bytes;
    expect_refused(pool.open({0, 1}), ErrorKind::unsupported, {"newer Forebay"});
    EXPECT_EQ(pool.disks.disks[0]->bytes, before);
  }
}

// Gives a table another number, as if it had been written at another time.
void renumber(std::span<std::byte> slot, std::uint64_t sequence, std::uint64_t previous) {
  auto header = *ByteReader(slot).read<format::DeviceTableHeader>();
  header.sequence = sequence;
  header.previous = previous;
  const auto body = slot.subspan(sizeof(header), header.body_bytes);
  const auto volumes = body.subspan(header.members * sizeof(format::DeviceMemberEntry) +
                                    header.volumes * sizeof(format::DeviceVolumeEntry) +
                                    header.runs * sizeof(format::DeviceRunEntry));
  auto inner = *ByteReader(volumes).read<format::VolumeTableHeader>();
  inner.sequence = sequence;
  seal(inner);
  std::ranges::copy(bytes_of(inner), volumes.begin());
  header.body_crc = crc32c(body);
  seal(header);
  std::ranges::copy(bytes_of(header), slot.begin());
}

TEST(MemberSet, MembersThatContradictEachOtherAreRefused) {
  PoolOfDisks pool;
  const auto earlier = pool.disks.disks[0]->bytes;
  ASSERT_TRUE(pool.change(6 * sim_slice.value));
  pool.disks.disks[0]->bytes = earlier;
  for (std::size_t slot = 0; slot < 2; ++slot) {
    const auto mine =
        *ByteReader(pool.bytes(0, small_area.slot(slot), 4096)).read<format::DeviceTableHeader>();
    renumber(pool.bytes(1, small_area.slot(slot), small_area.slot_bytes.value), mine.sequence,
             mine.previous);
  }
  expect_refused(pool.open({0, 1}), ErrorKind::damaged, {"contradicts"});
}

TEST(MemberSet, AMemberThatTheTableDoesNotHaveIsNotUsed) {
  PoolOfDisks pool(Layout::linear);
  {
    auto opened = pool.open({0, 1});
    ASSERT_TRUE(opened);
    // The adding is cut off before the pool's table has it.
    MemberLabel label = *read_member_label(*pool.disks.candidate(0).opened.value()).value();
    label.member = Uuid::random();
    label.index = 2;
    label.members = 3;
    auto table = *read_table_slot(*pool.disks.candidate(0).opened.value(), label, 0).value();
    ASSERT_TRUE(write_new_member(*pool.disks.candidate(2).opened.value(), label, table));
  }
  auto opened = pool.open({0, 1, 2});
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(opened.value()->shape().member_slices.size(), 2U);
  ASSERT_EQ(opened.value()->notes().size(), 1U);
  EXPECT_NE(opened.value()->notes()[0].error.text.find("sim2"), std::string::npos);
  // And can be added once more.
  const auto added = opened.value()->add_member(pool.disks.candidate(2), {});
  ASSERT_TRUE(added) << added.error().text;
  opened.value().reset();
  EXPECT_TRUE(pool.open({0, 1, 2}));
  const auto without = pool.open({0, 1});
  ASSERT_TRUE(without) << without.error().text;
  EXPECT_FALSE(without.value()->is_whole());
}

TEST(MemberSet, AStrangerWithALabelOfThePoolIsNotTaken) {
  PoolOfDisks pool;
  MemberLabel label = *read_member_label(*pool.disks.candidate(1).opened.value()).value();
  label.member = Uuid::random();
  const auto table = *read_table_slot(*pool.disks.candidate(1).opened.value(), label, 0).value();
  ASSERT_TRUE(write_new_member(*pool.disks.candidate(2).opened.value(), label, table));
  expect_refused(pool.open({0, 2}), ErrorKind::member_unlisted, {"sim2", "member 1 of 2"});
}

// ---- labels and their copies, at the usual places

struct SingleUsual {
  SimDisks disks;
  SingleUsual() {
    disks.add(ByteCount{LabelArea{}.bytes.value + (4U << 20)});
    EXPECT_TRUE(init_device_pool(disks.candidates(), {}, any_content));
  }
  std::span<std::byte> block(MediaOffset at) {
    return std::span(disks.disks[0]->bytes).subspan(at.value, 4096);
  }
};

TEST(MemberSet, ADamagedLabelIsHealedFromTheOther) {
  const LabelArea area;
  for (const bool first : {true, false}) {
    SingleUsual pool;
    const MediaOffset bad = first ? area.first_label() : area.second_label();
    const MediaOffset good = first ? area.second_label() : area.first_label();
    pool.block(bad)[1000] ^= std::byte{1};
    const auto opened = DevicePool::open(pool.disks.candidates());
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_TRUE(std::ranges::equal(pool.block(bad), pool.block(good)));
    EXPECT_EQ(opened.value()->healed().rotten, 1U);
  }
}

TEST(MemberSet, ARottenReplicaIsToldAndNotTakenForAChangeThatWasCutOff) {
  struct Row {
    const char* what;
    std::vector<std::pair<std::size_t, std::size_t>> bad;  // disk and slot
    std::size_t bytes;
    unsigned rotten;
    unsigned cut_off;
  };
  for (const Row& row : std::vector<Row>{
           {"a bit of the header", {{1, 0}}, 1, 1, 0},
           {"a sector: a write may have been cut off there", {{1, 0}}, 512, 0, 1},
           {"the same of all disks", {{0, 1}, {1, 1}}, 512, 0, 2},
           {"slots of both numbers, which no crash leaves", {{0, 0}, {1, 1}}, 512, 2, 0},
           {"both slots of a disk", {{1, 0}, {1, 1}}, 512, 2, 0}}) {
    SCOPED_TRACE(row.what);
    PoolOfDisks pool;
    for (const auto& [disk, slot] : row.bad) {
      for (std::byte& one : pool.bytes(disk, small_area.slot(slot), row.bytes)) {
        one ^= std::byte{0x55};
      }
    }
    {
      const auto opened = pool.open({0, 1});
      ASSERT_TRUE(opened) << opened.error().text;
      const HealedReplicas healed = opened.value()->healed();
      EXPECT_EQ(healed.rotten, row.rotten);
      EXPECT_EQ(healed.cut_off, row.cut_off);
      ASSERT_EQ(healed.texts.size(), row.bad.size());
      EXPECT_NE(healed.texts.back().find("SERIAL1"), std::string::npos) << healed.texts.back();
      // An operator is to act on rot alone.
      EXPECT_EQ(opened.value()->notes().size(), row.rotten);
    }
    const auto again = pool.open({0, 1});
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_TRUE(again.value()->healed().empty());
  }
}

TEST(MemberSet, WhoIsThereIsKnownAlsoOfAPoolThatIsRefused) {
  PoolOfDisks pool;
  std::vector<MemberState> seen;
  EXPECT_FALSE(DevicePool::open(pool.disks.candidates({0}), {}, nullptr, &seen));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_TRUE(seen[0].is_there);
  EXPECT_EQ(seen[0].serial, "SERIAL0");
  EXPECT_EQ(seen[0].reason, "");
  EXPECT_FALSE(seen[1].is_there);
  EXPECT_EQ(seen[1].index, 1U);
  EXPECT_EQ(seen[1].serial, "SERIAL1");
  EXPECT_EQ(seen[1].path, "/dev/disk/by-id/sim1");
  EXPECT_NE(seen[1].reason.find("member 1 of 2"), std::string::npos) << seen[1].reason;

  PoolOfDisks linear(Layout::linear);
  const auto opened = DevicePool::open(linear.disks.candidates({0}), {}, nullptr, &seen);
  ASSERT_TRUE(opened) << opened.error().text;
  const auto members = opened.value()->members();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_TRUE(members[0].is_there);
  EXPECT_FALSE(members[1].is_there);
  EXPECT_EQ(members[1].uuid, seen[1].uuid);
  EXPECT_NE(members[1].reason.find("SERIAL1"), std::string::npos) << members[1].reason;
}

TEST(MemberSet, ALabelThatCannotBeReadIsServedByTheOtherAndTold) {
  const LabelArea area;
  for (const bool first : {true, false}) {
    for (const bool stays : {false, true}) {
      SingleUsual pool;
      const MediaOffset place = first ? area.first_label() : area.second_label();
      pool.disks.disks[0]->bad = {{.offset = place.value + 512, .length = 512, .stays = stays}};
      const auto opened = DevicePool::open(pool.disks.candidates());
      ASSERT_TRUE(opened) << opened.error().text;
      ASSERT_EQ(opened.value()->notes().size(), 1U);
      const std::string& told = opened.value()->notes()[0].error.text;
      EXPECT_NE(told.find(first ? "first label" : "second label"), std::string::npos) << told;
      EXPECT_NE(told.find("SERIAL0"), std::string::npos) << told;
      EXPECT_NE(told.find(stays ? "cannot be written anew" : "has been written anew"),
                std::string::npos)
          << told;
      EXPECT_EQ(pool.disks.disks[0]->bad.empty(), !stays);
    }
  }
}

TEST(MemberSet, ATableThatCannotBeReadIsServedByAnotherAndTold) {
  for (const Layout layout : {Layout::linear, Layout::stripe}) {
    for (const std::size_t slot : {0U, 1U}) {
      PoolOfDisks pool(layout);
      pool.disks.disks[1]->bad = {
          {.offset = small_area.slot(slot).value, .length = 512, .stays = false}};
      const auto opened = pool.open({0, 1});
      ASSERT_TRUE(opened) << opened.error().text;
      EXPECT_TRUE(opened.value()->is_whole());
      ASSERT_EQ(opened.value()->notes().size(), 1U);
      const std::string& told = opened.value()->notes()[0].error.text;
      EXPECT_NE(told.find("replica " + std::to_string(slot)), std::string::npos) << told;
      EXPECT_NE(told.find("SERIAL1"), std::string::npos) << told;
      EXPECT_TRUE(pool.disks.disks[1]->bad.empty()) << "it is written anew";
    }
  }
}

// Of two disks the pool changes as ever; of one alone it is served, and changes nothing that a
// crash could leave without any table.
TEST(MemberSet, ATableThatCannotBeWrittenAnewDoesNotRefuseThePool) {
  PoolOfDisks pool;
  pool.disks.disks[1]->bad = {{.offset = small_area.slot(0).value, .length = 512, .stays = true}};
  {
    const auto opened = pool.open({0, 1});
    ASSERT_TRUE(opened) << opened.error().text;
    ASSERT_EQ(opened.value()->notes().size(), 1U);
    EXPECT_NE(opened.value()->notes()[0].error.text.find("cannot be written anew"),
              std::string::npos);
  }
  EXPECT_TRUE(pool.change(7 * sim_slice.value));
  EXPECT_TRUE(pool.open({0, 1}));

  for (const std::size_t slot : {0U, 1U}) {
    SimDisks disks;
    add_disks(disks, 1, 4);
    ASSERT_TRUE(init_device_pool(disks.candidates(), small_form(Layout::single), any_content));
    disks.disks[0]->bad = {{.offset = small_area.slot(slot).value, .length = 512, .stays = true}};
    {
      const auto opened = DevicePool::open(disks.candidates());
      ASSERT_TRUE(opened) << opened.error().text;
      const VolumeWish wish[] = {{"a", sim_slice, block_of_4k}};
      EXPECT_FALSE(opened.value()->ensure(wish)[0]);
    }
    EXPECT_TRUE(DevicePool::open(disks.candidates())) << "the good one is as it was";
  }
}

TEST(MemberSet, WhatSomebodyHasWrittenOverTheFirstLabelStays) {
  SingleUsual pool;
  std::ranges::fill(pool.block({0}), std::byte{0x77});
  const auto before = pool.disks.disks[0]->bytes;
  expect_refused(DevicePool::open(pool.disks.candidates()), ErrorKind::damaged,
                 {"written over its beginning", "nothing is repaired"});
  EXPECT_EQ(pool.disks.disks[0]->bytes, before);
}

}  // namespace
}  // namespace engine
