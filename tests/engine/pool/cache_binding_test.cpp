#include "engine/pool/cache_binding.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using State = format::CacheBindingState;
using Verdict = CacheVerdict;

const Uuid ours = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff");
const Uuid other = *Uuid::parse("00112233-4455-4677-8899-aabbccddee00");

// The truth table of docs/pool-format.md, each cell.
TEST(CacheBinding, EveryCombinationHasItsVerdict) {
  const CacheBinding dirty{.device = ours, .epoch = 5, .state = State::dirty};
  const CacheBinding clean{.device = ours, .epoch = 5, .state = State::clean};
  const CacheBinding none{.device = {}, .epoch = 5, .state = State::none};
  constexpr CacheDeviceFinding unreadable{};
  constexpr CacheDeviceFinding nothing{.readable = true, .contents = {}};
  const auto has = [](std::uint64_t epoch, bool is_dirty) {
    return CacheDeviceFinding{.readable = true,
                              .contents = CacheContents{.epoch = epoch, .dirty = is_dirty}};
  };
  struct Row {
    const char* what;
    CacheDeviceFinding found;
    Verdict when_dirty;
    Verdict when_clean;
    Verdict when_none;
  };
  const Row on_its_device[] = {
      {"unreadable", unreadable, Verdict::cache_missing, Verdict::direct, Verdict::direct},
      {"nothing", nothing, Verdict::cache_missing, Verdict::attach, Verdict::attach},
      {"older", has(4, false), Verdict::cache_missing, Verdict::attach, Verdict::attach},
      {"older, dirty", has(4, true), Verdict::cache_missing, Verdict::attach, Verdict::attach},
      {"same", has(5, false), Verdict::resume, Verdict::resume, Verdict::attach},
      {"same, dirty", has(5, true), Verdict::resume, Verdict::conflict, Verdict::conflict},
      {"later", has(6, false), Verdict::conflict, Verdict::attach, Verdict::attach},
      {"later, dirty", has(6, true), Verdict::conflict, Verdict::conflict, Verdict::conflict},
  };
  for (const Row& row : on_its_device) {
    EXPECT_EQ(judge(dirty, ours, row.found), row.when_dirty) << row.what;
    EXPECT_EQ(judge(clean, ours, row.found), row.when_clean) << row.what;
    EXPECT_EQ(judge(none, ours, row.found), row.when_none) << row.what;
    // Another device may have any epoch: what it has is nothing of a dirty image's, and the rest is
    // attached anew.
    EXPECT_EQ(judge(dirty, other, row.found), Verdict::cache_missing) << row.what;
    EXPECT_EQ(judge(clean, other, row.found), row.when_none) << row.what;
  }
  // A start was cut off between the cache's entry and the pool's; not two, and not one that went
  // on.
  const auto about_to_join = [](std::uint64_t epoch) {
    return CacheDeviceFinding{
        .readable = true,
        .contents = CacheContents{.epoch = epoch, .dirty = true, .opened = false}};
  };
  EXPECT_EQ(judge(dirty, ours, about_to_join(4)), Verdict::cache_missing);
  EXPECT_EQ(judge(dirty, ours, about_to_join(5)), Verdict::resume);
  EXPECT_EQ(judge(dirty, ours, about_to_join(6)), Verdict::resume);
  EXPECT_EQ(judge(dirty, ours, about_to_join(7)), Verdict::conflict);
  EXPECT_EQ(judge(clean, ours, about_to_join(6)), Verdict::conflict);
  EXPECT_EQ(judge(dirty, {}, unreadable), Verdict::cache_missing);
  EXPECT_EQ(judge(clean, {}, unreadable), Verdict::direct);
  EXPECT_EQ(judge(none, {}, unreadable), Verdict::direct);
}

// A cache that was left behind never belongs to its image again, wherever it comes back.
TEST(CacheBinding, WhatWasLeftBehindStaysBehind) {
  const CacheBinding first = attached({}, ours, {});
  EXPECT_EQ(first, (CacheBinding{.device = ours, .epoch = 1, .state = State::clean}));
  const CacheDeviceFinding left{.readable = true, .contents = CacheContents{.epoch = 1}};
  EXPECT_EQ(judge(first, ours, left), Verdict::resume);

  const CacheBinding without = forgotten(first);
  EXPECT_EQ(judge(without, ours, left), Verdict::attach);
  EXPECT_EQ(attached(without, ours, left.contents).epoch, 3U);

  CacheBinding lost = first;
  lost.state = State::dirty;
  const CacheBinding abandoned = forgotten(lost);
  const CacheDeviceFinding back{.readable = true,
                                .contents = CacheContents{.epoch = 1, .dirty = true}};
  EXPECT_EQ(judge(abandoned, ours, back), Verdict::attach);
}

// An image that came back from a backup, beside the newer cache: whoever names the cache goes on
// without it, once and for all.
TEST(CacheBinding, ACacheInConflictIsGivenUpByItsName) {
  const CacheContents newer{.epoch = 9, .dirty = true};
  const CacheDeviceFinding found{.readable = true, .contents = newer};
  for (const State state : {State::none, State::clean, State::dirty}) {
    const CacheBinding before{
        .device = state == State::none ? Uuid{} : ours, .epoch = 5, .state = state};
    ASSERT_EQ(judge(before, ours, found), Verdict::conflict);
    EXPECT_FALSE(abandoned("db01", before, {.device = other, .contents = {}}));
    const auto after = abandoned("db01", before, {.device = ours, .contents = newer});
    ASSERT_TRUE(after) << after.error();
    EXPECT_EQ(judge(after.value(), ours, found), Verdict::attach);
    EXPECT_EQ(attached(after.value(), ours, newer).epoch, 11U);
  }
  EXPECT_FALSE(abandoned("db01", {.device = ours, .epoch = 9, .state = State::clean},
                         {.device = ours, .contents = CacheContents{.epoch = 9}}))
      << "nothing stands against it";
}

// Each start takes the next epoch, but for one that was cut off and had taken it already.
TEST(CacheBinding, EveryResumptionHasAnEpochOfItsOwn) {
  const CacheBinding dirty{.device = ours, .epoch = 5, .state = State::dirty};
  EXPECT_EQ(resumed(dirty, {.epoch = 5, .dirty = true}),
            (CacheBinding{.device = ours, .epoch = 6, .state = State::dirty}));
  EXPECT_EQ(resumed(dirty, {.epoch = 6, .dirty = true, .opened = false}).epoch, 6U);
}

// A crash after the cache's slot was written and before the pool's record: the epoch is not used
// again.
TEST(CacheBinding, AnEpochThatOnlyTheCacheKnowsIsNotUsedAgain) {
  const CacheContents half_attached{.epoch = 8};
  EXPECT_EQ(attached({}, ours, half_attached).epoch, 9U);
}

TEST(CacheBinding, ImpossibleOnes) {
  EXPECT_TRUE(is_possible({}));
  EXPECT_TRUE(is_possible({.device = {}, .epoch = 3, .state = State::none}));
  EXPECT_TRUE(is_possible({.device = ours, .epoch = 1, .state = State::dirty}));
  EXPECT_FALSE(is_possible({.device = ours, .epoch = 1, .state = State::none}));
  EXPECT_FALSE(is_possible({.device = {}, .epoch = 1, .state = State::clean}));
  EXPECT_FALSE(is_possible({.device = ours, .epoch = 0, .state = State::dirty}));
}

}  // namespace
}  // namespace engine
