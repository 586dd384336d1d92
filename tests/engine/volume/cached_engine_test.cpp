// The Engine with caches in front of its pools, over real files: what is joined, what survives,
// what is refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/cache/format_cache.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

constexpr Duration patience = std::chrono::seconds(120);
constexpr std::uint32_t block = 4096;

// In both granularities: pages of an ordinary file, and cache lines as tmpfs emulates them.
class CachedEngine : public testing::TestWithParam<const char*> {
 protected:
  CachedEngine() {
    ::setenv("PMEM2_FORCE_GRANULARITY", GetParam(), 1);
    fs::create_directory(directory + "/bulk");
    EXPECT_TRUE(init_file_pool(directory + "/bulk"));
    make_cache("pmem0");
  }
  ~CachedEngine() override {
    ::unsetenv("PMEM2_FORCE_GRANULARITY");
    fs::remove_all(directory);
  }

  std::string directory = [] {
    char path[] = "forebay-cached-engine-test-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    return std::string(path);
  }();

  [[nodiscard]] std::string cache_path(const std::string& name) const {
    return fs::absolute(directory + "/" + name).string();
  }
  Uuid make_cache(const std::string& name, ByteCount size = 32_MiB, bool crc = true) const {
    EXPECT_TRUE(create_pmem_file(cache_path(name), size));
    auto region = open_pmem_region(cache_path(name), {});
    EXPECT_TRUE(region);
    FormatOptions options;
    options.uuid = Uuid::random();
    options.payload_crc = crc;
    EXPECT_TRUE(format_cache(*region.value(), options));
    return options.uuid;
  }

  [[nodiscard]] PoolSpec pool() const {
    return {
        .name = "bulk", .kind = PoolSpec::Kind::file, .directory = directory + "/bulk", .uuid = {}};
  }
  [[nodiscard]] CacheSpec cache(const std::string& name = "pmem0") const {
    return {.name = name, .path = cache_path(name)};
  }
  static VolumeSpec cached(const std::string& name, ByteCount size,
                           const std::string& device = "pmem0") {
    return {.name = name,
            .pool = "bulk",
            .size = size,
            .block_size = {block},
            .cache = VolumeCacheSpec{.device = device}};
  }
  static VolumeSpec direct(const std::string& name, ByteCount size) {
    return {.name = name, .pool = "bulk", .size = size, .block_size = {block}};
  }

  // One run of a daemon; ends well, with its lanes gone before the engine.
  struct Life {
    Life(const CachedEngine& test, std::vector<VolumeSpec> volumes, std::vector<CacheSpec> caches)
        : engine(Engine::open({test.pool()}, std::move(volumes),
                              {.caches = std::move(caches), .memory = &budget})) {}
    ~Life() { EXPECT_TRUE(engine->stop(patience)); }

    IoStatus write(const std::string& name, std::uint64_t lba, std::uint64_t blocks, int value) {
      std::vector<std::byte> data(blocks * block, static_cast<std::byte>(value));
      return run(*engine->find(name), *lane, Kind::write, lba, blocks, data);
    }
    int read(const std::string& name, std::uint64_t lba) {
      std::vector<std::byte> data(block);
      const IoStatus status = run(*engine->find(name), *lane, Kind::read, lba, 1, data);
      if (status != IoStatus::ok) return -static_cast<int>(status);
      return std::to_integer<int>(data.back());
    }
    [[nodiscard]] VolumeCondition condition(const std::string& name) const {
      return engine->find(name)->condition();
    }

    MemoryBudget budget{64_MiB};
    std::unique_ptr<Engine> engine;
    std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());
  };
};

TEST_P(CachedEngine, ServesWhatWasWrittenAlsoInTheNextLife) {
  for (const int life : {1, 2, 3}) {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.condition("db01").reason;
    if (life == 1) {
      EXPECT_EQ(now.read("db01", 7), 0);
      EXPECT_EQ(now.write("db01", 7, 1, 0x42), IoStatus::ok);
      EXPECT_EQ(now.write("db01", 100, 256, 0x43), IoStatus::ok);
    }
    EXPECT_EQ(now.read("db01", 7), 0x42);
    EXPECT_EQ(now.read("db01", 355), 0x43);
    EXPECT_EQ(now.read("db01", 356), 0);
  }
}

TEST_P(CachedEngine, MoreThanTheCacheHoldsIsWrittenBackAndReadFromTheBacking) {
  const std::uint64_t blocks = (128_MiB).value / block;
  {
    Life now(*this, {cached("db01", 128_MiB)}, {cache()});
    for (std::uint64_t lba = 0; lba < blocks; lba += 64) {
      ASSERT_EQ(now.write("db01", lba, 64, static_cast<int>(lba / 64 % 251)), IoStatus::ok) << lba;
    }
    for (std::uint64_t lba = 0; lba < blocks; lba += 32) {
      ASSERT_EQ(now.read("db01", lba), static_cast<int>(lba / 64 % 251)) << lba;
    }
  }
  Life again(*this, {cached("db01", 128_MiB)}, {cache()});
  for (std::uint64_t lba = 0; lba < blocks; lba += 32) {
    ASSERT_EQ(again.read("db01", lba), static_cast<int>(lba / 64 % 251)) << lba;
  }
}

INSTANTIATE_TEST_SUITE_P(Granularities, CachedEngine, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
