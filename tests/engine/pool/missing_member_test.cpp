// A linear pool without one of its members: what is served and changed meanwhile, what is not, and
// which table counts when the member is back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/engine/pool/device_pool_kit.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;
using Layout = format::MemberLayout;
using Opened = Result<std::unique_ptr<DevicePool>, PoolError>;
using Chosen = std::vector<std::size_t>;

constexpr BlockSize page{4096};

VolumeWish wish_of(const std::string& name, std::uint64_t slices) {
  return {.name = name, .size = {slices * sim_slice.value}, .block_size = page};
}

// 0: nothing.
LostRanges lost_from(std::uint64_t sector) {
  LostRanges lost;
  if (sector == 0) return lost;
  EXPECT_TRUE(lost.add({.begin = {sector}, .count = {8}}));
  return lost;
}

// Two disks of five slices: "a" on the first, "b" on both, "c" on the second; one slice of the
// first is free, as "spare" is destroyed, and one of the second.
struct HalfAPool : testing::Test {
  SimDisks disks;
  HalfAPool() {
    add_disks(disks, 3, 5);
    EXPECT_TRUE(
        init_device_pool(disks.candidates({0, 1}), small_form(Layout::linear), any_content));
    const auto opened = open({0, 1});
    const VolumeWish wishes[] = {wish_of("a", 2), wish_of("spare", 1), wish_of("b", 4),
                                 wish_of("c", 2)};
    for (const auto& made : opened.value()->ensure(wishes)) EXPECT_TRUE(made);
    EXPECT_TRUE(opened.value()->destroy("spare", volume_called(*opened.value(), "spare")->uuid));
  }
  [[nodiscard]] Opened open(const Chosen& chosen, std::optional<Uuid> expected = {}) {
    return DevicePool::open(disks.candidates(chosen), expected);
  }
  [[nodiscard]] static std::string notes_of(const DevicePool& pool) {
    std::string all;
    for (const MemberTrouble& note : pool.notes()) all += note.error.text + "\n";
    return all;
  }
  template <class Answer>
  static void expect_missing(const Answer& answer, const std::string& what) {
    ASSERT_FALSE(answer) << what;
    EXPECT_EQ(answer.error().kind, ErrorKind::member_missing) << what << answer.error().text;
    for (const char* word : {"member 1 of 2", "SERIAL1", "/dev/disk/by-id/sim1"}) {
      EXPECT_NE(answer.error().text.find(word), std::string::npos) << answer.error().text;
    }
  }
};

TEST_F(HalfAPool, OnlyWhatLiesOnTheMissingMemberIsNotServed) {
  const auto opened = open({0});
  ASSERT_TRUE(opened) << opened.error().text;
  DevicePool& pool = *opened.value();
  EXPECT_FALSE(pool.is_whole());
  EXPECT_NE(notes_of(pool).find("member 1 of 2"), std::string::npos) << notes_of(pool);
  ASSERT_EQ(pool.disks().size(), 2U);
  EXPECT_FALSE(pool.disks()[0].is_missing);
  EXPECT_TRUE(pool.disks()[1].is_missing);
  EXPECT_EQ(pool.disks()[1].serial, "SERIAL1");

  const VolumeWish wishes[] = {wish_of("a", 2), wish_of("b", 4), wish_of("c", 2),
                               wish_of("new", 1)};
  const auto answers = pool.ensure(wishes);
  EXPECT_TRUE(answers[0]);
  expect_missing(answers[1], "b");
  expect_missing(answers[2], "c");
  ASSERT_FALSE(answers[3]);
  EXPECT_EQ(answers[3].error().kind, ErrorKind::member_missing);

  // What is there has one free slice.
  EXPECT_EQ(pool.space().value().free, sim_slice);
  ASSERT_TRUE(pool.grow("a", ByteCount{3 * sim_slice.value}));
  const auto more = pool.grow("a", ByteCount{4 * sim_slice.value});
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().kind, ErrorKind::no_space);
  const VolumeRecord c = *volume_called(pool, "c");
  expect_missing(pool.grow("c", ByteCount{3 * sim_slice.value}), "grow");
  expect_missing(pool.rename("c", c.uuid, "d"), "rename");
  expect_missing(pool.destroy("c", c.uuid), "destroy");
  expect_missing(pool.set_lost("c", lost_from(8)), "set_lost");
  expect_missing(pool.set_write_protected("c", true), "set_write_protected");
  expect_missing(pool.set_formatting("c", BlockSize{4096}), "set_formatting");
  expect_missing(pool.open_volume(c, {}, nullptr), "open_volume");
  expect_missing(pool.open_marker(c, {}), "open_marker");
  CacheBinding cache = attached({}, pool.uuid(), {});
  expect_missing(static_cast<Pool&>(pool).bind("c", cache), "bind");
  EXPECT_TRUE(static_cast<Pool&>(pool).bind("a", cache));
  expect_missing(pool.add_member(disks.candidate(2), any_content), "add_member");
  EXPECT_TRUE(std::ranges::all_of(disks.disks[2]->bytes,
                                  [](std::byte byte) { return byte == std::byte{0xa5}; }));
}

TEST_F(HalfAPool, WhatWasChangedMeanwhileCountsWhenTheMemberIsBack) {
  Uuid gone;
  {
    const auto opened = open({0});
    DevicePool& pool = *opened.value();
    ASSERT_TRUE(pool.set_lost("a", lost_from(8)));
    ASSERT_TRUE(pool.rename("a", volume_called(pool, "a")->uuid, "renamed"));
    gone = volume_called(pool, "renamed")->uuid;
    ASSERT_TRUE(pool.destroy("renamed", gone));
  }
  const auto whole = open({0, 1});
  ASSERT_TRUE(whole) << whole.error().text;
  EXPECT_TRUE(whole.value()->is_whole());
  EXPECT_TRUE(whole.value()->notes().empty());
  EXPECT_EQ(volume_called(*whole.value(), "a"), nullptr) << "a stale table has won";
  EXPECT_EQ(volume_called(*whole.value(), "renamed"), nullptr);
  EXPECT_NE(volume_called(*whole.value(), "c"), nullptr);
  // The member that was away knows it from now on, too.
  const auto other = DevicePool::open(disks.candidates({1}), {}, whole.value().get());
  ASSERT_TRUE(other) << other.error().text;
  EXPECT_EQ(volume_called(*other.value(), "a"), nullptr);
}

TEST_F(HalfAPool, TheMemberIsTakenBackBesideWhatIsServed) {
  auto half = open({1});
  ASSERT_TRUE(half) << half.error().text;
  ASSERT_TRUE(half.value()->set_lost("c", lost_from(16)));
  const auto whole = DevicePool::open(disks.candidates({0, 1}), {}, half.value().get());
  ASSERT_TRUE(whole) << whole.error().text;
  EXPECT_TRUE(whole.value()->is_whole());
  EXPECT_TRUE(whole.value()->has_inherited_lock()) << "what is served goes on";
  EXPECT_EQ(volume_called(*whole.value(), "c")->lost, lost_from(16));
}

TEST_F(HalfAPool, AStrangerInItsPlaceIsAMissingMemberAndIsNotTouched) {
  const auto before = disks.disks[2]->bytes;
  {
    const auto opened = open({0, 2});
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_NE(notes_of(*opened.value()).find("sim2"), std::string::npos);
    EXPECT_NE(notes_of(*opened.value()).find("member 1 of 2"), std::string::npos);
  }
  EXPECT_EQ(disks.disks[2]->bytes, before);
  // A member of another pool: whose members these are is to be known.
  ASSERT_TRUE(init_device_pool(disks.candidates({2}), small_form(Layout::single), any_content));
  const auto foreign = disks.disks[2]->bytes;
  const auto unsure = open({0, 2});
  ASSERT_FALSE(unsure);
  EXPECT_EQ(unsure.error().kind, ErrorKind::wrong_pool);
  const Uuid uuid = open({0, 1}).value()->uuid();
  const auto sure = open({2, 0}, uuid);
  ASSERT_TRUE(sure) << sure.error().text;
  EXPECT_FALSE(sure.value()->is_whole());
  const auto served_before = DevicePool::open(disks.candidates({2, 0}), {}, sure.value().get());
  ASSERT_TRUE(served_before) << served_before.error().text;
  EXPECT_EQ(served_before.value()->uuid(), uuid);
  EXPECT_EQ(disks.disks[2]->bytes, foreign);
}

TEST_F(HalfAPool, AnOlderCopyOfTheMissingMemberIsNotIt) {
  const auto copy = disks.disks[1]->bytes;
  {
    const auto opened = open({0, 1});
    ASSERT_TRUE(opened.value()->set_lost("c", lost_from(8)));
    ASSERT_TRUE(opened.value()->set_lost("c", lost_from(16)));
  }
  const auto right = disks.disks[1]->bytes;
  ASSERT_TRUE(open({0}).value()->set_lost("a", lost_from(8)));
  disks.disks[1]->bytes = copy;
  {
    const auto opened = open({0, 1});
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_FALSE(opened.value()->is_whole());
    EXPECT_NE(notes_of(*opened.value()).find("older copy"), std::string::npos);
  }
  EXPECT_EQ(disks.disks[1]->bytes, copy);
  disks.disks[1]->bytes = right;
  const auto opened = open({0, 1});
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_TRUE(opened.value()->is_whole());
  EXPECT_EQ(volume_called(*opened.value(), "c")->lost, lost_from(16));
}

TEST_F(HalfAPool, PartsThatWereServedWithoutEachOtherAreTakenIfNothingContradicts) {
  ASSERT_TRUE(open({0}));
  ASSERT_TRUE(open({1}));
  {
    const auto opened = open({0, 1});
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_TRUE(opened.value()->is_whole());
  }
  ASSERT_TRUE(open({0}).value()->set_lost("a", lost_from(8)));
  ASSERT_TRUE(open({1}).value()->set_lost("c", lost_from(8)));
  const auto before = disks.disks[0]->bytes;
  const auto opened = open({0, 1});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::damaged);
  EXPECT_NE(opened.error().text.find("apart from each other"), std::string::npos);
  EXPECT_EQ(disks.disks[0]->bytes, before);
}

TEST_F(HalfAPool, AMemberThatFailsAtOpeningIsMissingAndTheOthersAreServed) {
  std::uint64_t partly = 0;
  for (std::uint64_t step = 1;; ++step) {
    SCOPED_TRACE("error at step " + std::to_string(step));
    disks.begin({.step = step, .error = EIO});
    const auto opened = open({0, 1});
    ASSERT_TRUE(opened) << opened.error().text;
    const bool is_past = disks.steps < step;
    partly += opened.value()->is_whole() ? 0 : 1;
    disks.begin({});
    const VolumeWish wishes[] = {wish_of("a", 2), wish_of("c", 2)};
    const auto answers = opened.value()->ensure(wishes);
    EXPECT_TRUE(answers[0] || answers[1]);
    if (opened.value()->is_whole()) {
      EXPECT_TRUE(answers[0] && answers[1]);
    }
    if (is_past) break;
  }
  EXPECT_GT(partly, 2U);
}

// ---- crashed at every step

// Three disks, of which one is missing now and then; "v0" to "v2" on one each.
class FlakyLives {
 public:
  explicit FlakyLives(std::uint64_t seed) : random_(seed) {
    add_disks(disks_, 3, 5);
    EXPECT_TRUE(init_device_pool(disks_.candidates(), small_form(Layout::linear), any_content));
    const auto opened = DevicePool::open(disks_.candidates());
    const VolumeWish wishes[] = {wish_of("v0", 5), wish_of("v1", 5), wish_of("v2", 4)};
    for (const auto& made : opened.value()->ensure(wishes)) EXPECT_TRUE(made);
  }
  // Two or three of them, and changes of what they have; power fails at `step`, or not at all.
  // False: it was over before.
  bool live(std::uint64_t step) {
    Chosen chosen{0, 1, 2};
    if (random_.chance(3, 4)) chosen.erase(chosen.begin() + static_cast<int>(random_.below(3)));
    disks_.begin({.step = step, .error = 0});
    bool crashed = false;
    try {
      use(chosen);
    } catch (const SimCrash&) {
      crashed = true;
    }
    if (crashed) disks_.crash(random_);
    disks_.begin({});
    return crashed;
  }
  // All are there: what was answered is there.
  void expect_all() {
    const auto opened = DevicePool::open(disks_.candidates());
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_TRUE(opened.value()->is_whole());
    expect_answered(*opened.value());
  }

 private:
  void use(const Chosen& chosen) {
    const auto opened = DevicePool::open(disks_.candidates(chosen));
    ASSERT_TRUE(opened) << opened.error().text;
    DevicePool& pool = *opened.value();
    expect_answered(pool);
    for (const std::size_t disk : chosen) {
      const std::string name = "v" + std::to_string(disk);
      const std::uint64_t sector = 8 * ++changes_;
      trying_[name].insert(sector);
      const auto changed = pool.set_lost(name, lost_from(sector));
      ASSERT_TRUE(changed) << changed.error().text;
      trying_[name] = {sector};
    }
  }
  // Each volume has what was answered last, or something that was asked for since.
  void expect_answered(const DevicePool& pool) {
    for (auto& [name, sectors] : trying_) {
      const VolumeRecord* const record = volume_called(pool, name);
      ASSERT_NE(record, nullptr) << name;
      const bool is_known = std::ranges::any_of(
          sectors, [&](std::uint64_t sector) { return record->lost == lost_from(sector); });
      EXPECT_TRUE(is_known) << name << " has gone back to an older table";
      if (pool.why_out_of_reach(*record)) continue;
      // From here on it is what this says.
      std::erase_if(sectors,
                    [&](std::uint64_t sector) { return !(record->lost == lost_from(sector)); });
    }
  }

  SeededRandom random_;
  SimDisks disks_;
  std::uint64_t changes_ = 0;
  std::map<std::string, std::set<std::uint64_t>> trying_{{"v0", {0}}, {"v1", {0}}, {"v2", {0}}};
};

TEST(MissingMemberCrash, WhateverIsMissingWhenPowerFailsNoOlderTableWins) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= rounds(200); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom steps(seed);
    FlakyLives lives(seed);
    EXPECT_FALSE(lives.live(0));
    for (int life = 0; life < 12; ++life) {
      states += lives.live(1 + steps.below(70)) ? 1 : 0;
      if (testing::Test::HasFailure()) return;
      if (steps.chance(1, 4)) lives.expect_all();
      if (testing::Test::HasFailure()) return;
    }
    lives.expect_all();
    if (testing::Test::HasFailure()) return;
  }
  testing::Test::RecordProperty("crash_states", std::to_string(states));
  EXPECT_GT(states, rounds(800));
}

}  // namespace
}  // namespace engine
