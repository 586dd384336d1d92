// What is told of a disk begins once and ends once, however often it is looked at.
#include "engine/media/disk_judge.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace engine {
namespace {

using namespace std::chrono_literals;
using TroubleKind = DiskTrouble::Kind;

class DiskJudgeTest : public testing::Test {
 protected:
  void read(std::uint64_t count, std::chrono::nanoseconds took) {
    DiskWorkCounts& reads = counts.works[0];
    reads.begun += count;
    reads.latency.add(LatencyHistogram::step_of(took), count);
  }
  // One look, at peers that read as fast as that; 0: they do nothing.
  void look(std::chrono::nanoseconds peers_took = {}) {
    now = now + 10s;
    judge.look(counts, now, std::chrono::duration_cast<std::chrono::milliseconds>(now.since_start));
    PeerPaces peers;
    for (int each = 0; each < 2; ++each) {
      DiskPace pace;
      if (peers_took > 0ns) pace.recent.add(LatencyHistogram::step_of(peers_took), 500);
      peers[0].push_back(pace);
    }
    judge.compare(peers, std::chrono::duration_cast<std::chrono::milliseconds>(now.since_start));
  }
  [[nodiscard]] std::optional<DiskTrouble> told(TroubleKind kind) const {
    for (const DiskTrouble& trouble : judge.troubles()) {
      if (trouble.kind == kind) return trouble;
    }
    return std::nullopt;
  }

  DiskHealthCounts counts;
  DiskJudge judge;
  Instant now{};
};

TEST_F(DiskJudgeTest, OneThatIsWellIsNotSpokenOf) {
  for (int looks = 0; looks < 50; ++looks) {
    read(500, 25ms);
    look(20ms);
    ASSERT_TRUE(judge.troubles().empty()) << looks;
  }
}

TEST_F(DiskJudgeTest, AnErrorIsToldWithItsPlaceUntilNoneHasComeForLong) {
  counts.works[0].errors = 1;
  counts.last_fault = {.work = DiskWork::read, .error = EIO, .offset = {4096}};
  look();
  ASSERT_TRUE(told(TroubleKind::errors));
  const auto since = told(TroubleKind::errors)->since;
  EXPECT_EQ(told(TroubleKind::errors)->fault->offset.value, 4096U);
  for (unsigned looks = 1; looks < DiskJudge::calm_looks; ++looks) {
    look();
    ASSERT_TRUE(told(TroubleKind::errors)) << looks;
  }
  counts.works[0].errors = 9;
  counts.last_fault->offset = {8192};
  look();
  EXPECT_EQ(told(TroubleKind::errors)->fault->offset.value, 4096U)
      << "the same news, not told again";
  EXPECT_EQ(told(TroubleKind::errors)->since, since);
  for (unsigned looks = 1; looks < DiskJudge::calm_looks; ++looks) look();
  EXPECT_TRUE(told(TroubleKind::errors));
  look();
  EXPECT_TRUE(judge.troubles().empty());
  counts.works[0].errors = 10;
  look();
  EXPECT_EQ(told(TroubleKind::errors)->fault->offset.value, 8192U) << "news";
}

TEST_F(DiskJudgeTest, ALateAnswerIsATimeOutAndNoError) {
  counts.works[1].timeouts = 1;
  look();
  EXPECT_TRUE(told(TroubleKind::timeouts));
  EXPECT_FALSE(told(TroubleKind::errors));
  for (unsigned looks = 0; looks < DiskJudge::calm_looks; ++looks) look();
  EXPECT_TRUE(judge.troubles().empty());
}

TEST_F(DiskJudgeTest, SilenceIsOverWithTheFirstAnswer) {
  look();
  counts.works[0].begun += 1;
  const auto asked = now.since_start;
  for (int looks = 0; looks < 4; ++looks) look();
  ASSERT_TRUE(told(TroubleKind::silent));
  EXPECT_GE(told(TroubleKind::silent)->since, asked);
  EXPECT_LE(told(TroubleKind::silent)->since, asked + 10s);
  counts.works[0].latency.add(LatencyHistogram::step_of(45s), 1);
  look();
  EXPECT_TRUE(judge.troubles().empty());
}

TEST_F(DiskJudgeTest, AnOutlierIsOneThreeTimesRunningAndWellWhenItHasBeenForLong) {
  const auto slow_look = [this] {
    read(500, 200ms);
    look(20ms);
  };
  const auto fast_look = [this] {
    read(500, 20ms);
    look(20ms);
  };
  fast_look();
  slow_look();
  slow_look();
  fast_look();
  slow_look();
  slow_look();
  EXPECT_FALSE(told(TroubleKind::slow));
  slow_look();
  ASSERT_TRUE(told(TroubleKind::slow));
  ASSERT_TRUE(told(TroubleKind::slow)->outlier->peers);
  for (unsigned looks = 1; looks < DiskJudge::calm_looks; ++looks) fast_look();
  EXPECT_TRUE(told(TroubleKind::slow));
  slow_look();
  for (unsigned looks = 1; looks < DiskJudge::calm_looks; ++looks) fast_look();
  EXPECT_TRUE(told(TroubleKind::slow)) << "counted from the last slow look on";
  fast_look();
  EXPECT_FALSE(told(TroubleKind::slow));
}

TEST_F(DiskJudgeTest, OneThatIsSlowBecauseAllHaveMoreToDoIsNone) {
  for (int looks = 0; looks < 10; ++looks) {
    read(500, 10ms);
    look(10ms);
  }
  for (int looks = 0; looks < 10; ++looks) {
    read(500, 300ms);
    look(300ms);
    ASSERT_TRUE(judge.troubles().empty()) << looks;
  }
}

TEST_F(DiskJudgeTest, OneWithoutPeersMustBeTenTimesAsSlowAsItWas) {
  for (int looks = 0; looks < 10; ++looks) {
    read(500, 10ms);
    look();
  }
  for (int looks = 0; looks < 5; ++looks) {
    read(500, 70ms);
    look();
    ASSERT_TRUE(judge.troubles().empty()) << looks;
  }
  read(500, 2s);
  look();
  ASSERT_TRUE(told(TroubleKind::slow));
  EXPECT_TRUE(told(TroubleKind::slow)->outlier->past);
  EXPECT_FALSE(told(TroubleKind::slow)->outlier->peers);
  for (unsigned looks = 0; looks < 3 * DiskJudge::calm_looks; ++looks) {
    read(500, 1500ms);
    look();
    ASSERT_TRUE(told(TroubleKind::slow)) << "it has become its past, and is not well";
  }
  for (unsigned looks = 0; looks < DiskJudge::calm_looks; ++looks) {
    ASSERT_TRUE(told(TroubleKind::slow)) << looks;
    read(500, 70ms);
    look();
  }
  EXPECT_TRUE(judge.troubles().empty());
}

}  // namespace
}  // namespace engine
