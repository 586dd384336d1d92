// What a device pool does for its volumes, over simulated disks; and what it refuses.
#include "engine/pool/device_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/pool/marker_place.h"
#include "tests/engine/pool/device_pool_kit.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;
using Layout = format::MemberLayout;

constexpr BlockSize page_blocks{4096};

struct Fresh {
  SimDisks disks;
  std::unique_ptr<DevicePool> pool;

  explicit Fresh(Layout layout, std::size_t count, std::uint64_t slices = 8) {
    add_disks(disks, count, slices);
    EXPECT_TRUE(init_device_pool(disks.candidates(), small_form(layout), any_content));
    reopen();
  }
  void reopen() {
    pool.reset();
    auto opened = DevicePool::open(disks.candidates());
    ASSERT_TRUE(opened) << opened.error().text;
    pool = std::move(opened.value());
  }
  Result<VolumeRecord, PoolError> ensure(const VolumeWish& wish) {
    return pool->ensure({&wish, 1}).front();
  }
};

TEST(DevicePool, ANewVolumeReadsZerosAndKeepsItsIdentity) {
  for (const Layout layout : {Layout::linear, Layout::stripe}) {
    Fresh fresh(layout, 2);
    const VolumeWish wish{"a", {300U << 10}, page_blocks};
    const auto made = fresh.ensure(wish);
    ASSERT_TRUE(made) << made.error().text;
    EXPECT_TRUE(holds_only(fresh.disks, *fresh.pool, made.value(), 0, made.value().size.value, {}));
    fresh.reopen();
    EXPECT_EQ(fresh.ensure(wish).value(), made.value());
    VolumeWish known = wish;
    known.uuid = made.value().uuid;
    EXPECT_TRUE(fresh.ensure(known));
    known.uuid = Uuid::random();
    EXPECT_EQ(fresh.ensure(known).error().kind, ErrorKind::other_volume);
  }
}

// What losetup -o and dmsetup linear are told in docs/pool-format.md.
TEST(DevicePool, OneVolumeOfALinearPoolLiesInOnePieceBehindTheLabelAreas) {
  Fresh fresh(Layout::linear, 2, 4);
  const auto made = fresh.ensure({"a", {6 * sim_slice.value}, page_blocks});
  ASSERT_TRUE(made);
  std::vector<ExtentPiece> pieces;
  fresh.pool->extent_map(made.value())
      .for_each_piece({0}, made.value().size,
                      [&](MediaOffset, const ExtentPiece& piece) { pieces.push_back(piece); });
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0], (ExtentPiece{0, {small_area.bytes.value}, {4 * sim_slice.value}}));
  EXPECT_EQ(pieces[1], (ExtentPiece{1, {small_area.bytes.value}, {2 * sim_slice.value}}));
}

TEST(DevicePool, SpaceIsCountedInUnitsAndWhatDoesNotFitCostsNothing) {
  Fresh fresh(Layout::stripe, 2, 4);
  const std::uint64_t unit = 2 * sim_slice.value;
  EXPECT_EQ(fresh.pool->space().value().size.value, 4 * unit);
  ASSERT_TRUE(fresh.ensure({"a", {unit + 4096}, page_blocks}));
  EXPECT_EQ(fresh.pool->space().value().free.value, 2 * unit);
  const auto refused = fresh.ensure({"b", {2 * unit + 4096}, page_blocks});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::no_space);
  EXPECT_NE(refused.error().text.find("256KiB free"), std::string::npos) << refused.error().text;
  EXPECT_EQ(fresh.pool->volumes().size(), 1U);
  EXPECT_TRUE(fresh.ensure({"b", {2 * unit}, page_blocks}));
}

TEST(DevicePool, NoMoreVolumesThanPlacesForMarkers) {
  Fresh fresh(Layout::single, 1, 16);
  for (std::uint32_t number = 0; number < small_area.marker_places; ++number) {
    ASSERT_TRUE(fresh.ensure({"v" + std::to_string(number), {4096}, page_blocks}));
  }
  EXPECT_EQ(fresh.ensure({"one-more", {4096}, page_blocks}).error().kind, ErrorKind::no_space);
}

TEST(DevicePool, ATableThatIsFullRefusesAndStaysAsItWas) {
  SimDisks disks;
  LabelArea area = small_area;
  area.slot_bytes = 8_KiB;  // one block for members and volumes
  DevicePoolForm form = small_form(Layout::single);
  form.area = area;
  disks.add({area.bytes.value + 8 * sim_slice.value});
  ASSERT_TRUE(init_device_pool(disks.candidates(), form, any_content));
  auto opened = DevicePool::open(disks.candidates());
  ASSERT_TRUE(opened);
  const VolumeWish wishes[] = {{"a", {4096}, page_blocks}, {"b", {4096}, page_blocks}};
  ASSERT_TRUE(opened.value()->ensure(wishes)[1]);
  const VolumeWish third[] = {{"c", {4096}, page_blocks}};
  const auto refused = opened.value()->ensure(third)[0];
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::no_space);
  EXPECT_EQ(opened.value()->volumes().size(), 2U);
}

TEST(DevicePool, GrowingShowsZerosAndShrinkingIsRefused) {
  Fresh fresh(Layout::linear, 2);
  const auto made = fresh.ensure({"a", {sim_slice.value - 4096}, page_blocks});
  ASSERT_TRUE(made);
  fill_volume(fresh.disks, *fresh.pool, made.value(), std::byte{0x11});
  const auto grown = fresh.pool->grow("a", {10 * sim_slice.value}, {sim_slice.value - 4096});
  ASSERT_TRUE(grown) << grown.error().text;
  EXPECT_TRUE(holds_only(fresh.disks, *fresh.pool, grown.value(), 0, made.value().size.value,
                         std::byte{0x11}));
  EXPECT_TRUE(holds_only(fresh.disks, *fresh.pool, grown.value(), made.value().size.value,
                         grown.value().size.value, {}));
  fresh.reopen();
  EXPECT_EQ(*volume_called(*fresh.pool, "a"), grown.value());
  EXPECT_EQ(fresh.pool->grow("a", {4096}).error().kind, ErrorKind::shrink);
  EXPECT_EQ(fresh.pool->grow("a", {10 * sim_slice.value + 512}).error().kind, ErrorKind::bad_name);
  EXPECT_EQ(fresh.pool->grow("b", {4096}).error().kind, ErrorKind::image_missing);
  EXPECT_EQ(fresh.pool->grow("a", {17 * sim_slice.value}).error().kind, ErrorKind::no_space);
  // The configuration has not followed: served as large as it is.
  EXPECT_EQ(fresh.ensure({"a", {sim_slice.value - 4096}, page_blocks}).value(), grown.value());
  EXPECT_EQ(fresh.ensure({"a", {4096}, page_blocks}).error().kind, ErrorKind::shrink);
  EXPECT_EQ(fresh.ensure({"a", {10 * sim_slice.value}, {512}}).error().kind,
            ErrorKind::block_size_changed);
}

TEST(DevicePool, WhatIsGivenOutAgainIsZeroedFirst) {
  Fresh fresh(Layout::single, 1, 4);
  const auto first = fresh.ensure({"a", {4 * sim_slice.value}, page_blocks});
  ASSERT_TRUE(first);
  fill_volume(fresh.disks, *fresh.pool, first.value(), std::byte{0x11});
  EXPECT_EQ(fresh.pool->destroy("a", Uuid::random()).error().kind, ErrorKind::other_volume);
  ASSERT_TRUE(fresh.pool->destroy("a", first.value().uuid));
  EXPECT_EQ(fresh.pool->destroy("a", first.value().uuid).error().kind, ErrorKind::other_volume);
  const auto second = fresh.ensure({"b", {4 * sim_slice.value}, page_blocks});
  ASSERT_TRUE(second);
  EXPECT_TRUE(holds_only(fresh.disks, *fresh.pool, second.value(), 0, 4 * sim_slice.value, {}));
}

TEST(DevicePool, WhatBelongsTogetherWithACacheIsNotDestroyed) {
  Fresh fresh(Layout::single, 1);
  const auto made = fresh.ensure({"a", {4096}, page_blocks});
  ASSERT_TRUE(made);
  CacheBinding cache = attached({}, Uuid::random(), {});
  cache.state = format::CacheBindingState::dirty;
  ASSERT_TRUE(fresh.pool->bind("a", cache));
  EXPECT_EQ(fresh.pool->destroy("a", made.value().uuid).error().kind, ErrorKind::cache_missing);
  EXPECT_EQ(fresh.pool->destroy("a", made.value().uuid, Uuid::random()).error().kind,
            ErrorKind::cache_missing);
  fresh.reopen();
  EXPECT_EQ(volume_called(*fresh.pool, "a")->cache, cache);
  EXPECT_EQ(fresh.ensure({"a", {4096}, page_blocks}).error().kind, ErrorKind::cache_missing);
  CacheBinding older = cache;
  older.epoch = cache.epoch - 1;
  EXPECT_EQ(fresh.pool->bind("a", older).error().kind, ErrorKind::cache_missing);
  EXPECT_EQ(fresh.pool->bind("b", cache).error().kind, ErrorKind::image_missing);
}

TEST(DevicePool, ARenamedVolumeKeepsItsIdentityAndItsPlace) {
  Fresh fresh(Layout::single, 1);
  const VolumeRecord made = fresh.ensure({"a", {4096}, page_blocks}).value();
  ASSERT_TRUE(fresh.ensure({"b", {4096}, page_blocks}));
  fill_volume(fresh.disks, *fresh.pool, made, std::byte{5});
  EXPECT_EQ(fresh.pool->rename("a", made.uuid, "b").error().kind, ErrorKind::bad_name);
  EXPECT_EQ(fresh.pool->rename("a", made.uuid, "c/d").error().kind, ErrorKind::bad_name);
  EXPECT_EQ(fresh.pool->rename("a", Uuid::random(), "c").error().kind, ErrorKind::other_volume);
  ASSERT_TRUE(fresh.pool->rename("a", made.uuid, "c"));
  EXPECT_TRUE(fresh.pool->rename("a", made.uuid, "c")) << "again";
  fresh.reopen();
  EXPECT_EQ(volume_called(*fresh.pool, "a"), nullptr);
  const VolumeRecord* const renamed = volume_called(*fresh.pool, "c");
  ASSERT_NE(renamed, nullptr);
  EXPECT_EQ(renamed->uuid, made.uuid);
  EXPECT_TRUE(holds_only(fresh.disks, *fresh.pool, *renamed, 0, 4096, std::byte{5}));
}

TEST(DevicePool, AnEarlierDaemonsIoKeepsItsSpace) {
  Fresh fresh(Layout::single, 1);
  fresh.disks.disks[0]->hung = true;
  const auto refused = fresh.ensure({"a", {4096}, page_blocks});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::in_use);
  EXPECT_TRUE(fresh.pool->volumes().empty());
  fresh.disks.disks[0]->hung = false;
  EXPECT_TRUE(fresh.ensure({"a", {4096}, page_blocks}));
}

// ---- zeroing takes long

// A pool of three slices that asks after each.
struct Slow {
  SimDisks disks;
  std::unique_ptr<DevicePool> pool;
  std::vector<ZeroingProgress> seen;

  Slow() {
    add_disks(disks, 1, 3);
    EXPECT_TRUE(init_device_pool(disks.candidates(), small_form(Layout::single), any_content));
    auto opened = DevicePool::open(disks.candidates());
    EXPECT_TRUE(opened);
    pool = std::move(opened.value());
    pool->watch_zeroing(
        [this](const ZeroingProgress& progress) {
          seen.push_back(progress);
          return false;
        },
        sim_slice);
  }
};

TEST(DevicePool, ZeroingStopsWhenToldAndGoesOnWhereItWas) {
  Slow slow;
  const std::uint64_t before = slow.disks.disks[0]->zeroed;
  const VolumeWish wish[] = {{"a", {3 * sim_slice.value}, page_blocks}};
  for (const std::uint64_t done : {1U, 2U}) {
    const auto answer = slow.pool->ensure(wish)[0];
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::zeroing);
    EXPECT_NE(answer.error().text.find("of 192 KiB"), std::string::npos) << answer.error().text;
    ASSERT_FALSE(slow.seen.empty());
    EXPECT_EQ(slow.seen.back().done.value, done * sim_slice.value);
    EXPECT_EQ(slow.seen.back().all.value, 3 * sim_slice.value);
    EXPECT_FALSE(volume_called(*slow.pool, "a")->ready);
  }
  const auto made = slow.pool->ensure(wish)[0];
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(slow.disks.disks[0]->zeroed - before, 3 * sim_slice.value + 3 * marker_bytes)
      << "each unit once";
  EXPECT_TRUE(holds_only(slow.disks, *slow.pool, made.value(), 0, made.value().size.value, {}));
}

TEST(DevicePool, WhatWasZeroedForAGrowthThatIsGivenUpIsNotBelieved) {
  Slow slow;
  const VolumeWish small[] = {{"a", sim_slice, page_blocks}};
  const ByteCount whole{3 * sim_slice.value};
  ASSERT_TRUE(slow.pool->ensure(small)[0]);
  EXPECT_EQ(slow.pool->grow("a", whole).error().kind, ErrorKind::zeroing);
  ASSERT_TRUE(slow.pool->ensure(small)[0]) << "the space is given back";
  EXPECT_EQ(slow.pool->space().value().free.value, 2 * sim_slice.value);
  const VolumeWish other[] = {{"a", sim_slice, page_blocks}, {"b", sim_slice, page_blocks}};
  const auto b = slow.pool->ensure(other)[1];
  ASSERT_TRUE(b);
  fill_volume(slow.disks, *slow.pool, b.value(), std::byte{0x22});
  ASSERT_TRUE(slow.pool->destroy("b", b.value().uuid));
  (void)slow.pool->grow("a", whole);
  const auto grown = slow.pool->grow("a", whole);
  ASSERT_TRUE(grown) << grown.error().text;
  EXPECT_TRUE(holds_only(slow.disks, *slow.pool, grown.value(), 0, whole.value, {}));
}

// ---- markers

TEST(DevicePool, EachVolumeHasAPlaceForItsMarkerThatBeginsEmpty) {
  Fresh fresh(Layout::stripe, 2);
  const auto a = fresh.ensure({"a", {4096}, page_blocks});
  ASSERT_TRUE(a);
  EXPECT_NE(fresh.pool->what_is_left(a.value(), Uuid::random()).find("no marker"),
            std::string::npos);
  // The first place of the first disk is a's.
  const auto disk = [&] { return fresh.disks.candidate(0).opened.value().release(); };
  const std::unique_ptr<PoolMember> member(disk());
  const MediaOffset place = small_area.marker(0);
  const auto empty = read_marker(*member, place, a.value().uuid);
  ASSERT_TRUE(empty) << empty.error().text;
  EXPECT_EQ(empty.value(), std::nullopt);
  const StoredMark mark{.mark = {.volume = a.value().uuid,
                                 .cache = Uuid::random(),
                                 .from = 3,
                                 .to = 3,
                                 .from_time_ms = 1,
                                 .to_time_ms = 1},
                        .sequence = 5};
  ASSERT_TRUE(write_marker(*member, place, mark));
  EXPECT_EQ(read_marker(*member, place, a.value().uuid).value(), mark);
  EXPECT_NE(fresh.pool->what_is_left(a.value(), mark.mark.cache).find("1970-01-01"),
            std::string::npos);
  // Whoever gets the place next does not find it there.
  ASSERT_TRUE(fresh.pool->destroy("a", a.value().uuid));
  const auto b = fresh.ensure({"b", {4096}, page_blocks});
  ASSERT_TRUE(b);
  const auto found = read_marker(*member, place, b.value().uuid);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found.value(), std::nullopt);
}

TEST(DevicePool, AMarkerThatWasCutOffWhenItWasFirstWrittenIsNone) {
  SimDisks disks;
  add_disks(disks, 1, 1);
  const auto member = std::move(disks.candidate(0).opened.value());
  const Uuid volume = Uuid::random();
  const MediaOffset place = small_area.marker(3);
  ASSERT_TRUE(clear_marker(*member, place));
  const auto whole =
      encode_marker_slot({.mark = {.volume = volume, .cache = {}}, .sequence = 1}, 0);
  auto torn = whole;
  torn[200] ^= std::byte{1};
  ASSERT_TRUE(member->write(place, torn));
  EXPECT_EQ(read_marker(*member, place, volume).value(), std::nullopt);
  ASSERT_TRUE(
      write_marker(*member, place, {.mark = {.volume = volume, .cache = {}}, .sequence = 1}));
  ASSERT_TRUE(member->write(place, torn));
  EXPECT_NE(read_marker(*member, place, volume).value(), std::nullopt) << "the second slot counts";
  ASSERT_TRUE(member->write(place + ByteCount{4096}, torn));
  EXPECT_EQ(read_marker(*member, place, volume).error().kind, ErrorKind::damaged);
}

// ---- making pools, adding members

TEST(InitDevicePool, OnlyBlankDisksUnlessContentIsPermitted) {
  SimDisks disks;
  add_disks(disks, 1, 40);
  auto& bytes = disks.disks[0]->bytes;
  const DevicePoolForm form = small_form(Layout::single);
  const auto refusal = [&] { return init_device_pool(disks.candidates(), form); };
  const std::size_t looked_at = std::size_t{1} << 20;
  ASSERT_GT(bytes.size(), 2 * looked_at);
  std::fill(bytes.begin(), bytes.begin() + looked_at, std::byte{});
  EXPECT_EQ(refusal().error().kind, ErrorKind::not_blank);
  EXPECT_NE(refusal().error().text.find("SERIAL0"), std::string::npos);
  std::fill(bytes.end() - looked_at, bytes.end(), std::byte{});
  bytes[looked_at - 1] = std::byte{1};
  EXPECT_EQ(refusal().error().kind, ErrorKind::not_blank);
  bytes[looked_at - 1] = std::byte{};
  const auto before = bytes;
  EXPECT_TRUE(refusal());
  EXPECT_NE(bytes, before);
}

TEST(InitDevicePool, MembersOfPoolsAreRefusedUnlessThePoolIsNamed) {
  SimDisks disks;
  add_disks(disks, 2, 4);
  const DevicePoolForm form = small_form(Layout::single);
  const auto first = init_device_pool(disks.candidates({0}), form, any_content);
  ASSERT_TRUE(first);
  const auto again = init_device_pool(disks.candidates({0}), form, any_content);
  EXPECT_EQ(again.error().kind, ErrorKind::already_labelled);
  EXPECT_NE(again.error().text.find(first.value().text()), std::string::npos);
  InitPermission other = any_content;
  other.pools = {Uuid::random()};
  EXPECT_FALSE(init_device_pool(disks.candidates({0}), form, other));
  other.pools.push_back(first.value());
  const auto second = init_device_pool(disks.candidates({0}), form, other);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_NE(second.value(), first.value());
  EXPECT_EQ(DevicePool::open(disks.candidates({0})).value()->uuid(), second.value());
}

TEST(InitDevicePool, WhatCannotBeAPoolIsRefusedAndNothingIsWritten) {
  SimDisks disks;
  add_disks(disks, 2, 4);
  disks.add({small_area.bytes.value + sim_slice.value - 512});
  const auto before = disks.disks[0]->bytes;
  const auto kind = [&](const std::vector<std::size_t>& chosen, const DevicePoolForm& form) {
    const auto made = init_device_pool(disks.candidates(chosen), form, any_content);
    return made ? ErrorKind::io : made.error().kind;
  };
  EXPECT_EQ(kind({0, 1}, small_form(Layout::single)), ErrorKind::cannot_grow);
  EXPECT_EQ(kind({0}, small_form(Layout::stripe)), ErrorKind::cannot_grow);
  EXPECT_EQ(kind({}, small_form(Layout::linear)), ErrorKind::cannot_grow);
  EXPECT_EQ(kind({0, 0}, small_form(Layout::linear)), ErrorKind::member_twice);
  EXPECT_EQ(kind({0, 2}, small_form(Layout::linear)), ErrorKind::too_small);
  DevicePoolForm odd = small_form(Layout::stripe);
  odd.chunk = 12_KiB;
  EXPECT_EQ(kind({0, 1}, odd), ErrorKind::cannot_grow);
  disks.disks[1]->held = true;
  EXPECT_EQ(kind({0, 1}, small_form(Layout::linear)), ErrorKind::in_use);
  EXPECT_EQ(disks.disks[0]->bytes, before);
}

TEST(InitDevicePool, AStripeUsesAsMuchOfEachMemberAsTheSmallestHas) {
  SimDisks disks;
  add_disks(disks, 1, 7);
  add_disks(disks, 1, 4);
  DevicePoolForm form = small_form(Layout::stripe);
  form.chunk = 128_KiB;  // more than the slice: slices are as large then
  ASSERT_TRUE(init_device_pool(disks.candidates(), form, any_content));
  const auto opened = DevicePool::open(disks.candidates());
  ASSERT_TRUE(opened);
  const PoolShape shape = opened.value()->shape();
  EXPECT_EQ(shape.slice, 128_KiB);
  EXPECT_EQ(shape.member_slices, (std::vector<std::uint64_t>{2, 2}));
}

TEST(AddMember, ALinearPoolHasItsSpaceAtOnce) {
  Fresh fresh(Layout::linear, 1, 4);
  const auto made = fresh.ensure({"a", {4 * sim_slice.value}, page_blocks});
  ASSERT_TRUE(made);
  fill_volume(fresh.disks, *fresh.pool, made.value(), std::byte{0x11});
  add_disks(fresh.disks, 1, 6);
  EXPECT_EQ(fresh.pool->add_member(fresh.disks.candidate(1)).error().kind, ErrorKind::not_blank);
  const auto added = fresh.pool->add_member(fresh.disks.candidate(1), any_content);
  ASSERT_TRUE(added) << added.error().text;
  EXPECT_EQ(fresh.pool->space().value().free.value, 6 * sim_slice.value);
  const auto grown = fresh.pool->grow("a", {10 * sim_slice.value});
  ASSERT_TRUE(grown) << grown.error().text;
  fresh.reopen();
  const VolumeRecord record = *volume_called(*fresh.pool, "a");
  EXPECT_EQ(record, grown.value());
  EXPECT_TRUE(
      holds_only(fresh.disks, *fresh.pool, record, 0, 4 * sim_slice.value, std::byte{0x11}));
  EXPECT_TRUE(
      holds_only(fresh.disks, *fresh.pool, record, 4 * sim_slice.value, record.size.value, {}));
  EXPECT_EQ(fresh.pool->add_member(fresh.disks.candidate(1), any_content).error().kind,
            ErrorKind::member_twice);
}

TEST(AddMember, WhatItWouldRefuseIsSaidByReadingAlone) {
  Fresh fresh(Layout::linear, 1, 4);
  Fresh other(Layout::single, 1, 4);
  add_disks(fresh.disks, 2, 4);
  fresh.disks.add({small_area.bytes.value + sim_slice.value - 1});
  fresh.disks.disks[2]->bytes = other.disks.disks[0]->bytes;
  std::vector<std::vector<std::byte>> before;
  for (const auto& disk : fresh.disks.disks) before.push_back(disk->bytes);
  const auto check = [&](std::size_t disk, const InitPermission& permission) {
    const auto candidate = fresh.disks.candidate(disk);
    return fresh.pool->check_newcomer(*candidate.opened.value(), permission);
  };
  EXPECT_EQ(check(0, any_content).error().kind, ErrorKind::member_twice);
  EXPECT_EQ(check(1, {}).error().kind, ErrorKind::not_blank);
  EXPECT_TRUE(check(1, any_content));
  // Whatever else on it is to go: another pool's member is named by that pool.
  EXPECT_EQ(check(2, any_content).error().kind, ErrorKind::already_labelled);
  EXPECT_TRUE(check(2, {.content = false, .pools = {other.pool->uuid()}}));
  EXPECT_EQ(check(3, any_content).error().kind, ErrorKind::too_small);
  for (std::size_t at = 0; at < before.size(); ++at) {
    EXPECT_EQ(fresh.disks.disks[at]->bytes, before[at]) << at;
  }
}

TEST(AddMember, OtherLayoutsRefuseWithTheReason) {
  Fresh stripe(Layout::stripe, 2);
  add_disks(stripe.disks, 1, 8);
  const auto refused = stripe.pool->add_member(stripe.disks.candidate(2), any_content);
  EXPECT_EQ(refused.error().kind, ErrorKind::cannot_grow);
  EXPECT_NE(refused.error().text.find("stripe"), std::string::npos);
  Fresh single(Layout::single, 1);
  add_disks(single.disks, 1, 8);
  EXPECT_EQ(single.pool->add_member(single.disks.candidate(1), any_content).error().kind,
            ErrorKind::cannot_grow);
}

}  // namespace
}  // namespace engine
