// The simulated persistent memory loses what it may lose, and nothing else.
#include "tests/sim/sim_pmem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <set>
#include <string>

#include "engine/foundation/random.h"

namespace engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The first `count` bytes at `offset`; '.' for zero.
std::string text_at(const PmemRegion& region, std::uint64_t offset, std::size_t count) {
  std::vector<std::byte> bytes(count);
  if (!region.read({offset}, bytes)) return "unreadable";
  std::string text;
  for (const std::byte b : bytes) text += b == std::byte{} ? '.' : static_cast<char>(b);
  return text;
}

class SimPmemTest : public testing::Test {
 protected:
  SimPmem pmem{64_KiB};
  std::unique_ptr<PmemWriter> a = std::move(pmem.make_writer().value());
  std::unique_ptr<PmemWriter> b = std::move(pmem.make_writer().value());

  void store(PmemWriter& writer, std::uint64_t offset, std::string_view text) {
    ASSERT_TRUE(writer.copy({offset}, bytes_of(text)));
    pmem.check_invariants();
  }
  // What all crashes leave at these places, joined by a space.
  std::set<std::string> outcomes(std::vector<std::uint64_t> offsets, std::size_t count,
                                 bool tear = false) {
    std::set<std::string> found;
    ExhaustiveChooser choose(tear);
    do {
      const auto after = pmem.crash(choose);
      std::string text;
      for (const std::uint64_t at : offsets) {
        text += (text.empty() ? "" : " ") + text_at(*after, at, count);
      }
      found.insert(text);
    } while (choose.next());
    return found;
  }
};

TEST_F(SimPmemTest, UnfencedStoreIsThereOrNot) {
  store(*a, 0, "new");
  EXPECT_THAT(outcomes({0}, 3), ElementsAre("...", "new"));
  EXPECT_EQ(pmem.unsettled(), 1U);
  EXPECT_EQ(pmem.crashes(), 2U);
}

TEST_F(SimPmemTest, FencedStoreSurvivesEveryCrash) {
  store(*a, 0, "new");
  a->fence();
  EXPECT_THAT(outcomes({0}, 3), ElementsAre("new"));
  EXPECT_EQ(pmem.unsettled(), 0U);
}

TEST_F(SimPmemTest, LinesSurviveIndependentlyOfEachOther) {
  store(*a, 63, "xy");  // one copy, two lines
  EXPECT_THAT(outcomes({63}, 2), ElementsAre("..", ".y", "x.", "xy"));
}

TEST_F(SimPmemTest, EveryVersionSinceTheFenceCanSurvive) {
  store(*a, 8, "1");
  a->fence();
  store(*a, 8, "2");
  store(*a, 8, "3");
  EXPECT_THAT(outcomes({8}, 1), ElementsAre("1", "2", "3"));
}

TEST_F(SimPmemTest, LineTearsAtEightBytesAndNotInside) {
  store(*a, 0, "aaaaaaaabbbbbbbb");
  EXPECT_THAT(outcomes({0}, 16), ElementsAre("................", "aaaaaaaabbbbbbbb"));
  EXPECT_THAT(outcomes({0}, 16, true), ElementsAre("................", "........bbbbbbbb",
                                                   "aaaaaaaa........", "aaaaaaaabbbbbbbb"));
}

TEST_F(SimPmemTest, FenceOfAnotherActorSettlesNothing) {
  store(*a, 0, "a");
  store(*b, 64, "b");
  b->fence();
  EXPECT_THAT(outcomes({0, 64}, 1), ElementsAre(". b", "a b"));
}

TEST_F(SimPmemTest, FenceSettlesOnlyTheOwnBytesOfASharedLine) {
  store(*a, 0, "a");
  store(*b, 8, "b");
  store(*a, 16, "c");
  b->fence();
  pmem.check_invariants();
  EXPECT_THAT(outcomes({0, 8, 16}, 1), ElementsAre(". b .", "a b .", "a b c"));
  a->fence();
  EXPECT_THAT(outcomes({0, 8, 16}, 1), ElementsAre("a b c"));
}

TEST_F(SimPmemTest, SettledStoreIsNotUndoneByAnOlderOneOfAnotherActor) {
  store(*a, 0, "older");
  store(*b, 1, "NEW");
  b->fence();
  pmem.check_invariants();
  EXPECT_THAT(outcomes({0}, 5), ElementsAre(".NEW.", "oNEWr"));
}

TEST_F(SimPmemTest, SettledStoreMayBeHiddenByANewerOneOfAnotherActor) {
  store(*b, 0, "b");
  store(*a, 0, "a");
  b->fence();
  EXPECT_THAT(outcomes({0}, 1), ElementsAre("a", "b"));
}

TEST_F(SimPmemTest, CrashLeavesTheRegionAsItWas) {
  store(*a, 0, "kept");
  a->fence();
  store(*a, 64, "open");
  const std::vector<std::byte> before(pmem.content().begin(), pmem.content().end());
  for (const bool keep : {true, false}) {
    LoseEverything lose;
    KeepEverything hold;
    const auto after = pmem.crash(keep ? static_cast<CrashChooser&>(hold) : lose);
    auto writer = std::move(after->make_writer().value());
    ASSERT_TRUE(writer->copy({0}, bytes_of("ruin")));
    writer->fence();
    ASSERT_TRUE(writer->copy({4096}, bytes_of("more ruin")));
    {
      const auto again = after->crash(lose);  // while it recovers
      EXPECT_EQ(text_at(*again, 0, 4), "ruin");
      EXPECT_EQ(text_at(*again, 4096, 4), "....");
      EXPECT_EQ(text_at(*again, 64, 4), keep ? "open" : "....");
      auto late = std::move(again->make_writer().value());
      ASSERT_TRUE(late->copy({4096}, bytes_of("late")));
    }
    EXPECT_EQ(text_at(*after, 4096, 9), "more ruin");
  }
  EXPECT_TRUE(std::equal(before.begin(), before.end(), pmem.content().begin()));
  EXPECT_THAT(outcomes({64}, 4), ElementsAre("....", "open"));
}

TEST_F(SimPmemTest, RegionIsNotUsedWhileItsCrashLives) {
  LoseEverything lose;
  const auto after = pmem.crash(lose);
  EXPECT_DEATH(static_cast<void>(a->copy({0}, bytes_of("x"))), "lent_");
}

TEST_F(SimPmemTest, KilledProcessLeavesWhatAFenceOfTheNextDoesNotSettle) {
  store(*a, 0, "seen");
  store(*a, 64, "seen");
  a.reset();
  b.reset();
  pmem.kill_process();
  EXPECT_EQ(text_at(pmem, 0, 4), "seen");
  const auto next = std::move(pmem.make_writer().value());
  next->fence();
  EXPECT_THAT(outcomes({0, 64}, 4),
              ElementsAre(".... ....", ".... seen", "seen ....", "seen seen"));
  ASSERT_TRUE(next->flush({0}, {4}));
  EXPECT_EQ(pmem.crashes(), 4U);
  next->fence();
  EXPECT_THAT(outcomes({0, 64}, 4), ElementsAre("seen ....", "seen seen"));
}

TEST_F(SimPmemTest, FlushDoesNotSettleWhatALivingActorStores) {
  store(*a, 0, "a");
  ASSERT_TRUE(b->flush({0}, {64}));
  b->fence();
  EXPECT_THAT(outcomes({0}, 1), ElementsAre(".", "a"));
}

TEST_F(SimPmemTest, HealedLineIsUnreadableAgainIfItsOverwriteIsLost) {
  pmem.poison({70}, {1});
  EXPECT_EQ(text_at(pmem, 64, 1), "unreadable");
  EXPECT_EQ(text_at(pmem, 63, 1), ".");
  EXPECT_EQ(text_at(pmem, 128, 1), ".");
  const std::string line(64, 'x');
  EXPECT_EQ(a->copy({64}, bytes_of("part")).error(), PmemError::media_error);
  store(*a, 64, line);
  EXPECT_THAT(outcomes({64}, 1), ElementsAre("unreadable", "x"));
  a->fence();
  EXPECT_THAT(outcomes({64}, 1), ElementsAre("x"));
  pmem.poison({64}, {1});
  pmem.heal_on_overwrite(false);
  EXPECT_EQ(a->copy({64}, bytes_of(line)).error(), PmemError::media_error);
  EXPECT_THAT(outcomes({64}, 1), ElementsAre("unreadable"));
}

TEST_F(SimPmemTest, EveryPersistPointIsReachedOnceAndCanBeExplored) {
  std::vector<std::uint64_t> crashes;
  pmem.on_persist_point([&](PersistPoint point) {
    EXPECT_EQ(point.number, crashes.size() + 1);
    EXPECT_EQ(point.kind == PersistPoint::Kind::settle, point.number == 3);
    crashes.push_back(0);
    ExhaustiveChooser choose;
    do {
      const auto after = pmem.crash(choose);
      ++crashes.back();
    } while (choose.next());
  });
  store(*a, 0, "1");
  store(*a, 64, "2");
  a->fence();
  store(*a, 64, "3");
  EXPECT_THAT(crashes, ElementsAre(2, 4, 1, 2));
  EXPECT_EQ(pmem.persist_points(), 4U);
}

TEST_F(SimPmemTest, SameSeedGivesTheSameCrash) {
  SeededRandom random(5);
  std::vector<std::byte> bytes(4096);
  for (int round = 0; round < 20; ++round) {
    random.fill(bytes);
    ASSERT_TRUE((random.chance(1, 2) ? *a : *b).copy({random.below(60000)}, bytes));
  }
  std::set<std::vector<std::byte>> images;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<std::vector<std::byte>> twice;
    for (int time = 0; time < 2; ++time) {
      SeededRandom again(seed);
      RandomChooser choose(again);
      const auto after = pmem.crash(choose);
      twice.emplace_back(after->content().begin(), after->content().end());
    }
    EXPECT_TRUE(twice[0] == twice[1]);
    images.insert(twice[0]);
  }
  EXPECT_GT(images.size(), 15U);
}

// Against a model that keeps for each word all it may be: random stores and fences of three actors.
TEST_F(SimPmemTest, NoCrashInventsContent) {
  constexpr std::uint64_t words = 32;  // four lines: actors meet all the time
  std::vector<std::unique_ptr<PmemWriter>> writers;
  for (int i = 0; i < 3; ++i) writers.push_back(std::move(pmem.make_writer().value()));
  struct Version {
    std::uint64_t value;
    std::size_t actor;
  };
  std::vector<std::vector<Version>> model(words, {{0, 99}});  // the first is settled
  SeededRandom random(17);
  for (std::uint64_t round = 1; round < 3000; ++round) {
    const std::size_t actor = random.below(writers.size());
    if (random.chance(1, 4)) {
      writers[actor]->fence();
      for (auto& versions : model) {
        const auto own = [actor](const Version& version) { return version.actor == actor; };
        const auto last = std::find_if(versions.rbegin(), versions.rend(), own).base();
        if (last == versions.begin()) continue;
        // Everything before the actor's last store is out; it is the settled one now.
        versions.erase(versions.begin(), last - 1);
        versions.front().actor = 99;
      }
    } else {
      const std::uint64_t word = random.below(words);
      const std::array<std::uint64_t, 1> value{round};
      ASSERT_TRUE(writers[actor]->copy({word * 8}, std::as_bytes(std::span(value))));
      model[word].push_back({round, actor});
    }
    pmem.check_invariants();
    RandomChooser choose(random);
    const auto after = pmem.crash(choose);
    for (std::uint64_t word = 0; word < words; ++word) {
      std::uint64_t value = 0;
      ASSERT_TRUE(after->read({word * 8}, std::as_writable_bytes(std::span(&value, 1))));
      ASSERT_TRUE(std::any_of(model[word].begin(), model[word].end(),
                              [value](const Version& version) { return version.value == value; }))
          << "round " << round << " word " << word << " value " << value;
    }
  }
}

// Microseconds of this thread for a crash with 256 unsettled lines, and 64 more lines stored and
// fenced by whoever opens what is left.
double cost_of_a_state(ByteCount size) {
  SimPmem large(size);
  const auto writer = std::move(large.make_writer().value());
  const std::vector<std::byte> block(4096, std::byte{1});
  for (std::uint64_t at = 0; at < 4; ++at) {
    CHECK(static_cast<bool>(writer->copy({at * size.value / 4}, block)));
  }
  SeededRandom random(1);
  constexpr int states = 500;
  timespec start{};
  timespec end{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  for (int state = 0; state < states; ++state) {
    RandomChooser choose(random);
    const auto after = large.crash(choose);
    const auto recovery = std::move(after->make_writer().value());
    CHECK(static_cast<bool>(recovery->copy({1000}, block)));
    recovery->fence();
  }
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  return (static_cast<double>(end.tv_sec - start.tv_sec) * 1e6 +
          static_cast<double>(end.tv_nsec - start.tv_nsec) / 1e3) /
         states;
}

TEST(SimPmemCost, CrashCostsWhatItTouchesNotWhatTheRegionIsLong) {
  const double small = cost_of_a_state(64_KiB);
  const double large = cost_of_a_state(128_MiB);
  RecordProperty("microseconds_per_state", std::to_string(large));
  EXPECT_LT(large, 4 * small + 50);  // a copy of 128 MiB takes tens of thousands
}

TEST_F(SimPmemTest, MutantWithoutFencesLosesFencedStores) {
  pmem.forget_fence(true);
  store(*a, 0, "new");
  a->fence();
  EXPECT_THAT(outcomes({0}, 3), ElementsAre("...", "new"));
}

TEST_F(SimPmemTest, MutantWhoseFenceSettlesEveryoneHidesACrossActorFault) {
  pmem.fence_settles_everyone(true);
  store(*a, 0, "a");
  b->fence();
  EXPECT_THAT(outcomes({0}, 1), ElementsAre("a"));
}

TEST_F(SimPmemTest, CopyOfACrashLivesOn) {
  store(*a, 0, "x");
  KeepEverything keep;
  const auto copy = std::make_unique<SimPmem>(pmem.crash(keep)->content());
  store(*a, 0, "y");
  EXPECT_EQ(text_at(*copy, 0, 1), "x");
  EXPECT_EQ(copy->unsettled(), 0U);
}

}  // namespace
}  // namespace engine
