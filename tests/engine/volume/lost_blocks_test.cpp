// A block that only the cache had, and has lost: an error through restarts, write-back, and the
// cache's own end, until it is written.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "tests/engine/file_content.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using About = Finding::About;
using State = format::CacheBindingState;

constexpr int bad = -static_cast<int>(IoStatus::media_error);

class LostBlocks : public CachedEngine {
 protected:
  static constexpr std::uint64_t lba = 7;
  static constexpr int older = 0x41;   // on the image
  static constexpr int newest = 0x42;  // in the cache alone

  [[nodiscard]] VolumeSpec volume(Duration age = std::chrono::hours(1)) const {
    return cached("db01", 8_MiB, "pmem0", age);
  }
  void make_dirty() {
    {
      Life first(*this, {volume(soon)}, {cache()});
      ASSERT_EQ(first.write("db01", lba, 1, older), IoStatus::ok);
      first.wait_until_clean();
    }
    Life second(*this, {volume()}, {cache()});
    ASSERT_EQ(second.write("db01", lba, 1, newest), IoStatus::ok);
    ASSERT_EQ(second.write("db01", lba + 1, 1, 0x43), IoStatus::ok);
  }
  // Of the block's data in the cache, a byte.
  void rot() const {
    const std::string all = file_content(path_of("pmem0"));
    const std::size_t at = all.find(std::string(block, static_cast<char>(newest)));
    ASSERT_NE(at, std::string::npos);
    std::fstream file(path_of("pmem0"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at + 100));
    file.put('x');
  }
  static void give_up(const Life& now) {
    ASSERT_TRUE(now.wait_for([&now] {
      return contains(now.reason("db01"), "are not what was written");
    })) << now.reason("db01");
    EXPECT_EQ(now.condition("db01").state, VolumeState::degraded);
    std::promise<Result<void, std::string>> promise;
    now.engine->give_up_lost("db01", [&promise](auto done) { promise.set_value(std::move(done)); });
    const auto given_up = promise.get_future().get();
    ASSERT_TRUE(given_up) << given_up.error();
    ASSERT_TRUE(now.wait_for([&now] {
      return now.condition("db01").state == VolumeState::online &&
             now.engine->caches()[0].dirty == ByteCount{};
    })) << now.reason("db01");
    EXPECT_TRUE(contains(now.finding(About::volume, "db01"), "4096 bytes are lost"))
        << now.finding(About::volume, "db01");
  }
};

TEST_P(LostBlocks, StaysAnErrorWithoutItsCacheUntilItIsWritten) {
  make_dirty();
  rot();
  {
    Life now(*this, {volume()}, {cache()});
    EXPECT_EQ(now.read("db01", lba), bad);
    EXPECT_EQ(now.read("db01", lba + 1), 0x43);
    EXPECT_TRUE(now.wait_for([&now] { return now.engine->caches()[0].lost_reads == 1; }));
    EXPECT_EQ(now.engine->losses_of("db01").reads, 1U);
    EXPECT_TRUE(now.engine->losses_of("db01").ranges.empty()) << "nobody has given it up";
    std::promise<Result<void, std::string>> promise;
    now.engine->give_up_lost("db01", [&promise](auto done) { promise.set_value(std::move(done)); });
    EXPECT_FALSE(promise.get_future().get()) << "nothing has stopped write-back yet";
  }
  {
    Life now(*this, {volume(soon)}, {cache()});
    give_up(now);
    EXPECT_EQ(now.read("db01", lba), bad);
    EXPECT_EQ(now.read("db01", lba - 1), 0);
    EXPECT_EQ(now.read("db01", lba + 1), 0x43);
  }
  ASSERT_EQ(binding("db01").state, State::clean);
  std::filesystem::remove(path_of("pmem0"));
  for (const int life : {1, 2}) {
    Life now(*this, {direct("db01", 8_MiB)}, {});
    EXPECT_EQ(now.read("db01", lba), life == 1 ? bad : 0x44) << "never what was there before";
    EXPECT_EQ(now.read("db01", lba + 1), 0x43);
    if (life == 2) continue;
    EXPECT_TRUE(contains(now.finding(About::volume, "db01"), "sectors of 512 bytes: 56 to 63"));
    const LossStatus lost = now.engine->losses_of("db01");
    ASSERT_EQ(lost.ranges.all().size(), 1U);
    EXPECT_EQ(lost.ranges.all()[0], (LostRange{.begin = {56}, .count = {8}}));
    EXPECT_EQ(lost.reads, 1U);
    EXPECT_EQ(now.write("db01", lba, 1, 0x44), IoStatus::ok);
    EXPECT_EQ(now.read("db01", lba), 0x44);
    EXPECT_TRUE(now.engine->losses_of("db01").ranges.empty());
    EXPECT_EQ(now.finding(About::volume, "db01"), "");
  }
}

TEST_P(LostBlocks, IsGoodAgainWhenTheCacheHasWrittenItAnew) {
  make_dirty();
  rot();
  {
    Life now(*this, {volume(soon)}, {cache()});
    give_up(now);
    ASSERT_EQ(now.write("db01", lba, 1, 0x45), IoStatus::ok);
    EXPECT_EQ(now.read("db01", lba), 0x45);
    now.wait_until_clean();
    EXPECT_EQ(now.finding(About::volume, "db01"), "");
    EXPECT_EQ(now.read("db01", lba), 0x45);
  }
  Life now(*this, {direct("db01", 8_MiB)}, {});
  EXPECT_EQ(now.read("db01", lba), 0x45);
}

// As a host wants it, whoever has it: cache, image or both.
TEST_P(LostBlocks, IsLostBecauseAHostWantsItSo) {
  make_dirty();
  const auto lose = [](Life& now, std::uint64_t at, std::uint64_t blocks) {
    return run(*now.engine->find("db01"), *now.lane, VolumeIo::Kind::lose, at, blocks);
  };
  {
    Life now(*this, {volume()}, {cache()});
    ASSERT_EQ(now.write("db01", lba + 4, 1, 0x50), IoStatus::ok);
    EXPECT_EQ(lose(now, lba, 1), IoStatus::ok);
    EXPECT_EQ(lose(now, lba + 8, 2), IoStatus::ok) << "what only the image has";
    EXPECT_EQ(now.read("db01", lba), bad);
    EXPECT_EQ(now.read("db01", lba + 9), bad);
    EXPECT_EQ(now.read("db01", lba + 1), 0x43);
    EXPECT_EQ(now.read("db01", lba + 4), 0x50);
    const std::vector<engine::LostBlocks> lost{{{lba}, {1}}, {{lba + 8}, {2}}};
    EXPECT_EQ(now.engine->find("db01")->lost_blocks(), lost);
    EXPECT_EQ(now.condition("db01").state, VolumeState::online);
    ASSERT_EQ(now.write("db01", lba + 8, 1, 0x51), IoStatus::ok);
    EXPECT_EQ(now.read("db01", lba + 8), 0x51);
  }
  {
    Life now(*this, {volume(soon)}, {cache()});
    EXPECT_EQ(now.read("db01", lba), bad);
    EXPECT_EQ(now.read("db01", lba + 8), 0x51);
    EXPECT_EQ(now.read("db01", lba + 9), bad);
    now.wait_until_clean();
    EXPECT_EQ(now.read("db01", lba), bad) << "nothing is written back over it";
  }
  std::filesystem::remove(path_of("pmem0"));
  Life now(*this, {direct("db01", 8_MiB)}, {});
  EXPECT_EQ(now.read("db01", lba), bad);
  EXPECT_EQ(now.read("db01", lba + 1), 0x43);
  EXPECT_EQ(now.read("db01", lba + 8), 0x51);
  EXPECT_EQ(now.read("db01", lba + 9), bad);
  EXPECT_EQ(lose(now, lba + 1, 1), IoStatus::ok) << "without a cache";
  EXPECT_EQ(now.read("db01", lba + 1), bad);
  ASSERT_EQ(now.write("db01", lba, 2, 0x52), IoStatus::ok);
  EXPECT_EQ(now.read("db01", lba), 0x52);
  EXPECT_EQ(now.read("db01", lba + 1), 0x52);
  ASSERT_EQ(now.write("db01", lba + 9, 1, 0x53), IoStatus::ok);
  for (std::uint64_t at = 0; at < LostRanges::most_by_hosts; ++at) {
    EXPECT_EQ(lose(now, 100 + 2 * at, 1), IoStatus::ok);
  }
  EXPECT_EQ(lose(now, 200, 1), IoStatus::capacity_exceeded);
  EXPECT_EQ(now.read("db01", 200), 0);
}

INSTANTIATE_TEST_SUITE_P(Granularities, LostBlocks, testing::Values("PAGE", "CACHE_LINE"));

}  // namespace
}  // namespace engine
