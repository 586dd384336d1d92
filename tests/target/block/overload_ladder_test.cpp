#include "target/block/overload_ladder.h"

#include <gtest/gtest.h>

#include <vector>

#include "target/block/block_volume.h"
#include "tests/target/nvmf/held_volume.h"

namespace target::block {
namespace {

using namespace std::chrono_literals;
using engine::Instant;
using Change = OverloadLadder::Change;

constexpr Instant first_moment{1h};

// A world of hosts that write to a cache which is full from `first_moment` on, until `room`. One
// command is always held; whoever is held for long enough is given back, and comes again.
class World {
 public:
  explicit World(const OverloadTimes& times = {}) { ladder.set_times(times); }

  // Second by second; what changed, and in which second.
  struct News {
    engine::Duration at;
    Change change;
    friend bool operator==(const News&, const News&) = default;
  };
  std::vector<News> run(engine::Duration until, engine::Duration room) {
    std::vector<News> all;
    bool is_held = false;
    for (engine::Duration at{}; at <= until; at += 1s) {
      const Instant now = first_moment + at;
      const bool has_room = at >= room;
      if (!has_room && !is_held && !ladder.is_closed()) {
        came_ = now;
        ladder.began_hold();
        is_held = true;
      }
      const bool comes_back = now - came_ >= ladder.times().hold || ladder.is_closed();
      if (is_held && (has_room || comes_back)) {
        ladder.ended_hold(now - came_);
        if (!has_room) ladder.given_back(came_, now);
        is_held = false;
      }
      const Change change = ladder.look(now, has_room);
      if (change != Change::none) all.push_back({at, change});
    }
    return all;
  }
  OverloadLadder ladder;

 private:
  Instant came_;
};

TEST(OverloadLadderTest, ClosesAfterItsTimeAndOpensWhenThereHasBeenRoomForAWhile) {
  World world;
  const auto news = world.run(200s, 180s);
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[0], (World::News{25s, Change::closed}));
  EXPECT_EQ(news[1], (World::News{185s, Change::opened}));
  EXPECT_EQ(world.ladder.counts().closings, 1U);
  EXPECT_EQ(world.ladder.counts().held, 0U);
}

TEST(OverloadLadderTest, AShortageThatEndsInTimeIsForgotten) {
  World world;
  EXPECT_TRUE(world.run(60s, 24s).empty());
  // As long again, and again not long enough: the first one does not count.
  EXPECT_TRUE(world.run(60s, 24s).empty());
}

// Commands wait, but each is served long before it would be given back.
TEST(OverloadLadderTest, WhatIsOnlySlowDoesNotClose) {
  OverloadLadder ladder;
  ladder.set_times({});
  for (auto at = 0s; at < 300s; at += 1s) {
    ladder.began_hold();
    EXPECT_EQ(ladder.look(first_moment + at, false), Change::none);
    ladder.ended_hold(900ms);
  }
}

TEST(OverloadLadderTest, WhoGotOnMeanwhileIsNotClosedForWhatIsLongPast) {
  OverloadLadder ladder;
  ladder.set_times({.hold = 1s, .inaccessible_after = 25s});
  ladder.given_back(first_moment, first_moment + 1s);
  for (auto at = 2s; at < 60s; at += 1s) {
    EXPECT_EQ(ladder.look(first_moment + at, false), Change::none) << at.count();
  }
}

TEST(OverloadLadderTest, RoomThatComesAndGoesDoesNotOpen) {
  World world;
  EXPECT_EQ(world.run(30s, 1h).size(), 1U);
  OverloadLadder& ladder = world.ladder;
  for (auto at = 31s; at < 91s; at += 1s) {
    const bool has_room = at.count() % 5 != 0;
    EXPECT_EQ(ladder.look(first_moment + at, has_room), Change::none);
  }
  // Nor while somebody is still held.
  ladder.began_hold();
  for (auto at = 91s; at < 121s; at += 1s) {
    EXPECT_EQ(ladder.look(first_moment + at, true), Change::none);
  }
  ladder.ended_hold(30s);
  EXPECT_EQ(ladder.look(first_moment + 121s, true), Change::none);
  EXPECT_EQ(ladder.look(first_moment + 126s, true), Change::opened);
}

TEST(OverloadLadderTest, WhoCannotEvenBeHeldClosesAtTheNextLook) {
  OverloadLadder ladder;
  ladder.set_times({});
  ladder.cannot_hold();
  EXPECT_EQ(ladder.look(first_moment, true), Change::none) << "there is room again";
  EXPECT_EQ(ladder.look(first_moment + 1s, false), Change::none);
  ladder.cannot_hold();
  EXPECT_EQ(ladder.look(first_moment + 2s, false), Change::closed);
}

// What the volume is told: whatever it holds comes back when it is closed.
class ToldVolume final : public nvmf::HeldVolume {
 public:
  ToldVolume() : HeldVolume(engine::BlockSize{512}, 64) {}
  void set_hold(engine::Duration time) override { holds.push_back(time); }
  [[nodiscard]] bool has_room() const override { return room; }
  std::vector<engine::Duration> holds;
  bool room = true;
};

TEST(OverloadLadderTest, TheVolumeIsToldHowLongToHoldAndLetsGoWhenItIsClosed) {
  ToldVolume volume;
  BlockVolume block(volume);
  block.set_overload_times({});
  block.set_overload_times({.hold = 3s});
  volume.room = false;
  for (auto at = 0s; at < 24s; at += 3s) {
    block.overload().given_back(first_moment + at, first_moment + at + 3s);
    EXPECT_EQ(block.look_at_overload(first_moment + at + 3s), Change::none);
  }
  EXPECT_EQ(block.look_at_overload(first_moment + 25s), Change::closed);
  EXPECT_EQ(block.look_at_overload(first_moment + 26s), Change::none);
  volume.room = true;
  EXPECT_EQ(block.look_at_overload(first_moment + 27s), Change::none);
  EXPECT_EQ(block.look_at_overload(first_moment + 32s), Change::opened);
  const std::vector<engine::Duration> expected{10s, 3s, 1ns, 3s};
  EXPECT_EQ(volume.holds, expected);
}

}  // namespace
}  // namespace target::block
