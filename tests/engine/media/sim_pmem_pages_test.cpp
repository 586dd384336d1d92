// The simulated page-granular file loses what it may lose, and nothing else.
#include "tests/sim/sim_pmem_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace engine {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class SimPmemPagesTest : public testing::Test {
 protected:
  SimPmemPages pmem{64_KiB};

  Result<void, PmemError> write(std::uint64_t offset, std::string_view text) {
    const std::array writes{
        PmemRegion::PageWrite{.offset = {offset}, .bytes = std::as_bytes(std::span(text))}};
    auto written = pmem.write_pages(writes);
    pmem.check_invariants();
    return written;
  }
  static std::string byte_at(const PmemRegion& region, std::uint64_t offset) {
    const auto view = region.view({offset}, {1});
    if (!view) return "unreadable";
    const std::byte byte = view.value().front();
    return byte == std::byte{} ? "." : std::string(1, static_cast<char>(byte));
  }
  std::set<std::string> outcomes(std::vector<std::uint64_t> offsets, bool tear = false) {
    std::set<std::string> found;
    ExhaustiveChooser choose(tear);
    do {
      const auto after = pmem.crash(choose);
      std::string text;
      for (const std::uint64_t at : offsets) text += byte_at(*after, at);
      found.insert(text);
    } while (choose.next());
    return found;
  }
};

TEST_F(SimPmemPagesTest, UnsyncedPageIsThereOrNotInAnyOfItsVersions) {
  ASSERT_TRUE(write(0, "1"));
  ASSERT_TRUE(write(0, "2"));
  ASSERT_TRUE(write(4096, "x"));
  EXPECT_THAT(outcomes({0, 4096}), ElementsAre("..", ".x", "1.", "1x", "2.", "2x"));
}

TEST_F(SimPmemPagesTest, LaterPageMaySurviveWithoutAnEarlierOne) {
  ASSERT_TRUE(write(0, "a"));
  ASSERT_TRUE(write(8192, "b"));
  EXPECT_THAT(outcomes({0, 8192}), testing::Contains(".b"));
}

TEST_F(SimPmemPagesTest, SyncedPagesSurvive) {
  ASSERT_TRUE(write(0, "a"));
  ASSERT_TRUE(pmem.sync());
  ASSERT_TRUE(write(4096, "b"));
  EXPECT_THAT(outcomes({0, 4096}), ElementsAre("a.", "ab"));
}

TEST_F(SimPmemPagesTest, PageTearsAtSectors) {
  ASSERT_TRUE(write(0, std::string(1536, 'x')));
  EXPECT_THAT(outcomes({0, 511, 512, 1024}), ElementsAre("....", "xxxx"));
  const auto torn = outcomes({0, 511, 512, 1024}, true);
  EXPECT_THAT(torn, SizeIs(8));
  EXPECT_TRUE(torn.contains("xx.x"));
  EXPECT_FALSE(torn.contains("x.xx"));
}

TEST_F(SimPmemPagesTest, FailedSyncIsFinal) {
  ASSERT_TRUE(write(0, "a"));
  pmem.fail_next_sync();
  EXPECT_EQ(pmem.sync().error(), PmemError::sync_failed);
  EXPECT_TRUE(pmem.needs_reopen());
  EXPECT_EQ(pmem.sync().error(), PmemError::sync_failed);
  EXPECT_EQ(write(4096, "b").error(), PmemError::sync_failed);
  EXPECT_EQ(byte_at(pmem, 0), "a");  // reads go on
  EXPECT_THAT(outcomes({0}), ElementsAre(".", "a"));
}

TEST_F(SimPmemPagesTest, ReopenedFileSyncsOnlyWhatIsWrittenAnew) {
  ASSERT_TRUE(write(0, "a"));
  ASSERT_TRUE(write(4096, "b"));
  pmem.fail_next_sync();
  ASSERT_FALSE(pmem.sync());
  pmem.reopen();
  ASSERT_TRUE(write(4097, "c"));
  ASSERT_TRUE(pmem.sync());  // the kernel says so
  EXPECT_THAT(outcomes({0, 4096, 4097}), ElementsAre(".bc", "abc"));
}

TEST_F(SimPmemPagesTest, KilledProcessLeavesItsWritesToTheNextSync) {
  ASSERT_TRUE(write(0, "a"));
  pmem.reopen();
  EXPECT_THAT(outcomes({0}), ElementsAre(".", "a"));
  ASSERT_TRUE(pmem.sync());
  EXPECT_THAT(outcomes({0}), ElementsAre("a"));
}

TEST_F(SimPmemPagesTest, HealedPageIsUnreadableAgainIfItsOverwriteIsLost) {
  pmem.poison({4100}, {1});
  EXPECT_EQ(write(4096, "part").error(), PmemError::media_error);
  ASSERT_TRUE(write(4096, std::string(4096, 'x')));
  EXPECT_THAT(outcomes({4096}), ElementsAre("unreadable", "x"));
  ASSERT_TRUE(pmem.sync());
  EXPECT_THAT(outcomes({4096}), ElementsAre("x"));
}

TEST_F(SimPmemPagesTest, EveryWriteOfARoundIsAPersistPoint) {
  const std::array<std::byte, 1> byte{};
  const std::array writes{PmemRegion::PageWrite{.offset = {0}, .bytes = byte},
                          PmemRegion::PageWrite{.offset = {4096}, .bytes = byte}};
  std::vector<PersistPoint::Kind> points;
  pmem.on_persist_point([&points](PersistPoint point) { points.push_back(point.kind); });
  ASSERT_TRUE(pmem.write_pages(writes));
  ASSERT_TRUE(pmem.sync());
  using Kind = PersistPoint::Kind;
  EXPECT_THAT(points, ElementsAre(Kind::store, Kind::store, Kind::settle));
  EXPECT_EQ(pmem.counts(), (PmemCounts{.copies = 2, .bytes = 2, .fences = 1}));
}

TEST_F(SimPmemPagesTest, MutantWithoutSyncsLosesSyncedPages) {
  pmem.forget_sync(true);
  ASSERT_TRUE(write(0, "a"));
  ASSERT_TRUE(pmem.sync());
  EXPECT_THAT(outcomes({0}), ElementsAre(".", "a"));
}

}  // namespace
}  // namespace engine
