// A disk that has become slow, or is slower than its peers, is told from one that is busy.
#include "engine/media/disk_watch.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

// `each` operations of every latency.
LatencyHistogram histogram(std::uint64_t each,
                           std::initializer_list<std::chrono::nanoseconds> latencies) {
  LatencyHistogram made;
  for (const auto took : latencies) made.add(LatencyHistogram::step_of(took), each);
  return made;
}

DiskPace pace(std::chrono::nanoseconds recent, std::chrono::nanoseconds past) {
  return {.recent = histogram(1000, {recent}), .past = histogram(10000, {past})};
}

const std::vector<DiskPace> well{pace(10ms, 10ms), pace(12ms, 9ms), pace(9ms, 11ms)};

TEST(FindOutlier, ADiskAsItWasAndAsItsPeersIsNone) {
  EXPECT_FALSE(find_outlier(DiskWork::read, pace(11ms, 10ms), well));
  EXPECT_FALSE(find_outlier(DiskWork::read, pace(30ms, 10ms), well)) << "three times";
  EXPECT_FALSE(find_outlier(DiskWork::read, pace(11ms, 10ms), {}));
}

TEST(FindOutlier, ADiskThatHasBecomeSlowIsOneAgainstBoth) {
  const auto found = find_outlier(DiskWork::write, pace(300ms, 10ms), well);
  ASSERT_TRUE(found);
  EXPECT_GE(found->recent, 300ms);
  ASSERT_TRUE(found->past && found->peers);
  EXPECT_LE(*found->past, 13ms);
  EXPECT_EQ(text(*found),
            "99 of 100 writes take up to 328 ms, where they took 11 ms, and 11 ms on its peers");
}

TEST(FindOutlier, OneThatWasAlwaysSlowIsOneAmongItsPeersAlone) {
  const auto found = find_outlier(DiskWork::read, pace(300ms, 250ms), well);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->past);
  EXPECT_TRUE(found->peers);
  EXPECT_EQ(text(*found), "99 of 100 reads take up to 328 ms, where they took 11 ms on its peers");
}

TEST(FindOutlier, APoolThatIsBusyAsAWholeHasNoneAmongItsPeers) {
  const std::vector<DiskPace> busy{pace(280ms, 10ms), pace(310ms, 10ms)};
  const auto found = find_outlier(DiskWork::read, pace(300ms, 10ms), busy);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->past);
  EXPECT_FALSE(found->peers);
}

TEST(FindOutlier, OneSlowPeerDoesNotHideASlowDiskNorMakeOne) {
  const std::vector<DiskPace> mixed{pace(10ms, 10ms), pace(11ms, 10ms), pace(900ms, 10ms)};
  EXPECT_TRUE(find_outlier(DiskWork::read, pace(300ms, 300ms), mixed)->peers);
  EXPECT_FALSE(find_outlier(DiskWork::read, pace(30ms, 30ms), mixed));
  // Of two it cannot be said who is right: the slower counts.
  const std::vector<DiskPace> two{pace(10ms, 10ms), pace(900ms, 10ms)};
  EXPECT_FALSE(find_outlier(DiskWork::read, pace(300ms, 300ms), two));
}

TEST(FindOutlier, FewOperationsAndFastOnesSayNothing) {
  const DiskPace fast{.recent = histogram(1000, {5ms}), .past = histogram(10000, {50us})};
  EXPECT_FALSE(find_outlier(DiskWork::read, fast, well)) << "below the floor nobody is harmed";
  DiskPace few = pace(300ms, 10ms);
  few.recent = histogram(63, {300ms});
  EXPECT_FALSE(find_outlier(DiskWork::read, few, well));
  DiskPace young = pace(300ms, 10ms);
  young.past = histogram(1023, {10ms});
  EXPECT_FALSE(find_outlier(DiskWork::read, young, {}));
  const std::vector<DiskPace> idle{{.recent = histogram(63, {1ms}), .past = {}}};
  EXPECT_FALSE(find_outlier(DiskWork::read, young, idle));
}

TEST(FindOutlier, OneInAThousandIsNotThePercentile) {
  DiskPace rare = pace(10ms, 10ms);
  rare.recent.add(LatencyHistogram::step_of(5s), 9);
  EXPECT_FALSE(find_outlier(DiskWork::read, rare, well));
  rare.recent.add(LatencyHistogram::step_of(5s), 9);
  EXPECT_TRUE(find_outlier(DiskWork::read, rare, well));
}

class DiskWatchTest : public testing::Test {
 protected:
  void run(std::uint64_t count, std::chrono::nanoseconds took) {
    DiskWorkCounts& reads = counts.works[0];
    reads.begun += count;
    reads.latency.add(LatencyHistogram::step_of(took), count);
  }
  void look() {
    now = now + 10s;
    watch.look(counts, now);
  }
  [[nodiscard]] std::optional<DiskOutlier> outlier() const {
    return find_outlier(DiskWork::read, watch.pace(DiskWork::read), {});
  }
  DiskHealthCounts counts;
  DiskWatch watch;
  Instant now{};
};

TEST_F(DiskWatchTest, SeesADiskBecomeSlowAndForgetsThatItWasFast) {
  for (int times = 0; times < 20; ++times) {
    run(500, 5ms);
    look();
    EXPECT_FALSE(outlier());
  }
  EXPECT_EQ(watch.pace(DiskWork::read).recent.count(), 500U);
  run(500, 200ms);
  look();
  ASSERT_TRUE(outlier());
  EXPECT_TRUE(outlier()->past);
  run(500, 5ms);
  look();
  EXPECT_FALSE(outlier()) << "one look";
  int looks = 0;
  while (looks < 100) {
    run(500, 200ms);
    look();
    ++looks;
    if (!outlier()) break;
  }
  EXPECT_LT(looks, 100) << "it has become its past";
}

TEST_F(DiskWatchTest, CountsErrorsOfTheLastLook) {
  counts.works[1].errors = 3;
  look();
  EXPECT_EQ(watch.recent_errors(), 3U);
  look();
  EXPECT_EQ(watch.recent_errors(), 0U);
}

TEST_F(DiskWatchTest, ADiskThatDoesNotAnswerIsNotAnIdleOne) {
  for (int times = 0; times < 10; ++times) look();
  EXPECT_FALSE(watch.silent_since()) << "idle";
  run(10, 1ms);
  counts.works[0].begun += 1;  // and it hangs
  look();
  const Instant last = now;
  look();
  look();
  EXPECT_FALSE(watch.silent_since());
  look();
  EXPECT_EQ(watch.silent_since(), last);
  counts.works[0].latency.add(LatencyHistogram::step_of(35s), 1);
  look();
  EXPECT_FALSE(watch.silent_since());
}

}  // namespace
}  // namespace engine
