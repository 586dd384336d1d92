// The Engine over real directories: what is late, what comes back, what keeps its identity.
#include "engine/volume/engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

struct EngineTest : testing::Test {
  std::string directory = [] {
    char path[] = "forebay-engine-test-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    return std::string(path);
  }();
  ~EngineTest() override { fs::remove_all(directory); }
  MemoryBudget budget{64_MiB};
  std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());

  [[nodiscard]] std::string make_pool(const std::string& name) const {
    fs::create_directory(directory + "/" + name);
    EXPECT_TRUE(init_file_pool(directory + "/" + name));
    return directory + "/" + name;
  }
  [[nodiscard]] PoolSpec pool(const std::string& name) const {
    return {.name = name,
            .kind = PoolSpec::Kind::file,
            .directory = directory + "/" + name,
            .uuid = {}};
  }
  static VolumeSpec volume(const std::string& name, const std::string& pool, ByteCount size,
                           std::uint32_t block = 4096) {
    return {.name = name, .pool = pool, .size = size, .block_size = {block}};
  }
  [[nodiscard]] EngineOptions remembering() const {
    return {.known_volumes_file = directory + "/known-volumes"};
  }
  void write(Volume& to, std::uint64_t lba, int value) {
    std::vector<std::byte> data(to.identity().block_size.bytes, static_cast<std::byte>(value));
    ASSERT_EQ(run(to, *lane, Kind::write, lba, 1, data), IoStatus::ok);
  }
  int read(Volume& from, std::uint64_t lba) {
    std::vector<std::byte> data(from.identity().block_size.bytes);
    EXPECT_EQ(run(from, *lane, Kind::read, lba, 1, data), IoStatus::ok);
    return std::to_integer<int>(data.front());
  }
};

TEST_F(EngineTest, DataAndIdentitySurviveARestart) {
  (void)make_pool("bulk");
  Uuid uuid;
  for (const int life : {1, 2, 3}) {
    auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB, 512)});
    Volume& db01 = *engine->find("db01");
    ASSERT_EQ(db01.state(), VolumeState::online) << db01.state_reason();
    EXPECT_EQ(db01.size(), BlockCount{2048});
    EXPECT_EQ(db01.state_reason(), "");
    if (life == 1) {
      uuid = db01.identity().uuid;
      write(db01, 7, 0x42);
    }
    EXPECT_EQ(db01.identity().uuid, uuid);
    EXPECT_EQ(read(db01, 7), 0x42);
  }
}

TEST_F(EngineTest, LatePoolLeavesItsVolumesLateWithReasonAndOthersOnline) {
  (void)make_pool("good");
  fs::create_directory(directory + "/bare");
  auto engine = Engine::open({pool("good"), pool("bare"), pool("gone")},
                             {volume("a", "good", 1_MiB), volume("b", "bare", 2_MiB),
                              volume("c", "gone", 4_MiB, 512), volume("d", "nopool", 1_MiB)});
  EXPECT_EQ(engine->find("a")->state(), VolumeState::online);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::late);
  EXPECT_NE(engine->find("b")->state_reason().find("is the file system mounted?"),
            std::string::npos);
  EXPECT_EQ(engine->find("b")->size(), BlockCount{512});
  EXPECT_EQ(engine->find("c")->state(), VolumeState::late);
  EXPECT_EQ(engine->find("c")->size(), BlockCount{8192});
  EXPECT_EQ(engine->find("d")->state_reason(), "pool nopool is not configured");
  EXPECT_EQ(engine->find("x"), nullptr);
  EXPECT_TRUE(fs::is_empty(directory + "/bare")) << "a missing mount never becomes a new volume";
  EXPECT_FALSE(engine->retry_late());

  const auto pools = engine->pools();
  ASSERT_EQ(pools.size(), 3U);
  EXPECT_TRUE(pools[0].open);
  EXPECT_FALSE(pools[0].uuid.is_nil());
  EXPECT_GT(pools[0].size, pools[0].free);
  EXPECT_FALSE(pools[1].open);
  EXPECT_NE(pools[1].reason.find("no Forebay label"), std::string::npos);
  EXPECT_NE(pools[2].reason.find("does not exist"), std::string::npos);

  ASSERT_TRUE(init_file_pool(directory + "/bare"));
  EXPECT_TRUE(engine->retry_late());
  EXPECT_EQ(engine->find("b")->state(), VolumeState::online);
  write(*engine->find("b"), 0, 1);
  EXPECT_TRUE(engine->pools()[1].open);
}

TEST_F(EngineTest, LateVolumeOfARememberedPoolHasItsIdentityAndTrueSize) {
  (void)make_pool("bulk");
  Uuid uuid;
  {
    auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
    uuid = engine->find("db01")->identity().uuid;
    ASSERT_TRUE(engine->grow("db01", 2_MiB));
  }
  fs::rename(directory + "/bulk", directory + "/away");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
  Volume& db01 = *engine->find("db01");
  EXPECT_EQ(db01.state(), VolumeState::late);
  EXPECT_EQ(db01.identity().uuid, uuid);
  EXPECT_EQ(db01.size(), BlockCount{512}) << "as it is, not as it is configured";
  fs::rename(directory + "/away", directory + "/bulk");
  (void)engine->retry_late();
  EXPECT_EQ(db01.state(), VolumeState::refused) << "the configuration asks it to shrink";
  EXPECT_EQ(db01.state_reason().find("1MiB is smaller than the existing 2MiB"), 0U)
      << db01.state_reason();
  EXPECT_EQ(db01.identity().uuid, uuid);
}

// No waiting helps: it is told once, shown with its identity, and not tried again.
TEST_F(EngineTest, VolumeThatCannotBeAsConfiguredIsRefused) {
  const std::string path = make_pool("bulk");
  {
    auto engine =
        Engine::open({pool("bulk")}, {volume("a", "bulk", 2_MiB), volume("b", "bulk", 1_MiB)});
    write(*engine->find("a"), 511, 7);
  }
  const std::vector<PoolSpec> pools{pool("bulk")};
  const std::vector<VolumeSpec> volumes{volume("a", "bulk", 1_MiB), volume("b", "bulk", 1_MiB, 512),
                                        volume("c", "bulk", 1_MiB)};
  auto engine = Engine::open(pools, volumes);
  EXPECT_EQ(engine->find("a")->state(), VolumeState::refused);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::refused);
  EXPECT_EQ(engine->find("c")->state(), VolumeState::online);
  const auto findings = engine->findings();
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].about, Finding::About::volume_size);
  EXPECT_EQ(findings[0].name, "a");
  EXPECT_EQ(findings[0].text.find("1MiB is smaller than the existing 2MiB"), 0U)
      << findings[0].text;
  EXPECT_EQ(findings[1].about, Finding::About::volume_block_size);
  EXPECT_EQ(findings[1].text.find("512 is not the existing 4096"), 0U) << findings[1].text;

  VolumeIo read{.kind = Kind::read, .lba = {0}, .blocks = {1}};
  EXPECT_EQ(run(*engine->find("a"), *lane, read), IoStatus::unavailable);
  fs::remove(path + "/a.raw");  // who tries again would notice
  const auto changes = engine->find("a")->changes();
  EXPECT_FALSE(engine->retry_late());
  EXPECT_EQ(engine->find("a")->changes(), changes);
  EXPECT_EQ(engine->findings()[0].text, findings[0].text);
}

TEST_F(EngineTest, InspectingTellsTheSameAndTouchesNothing) {
  const std::string path = make_pool("bulk");
  fs::create_directory(directory + "/bare");
  { auto engine = Engine::open({pool("bulk")}, {volume("a", "bulk", 2_MiB)}); }
  fs::remove(path + "/forebay-pool.volumes.0");  // opening would repair it
  PoolSpec named = pool("bulk");
  named.name = "named";
  named.uuid = Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  PoolSpec bare = pool("bare");
  bare.uuid = named.uuid;
  const auto findings = Engine::inspect(
      {pool("bulk"), bare, named},
      {volume("a", "bulk", 1_MiB), volume("new", "bulk", 1_MiB), volume("b", "bare", 1_MiB)});
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].about, Finding::About::volume_size);
  EXPECT_EQ(findings[1].about, Finding::About::pool_directory);
  EXPECT_NE(findings[1].text.find("no Forebay label in " + bare.directory + " (expected pool 6f0c"),
            std::string::npos)
      << findings[1].text;
  EXPECT_EQ(findings[2].about, Finding::About::pool_uuid);
  EXPECT_NE(findings[2].text.find(", expected 6f0c7f9e"), std::string::npos) << findings[2].text;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.insert(entry.path().filename());
  EXPECT_EQ(names.count("forebay-pool.volumes.0"), 0U);
  EXPECT_EQ(names.count("new.raw"), 0U);
  EXPECT_TRUE(fs::is_empty(bare.directory));
}

TEST_F(EngineTest, WhatCannotBeRememberedIsTold) {
  (void)make_pool("bulk");
  const std::string away = directory + "/nowhere/known-volumes";
  auto engine =
      Engine::open({pool("bulk")}, {volume("a", "bulk", 1_MiB)}, {.known_volumes_file = away});
  const auto findings = engine->findings();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].about, Finding::About::known_volumes);
  EXPECT_NE(findings[0].text.find(away + " cannot be written"), std::string::npos);
  fs::create_directory(directory + "/nowhere");
  (void)engine->retry_late();
  EXPECT_TRUE(engine->findings().empty());
  EXPECT_TRUE(fs::exists(away));
}

TEST_F(EngineTest, DamagedMemoryOfVolumesIsAsGoodAsNone) {
  (void)make_pool("bulk");
  std::ofstream(remembering().known_volumes_file) << "garbage";
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
  EXPECT_EQ(engine->find("db01")->state(), VolumeState::online);
}

TEST_F(EngineTest, AnotherPoolInItsPlaceNeverMakesAKnownVolumeAnew) {
  (void)make_pool("bulk");
  Uuid shown;
  {
    auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
    shown = engine->find("db01")->identity().uuid;
  }
  fs::rename(directory + "/bulk", directory + "/away");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
  const std::string path = make_pool("bulk");  // another, empty pool
  for (const bool restarted : {false, true}) {
    if (restarted) {
      engine.reset();
      engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
    } else {
      (void)engine->retry_late();
    }
    Volume& db01 = *engine->find("db01");
    EXPECT_EQ(db01.state(), VolumeState::late);
    EXPECT_EQ(db01.identity().uuid, shown);
    EXPECT_NE(db01.state_reason().find(shown.text()), std::string::npos);
    EXPECT_NE(db01.state_reason().find("known-volumes is removed"), std::string::npos);
    EXPECT_FALSE(fs::exists(path + "/db01.raw"));
  }
  engine.reset();
  fs::remove(remembering().known_volumes_file);
  engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
  EXPECT_EQ(engine->find("db01")->state(), VolumeState::online);
  EXPECT_NE(engine->find("db01")->identity().uuid, shown);
}

TEST_F(EngineTest, MissingImageKeepsOnlyItsVolumeDown) {
  const std::string path = make_pool("bulk");
  Uuid uuid;
  {
    auto engine =
        Engine::open({pool("bulk")}, {volume("a", "bulk", 1_MiB), volume("b", "bulk", 1_MiB)});
    uuid = engine->find("a")->identity().uuid;
  }
  fs::rename(path + "/a.raw", path + "/a.elsewhere");
  auto engine =
      Engine::open({pool("bulk")}, {volume("a", "bulk", 1_MiB), volume("b", "bulk", 1_MiB)});
  EXPECT_EQ(engine->find("a")->state(), VolumeState::late);
  EXPECT_EQ(engine->find("a")->identity().uuid, uuid) << "the table knows it";
  EXPECT_NE(engine->find("a")->state_reason().find("a.raw is missing"), std::string::npos);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::online);
  fs::rename(path + "/a.elsewhere", path + "/a.raw");
  EXPECT_TRUE(engine->retry_late());
  EXPECT_EQ(engine->find("a")->state(), VolumeState::online);
}

TEST_F(EngineTest, GrowsOnlineAndRefusesInOneSentence) {
  (void)make_pool("bulk");
  auto engine = Engine::open(
      {pool("bulk"), {.name = "ram", .kind = PoolSpec::Kind::memory, .directory = {}, .uuid = {}}},
      {volume("file", "bulk", 1_MiB), volume("memory", "ram", 1_MiB)});
  for (const char* name : {"file", "memory"}) {
    Volume& grown = *engine->find(name);
    ASSERT_EQ(grown.state(), VolumeState::online);
    const auto before = grown.changes();
    write(grown, 255, 9);
    ASSERT_TRUE(engine->grow(name, 2_MiB));
    EXPECT_EQ(grown.size(), BlockCount{512});
    EXPECT_EQ(grown.changes(), before + 1);
    EXPECT_EQ(read(grown, 255), 9);
    EXPECT_EQ(read(grown, 256), 0);
    write(grown, 511, 8);
    const auto shrunk = engine->grow(name, 1_MiB);
    ASSERT_FALSE(shrunk);
    EXPECT_NE(shrunk.error().find("1MiB is smaller than the existing 2MiB; shrinking is refused."),
              std::string::npos);
    EXPECT_FALSE(engine->grow(name, {(2 << 20) + 512}));
    EXPECT_EQ(grown.size(), BlockCount{512});
  }
  EXPECT_FALSE(engine->grow("nobody", 2_MiB));
}

TEST_F(EngineTest, ConfigurationThatAsksForMoreGrowsAtStart) {
  (void)make_pool("bulk");
  { auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}); }
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 3_MiB)});
  EXPECT_EQ(engine->find("db01")->size(), BlockCount{768});
  write(*engine->find("db01"), 767, 1);
}

TEST_F(EngineTest, SecondEngineOnThePoolIsLateUntilTheFirstEnds) {
  (void)make_pool("bulk");
  auto first = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)});
  auto second = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)});
  EXPECT_EQ(second->find("db01")->state(), VolumeState::late);
  EXPECT_NE(second->find("db01")->state_reason().find("(pid " + std::to_string(getpid()) + ")"),
            std::string::npos);
  first.reset();
  EXPECT_TRUE(second->retry_late());
  EXPECT_EQ(second->find("db01")->state(), VolumeState::online);
}

// What a dying disk does, without one: the volume is told to have failed, then the pool is looked
// at afresh.
TEST_F(EngineTest, FailedVolumeComesBackOnlyWithItsOwnPool) {
  const std::string path = make_pool("bulk");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)});
  auto& db01 = dynamic_cast<BackedVolume&>(*engine->find("db01"));
  write(db01, 3, 7);
  db01.fail("the disk reported an error");
  fs::rename(path, directory + "/unmounted");
  fs::create_directory(path);
  EXPECT_FALSE(engine->retry_late());
  EXPECT_EQ(db01.state(), VolumeState::failed);
  EXPECT_NE(db01.state_reason().find("is the file system mounted?"), std::string::npos);
  EXPECT_EQ(read(db01, 3), 7) << "reads still work";
  EXPECT_TRUE(fs::is_empty(path));
  fs::remove(path);
  fs::rename(directory + "/unmounted", path);
  EXPECT_TRUE(engine->retry_late());
  EXPECT_EQ(db01.state(), VolumeState::online);
  EXPECT_EQ(read(db01, 3), 7);
  write(db01, 3, 8);
}

TEST_F(EngineTest, MemoryPoolIsNewEachTimeAndSaysSo) {
  const PoolSpec ram{.name = "ram", .kind = PoolSpec::Kind::memory, .directory = {}, .uuid = {}};
  Uuid uuid;
  for (const int life : {1, 2}) {
    auto engine = Engine::open({ram}, {volume("m", "ram", {std::uint64_t{1} << 40}, 512)});
    Volume& memory = *engine->find("m");
    EXPECT_EQ(read(memory, 5), 0);
    write(memory, 5, 1);
    EXPECT_NE(memory.identity().uuid, uuid) << life;
    uuid = memory.identity().uuid;
    EXPECT_TRUE(engine->pools()[0].open);
    EXPECT_NE(engine->pools()[0].note.find("gone when the daemon stops"), std::string::npos);
  }
}

TEST_F(EngineTest, ThousandVolumesOpenInMuchLessThanThreeSeconds) {
  (void)make_pool("bulk");
  std::vector<VolumeSpec> specs;
  for (int at = 0; at < 1000; ++at)
    specs.push_back(volume("v" + std::to_string(at), "bulk", {65536}));
  { auto engine = Engine::open({pool("bulk")}, specs); }
  const auto start = std::chrono::steady_clock::now();
  auto engine = Engine::open({pool("bulk")}, specs);
  const auto took = std::chrono::steady_clock::now() - start;
  std::set<Uuid> uuids;
  for (const Volume* one : engine->volumes()) {
    ASSERT_EQ(one->state(), VolumeState::online) << one->state_reason();
    uuids.insert(one->identity().uuid);
  }
  EXPECT_EQ(uuids.size(), 1000U);
  // A sanitizer takes its time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int slowness = 10;
#else
  constexpr int slowness = 1;
#endif
  EXPECT_LT(took, std::chrono::seconds(3) * slowness);
  RecordProperty(
      "open_ms",
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
}

}  // namespace
}  // namespace engine
