// The Engine over real directories: what is late, what comes back, what keeps its identity.
#include "engine/volume/engine.h"
#include "engine/volume/cached_volume.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/retry_pace.h"
#include "tests/engine/test_directory.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

// Generous: it only ends a test that would hang.
constexpr Duration patience = std::chrono::seconds(120);

struct EngineTest : testing::Test {
  const TestDirectory place{"engine-test"};
  const std::string directory = place.path();
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
  // Tries what is late or failed, to the end; true if any volume has changed.
  static bool retry(Engine& engine) {
    const auto changes = [&engine] {
      std::uint64_t sum = 0;
      for (const Volume* one : engine.volumes()) sum += one->changes();
      return sum;
    };
    const auto before = changes();
    engine.retry_now();
    EXPECT_TRUE(engine.settle(patience));
    return changes() != before;
  }
  static Result<void, std::string> grow(Engine& engine, const std::string& name, ByteCount size) {
    std::promise<Result<void, std::string>> promise;
    engine.grow(name, size, [&promise](auto result) { promise.set_value(std::move(result)); });
    auto grown = promise.get_future();
    if (grown.wait_for(patience) != std::future_status::ready) return std::string("it hangs");
    return grown.get();
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
    ASSERT_EQ(db01.state(), VolumeState::online) << db01.condition().reason;
    EXPECT_EQ(db01.size(), BlockCount{2048});
    EXPECT_EQ(db01.condition().reason, "");
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
  EXPECT_NE(engine->find("b")->condition().reason.find("is the file system mounted?"),
            std::string::npos);
  EXPECT_EQ(engine->find("b")->size(), BlockCount{512});
  EXPECT_EQ(engine->find("c")->state(), VolumeState::late);
  EXPECT_EQ(engine->find("c")->size(), BlockCount{8192});
  EXPECT_EQ(engine->find("d")->condition().reason, "pool nopool is not configured");
  EXPECT_EQ(engine->find("x"), nullptr);
  EXPECT_TRUE(fs::is_empty(directory + "/bare")) << "a missing mount never becomes a new volume";
  EXPECT_FALSE(retry(*engine));

  const auto pools = engine->pools();
  ASSERT_EQ(pools.size(), 3U);
  EXPECT_TRUE(pools[0].open);
  EXPECT_FALSE(pools[0].uuid.is_nil());
  EXPECT_GT(pools[0].size, pools[0].free);
  EXPECT_FALSE(pools[1].open);
  EXPECT_NE(pools[1].reason.find("no Forebay label"), std::string::npos);
  EXPECT_NE(pools[2].reason.find("does not exist"), std::string::npos);

  ASSERT_TRUE(init_file_pool(directory + "/bare"));
  EXPECT_TRUE(retry(*engine));
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
    ASSERT_TRUE(grow(*engine, "db01", 2_MiB));
  }
  fs::rename(directory + "/bulk", directory + "/away");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}, remembering());
  Volume& db01 = *engine->find("db01");
  EXPECT_EQ(db01.state(), VolumeState::late);
  EXPECT_EQ(db01.identity().uuid, uuid);
  EXPECT_EQ(db01.size(), BlockCount{512}) << "as it is, not as it is configured";
  fs::rename(directory + "/away", directory + "/bulk");
  (void)retry(*engine);
  EXPECT_EQ(db01.state(), VolumeState::online) << "served as it is, not as it is configured";
  EXPECT_EQ(db01.size(), BlockCount{512});
  EXPECT_NE(db01.condition().promise.note.find(
                "the configured 1MiB is smaller than the existing 2MiB, which is "
                "served; shrinking is refused."),
            std::string::npos)
      << db01.condition().promise.note;
  EXPECT_NE(db01.condition().promise.note.find("Write size: 2MiB"), std::string::npos)
      << db01.condition().promise.note;
}

// After an online grow the configuration may lag behind, and that is told; less than it said then
// is a wish to shrink.
TEST_F(EngineTest, ConfigurationMayLagBehindAGrowButNotAskForLess) {
  (void)make_pool("bulk");
  {
    auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 2_MiB)}, remembering());
    ASSERT_TRUE(grow(*engine, "db01", 3_MiB));
    ASSERT_TRUE(grow(*engine, "db01", 4_MiB));
    const auto findings = engine->findings();
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].about, Finding::About::volume_size);
    EXPECT_EQ(findings[0].text.find("the configured 2MiB is smaller than the existing 4MiB, which"),
              0U)
        << findings[0].text;
  }
  for (const ByteCount configured : {2_MiB, 3_MiB, 1_MiB, 4_MiB, 5_MiB}) {
    SCOPED_TRACE(size_text(configured));
    const auto inspected = Engine::inspect({pool("bulk")}, {volume("db01", "bulk", configured)});
    auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", configured)}, remembering());
    const Volume& db01 = *engine->find("db01");
    EXPECT_EQ(db01.state(), configured < 2_MiB ? VolumeState::refused : VolumeState::online);
    EXPECT_EQ(db01.size() * db01.identity().block_size, std::max(configured, 4_MiB));
    const auto findings = engine->findings();
    ASSERT_EQ(findings.size(), configured < 4_MiB ? 1U : 0U);
    ASSERT_EQ(inspected.size(), findings.size());
    if (findings.empty()) continue;
    EXPECT_EQ(findings[0].about, Finding::About::volume_size);
    EXPECT_EQ(findings[0].text, inspected[0].text);
  }
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 4_MiB)}, remembering());
  EXPECT_EQ(engine->find("db01")->state(), VolumeState::refused) << "5MiB was the configuration's";
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
  EXPECT_FALSE(retry(*engine));
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
  (void)retry(*engine);
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
      (void)retry(*engine);
    }
    Volume& db01 = *engine->find("db01");
    EXPECT_EQ(db01.state(), VolumeState::late);
    EXPECT_EQ(db01.identity().uuid, shown);
    EXPECT_NE(db01.condition().reason.find(shown.text()), std::string::npos);
    EXPECT_NE(db01.condition().reason.find("known-volumes is removed"), std::string::npos);
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
  EXPECT_NE(engine->find("a")->condition().reason.find("a.raw is missing"), std::string::npos);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::online);
  fs::rename(path + "/a.elsewhere", path + "/a.raw");
  EXPECT_TRUE(retry(*engine));
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
    ASSERT_TRUE(grow(*engine, name, 2_MiB));
    EXPECT_EQ(grown.size(), BlockCount{512});
    EXPECT_EQ(grown.changes(), before + 1);
    EXPECT_EQ(read(grown, 255), 9);
    EXPECT_EQ(read(grown, 256), 0);
    write(grown, 511, 8);
    const auto shrunk = grow(*engine, name, 1_MiB);
    ASSERT_FALSE(shrunk);
    EXPECT_NE(shrunk.error().find("1MiB is smaller than the existing 2MiB; shrinking is refused."),
              std::string::npos);
    EXPECT_FALSE(grow(*engine, name, {(2 << 20) + 512}));
    EXPECT_EQ(grown.size(), BlockCount{512});
  }
  EXPECT_FALSE(grow(*engine, "nobody", 2_MiB));
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
  EXPECT_NE(second->find("db01")->condition().reason.find("(pid " + std::to_string(getpid()) + ")"),
            std::string::npos);
  first.reset();
  EXPECT_TRUE(retry(*second));
  EXPECT_EQ(second->find("db01")->state(), VolumeState::online);
}

// What a dying disk does, without one: the volume is told to have failed, then the pool is looked
// at afresh.
TEST_F(EngineTest, FailedVolumeComesBackOnlyWithItsOwnPool) {
  const std::string path = make_pool("bulk");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)});
  auto& db01 = dynamic_cast<CachedVolume&>(*engine->find("db01")).backed();
  write(db01, 3, 7);
  fs::rename(path, directory + "/unmounted");
  fs::create_directory(path);
  db01.fail("the disk reported an error");
  EXPECT_FALSE(retry(*engine));
  EXPECT_EQ(db01.state(), VolumeState::failed);
  EXPECT_NE(db01.condition().reason.find("is the file system mounted?"), std::string::npos);
  EXPECT_EQ(read(db01, 3), 7) << "reads still work";
  EXPECT_TRUE(fs::is_empty(path));
  fs::remove(path);
  fs::rename(directory + "/unmounted", path);
  EXPECT_TRUE(retry(*engine));
  EXPECT_EQ(db01.state(), VolumeState::online);
  EXPECT_EQ(read(db01, 3), 7);
  write(db01, 3, 8);
}

TEST_F(EngineTest, FailedVolumeIsReopenedWithoutBeingAsked) {
  (void)make_pool("bulk");
  auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)});
  auto& db01 = dynamic_cast<CachedVolume&>(*engine->find("db01")).backed();
  const auto before = db01.changes();
  const auto begin = std::chrono::steady_clock::now();
  db01.fail("the disk reported an error");
  ASSERT_TRUE(engine->settle(patience));
  EXPECT_EQ(db01.changes(), before + 2) << "failed and online again";
  EXPECT_EQ(db01.state(), VolumeState::online);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, RetryPace::shortest) << "at once";
}

// The pool's other volumes are served all the while: nobody else may open them.
TEST_F(EngineTest, PoolStaysLockedWhileAFailedVolumeCannotBeReopened) {
  const std::string path = make_pool("bulk");
  auto engine =
      Engine::open({pool("bulk")}, {volume("a", "bulk", 1_MiB), volume("b", "bulk", 1_MiB)});
  fs::rename(path + "/forebay-pool.label", path + "/hidden");
  dynamic_cast<CachedVolume&>(*engine->find("a")).backed().fail("the disk reported an error");
  (void)retry(*engine);
  EXPECT_EQ(engine->find("a")->state(), VolumeState::failed);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::online);
  EXPECT_FALSE(engine->pools()[0].open);
  fs::rename(path + "/hidden", path + "/forebay-pool.label");
  auto second = Engine::open({pool("bulk")}, {volume("b", "bulk", 1_MiB)});
  EXPECT_EQ(second->find("b")->state(), VolumeState::late);
  EXPECT_NE(second->pools()[0].reason.find("is served by another process"), std::string::npos)
      << second->pools()[0].reason;
  second.reset();
  (void)retry(*engine);
  EXPECT_EQ(engine->find("a")->state(), VolumeState::online) << "its own lock is not in its way";
  write(*engine->find("a"), 0, 1);
  write(*engine->find("b"), 0, 1);
  second = Engine::open({pool("bulk")}, {volume("b", "bulk", 1_MiB)});
  EXPECT_EQ(second->find("b")->state(), VolumeState::late) << "the lock has been handed on";
}

// The lock of an image outlives a killed daemon as long as the kernel has I/O of it
// (file_device_test.cpp); here somebody else's descriptor stands for that.
TEST_F(EngineTest, VolumeIsLateWhileAnEarlierDaemonsWritesMayStillLand) {
  const std::string path = make_pool("bulk");
  { auto engine = Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB)}); }
  const int earlier = ::open((path + "/db01.raw").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(earlier, LOCK_EX | LOCK_NB), 0);
  auto engine =
      Engine::open({pool("bulk")}, {volume("db01", "bulk", 1_MiB), volume("new", "bulk", 1_MiB)});
  const Volume& db01 = *engine->find("db01");
  EXPECT_EQ(db01.state(), VolumeState::late);
  EXPECT_FALSE(db01.identity().uuid.is_nil());
  EXPECT_NE(db01.condition().reason.find("an earlier daemon's I/O has not ended"),
            std::string::npos)
      << db01.condition().reason;
  EXPECT_EQ(engine->find("new")->state(), VolumeState::online);
  ::close(earlier);
  EXPECT_TRUE(retry(*engine));
  EXPECT_EQ(db01.state(), VolumeState::online);
}

// A lease makes open(2) wait, as a disk does that does not answer.
TEST_F(EngineTest, HangingPoolHoldsUpNobodyElse) {
  const std::string path = make_pool("stuck");
  (void)make_pool("good");
  { auto engine = Engine::open({pool("stuck")}, {volume("a", "stuck", 1_MiB)}); }
  const int leased = ::open((path + "/a.raw").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::fcntl(leased, F_SETLEASE, F_RDLCK), 0);
  std::signal(SIGIO, SIG_IGN);  // asked to give the lease back
  const auto begin = std::chrono::steady_clock::now();
  auto engine = Engine::open({pool("stuck"), pool("good")},
                             {volume("a", "stuck", 1_MiB), volume("b", "good", 1_MiB)},
                             {.known_volumes_file = {}, .patience = std::chrono::seconds(1)});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(engine->find("a")->state(), VolumeState::late);
  EXPECT_NE(engine->find("a")->condition().reason.find("opening since "), std::string::npos);
  EXPECT_EQ(engine->find("b")->state(), VolumeState::online);
  write(*engine->find("b"), 0, 1);
  EXPECT_TRUE(grow(*engine, "b", 2_MiB));
  auto pools = engine->pools();
  for (int tries = 0;
       tries < 1000 && pools[0].reason.find("has not answered yet") == std::string::npos; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    pools = engine->pools();
  }
  EXPECT_NE(pools[0].reason.find("has not answered yet"), std::string::npos) << pools[0].reason;
  const auto findings = engine->findings();
  ASSERT_EQ(findings.size(), 2U) << "the pool as a whole, and that b has been grown";
  EXPECT_EQ(findings[0].about, Finding::About::pool_directory);
  EXPECT_EQ(findings[0].name, "stuck");
  EXPECT_EQ(findings[0].text.find("opening since "), 0U) << findings[0].text;
  EXPECT_TRUE(pools[1].open);
  EXPECT_EQ(pools[1].reason, "");
  EXPECT_FALSE(engine->stop(std::chrono::milliseconds(100)));
  EXPECT_EQ(::fcntl(leased, F_SETLEASE, F_UNLCK), 0);
  ::close(leased);
  EXPECT_TRUE(engine->stop(patience));
  EXPECT_EQ(engine->find("a")->state(), VolumeState::online) << "what was begun is finished";
  EXPECT_EQ(grow(*engine, "b", 4_MiB).error(), "the daemon is stopping");
}

// What a volume was late for before its pool came is no reason any more.
TEST_F(EngineTest, LateVolumeSaysWhatItWaitsForNow) {
  const std::string path = make_pool("stuck");
  { auto engine = Engine::open({pool("stuck")}, {volume("a", "stuck", 1_MiB)}); }
  fs::rename(path + "/forebay-pool.label", path + "/hidden");
  auto engine = Engine::open({pool("stuck")}, {volume("a", "stuck", 1_MiB)});
  const Volume& a = *engine->find("a");
  EXPECT_NE(a.condition().reason.find("is the file system mounted?"), std::string::npos);
  EXPECT_EQ(a.condition().reason_about, Finding::About::volume);
  const int leased = ::open((path + "/a.raw").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::fcntl(leased, F_SETLEASE, F_RDLCK), 0);
  std::signal(SIGIO, SIG_IGN);  // asked to give the lease back
  fs::rename(path + "/hidden", path + "/forebay-pool.label");
  engine->retry_now();
  while (!engine->pools()[0].open) std::this_thread::yield();
  EXPECT_EQ(a.condition().reason.find("pool stuck: opening since "), 0U) << a.condition().reason;
  EXPECT_EQ(a.condition().reason_about, Finding::About::pool_directory);
  EXPECT_EQ(::fcntl(leased, F_SETLEASE, F_UNLCK), 0);
  ::close(leased);
  EXPECT_TRUE(engine->stop(patience));
  EXPECT_EQ(a.condition().reason, "");
}

TEST_F(EngineTest, EachVolumeSaysWhatItDoesNotPromise) {
  (void)make_pool("bulk");
  char shm[] = "/dev/shm/forebay-engine-test-XXXXXX";
  ASSERT_NE(mkdtemp(shm), nullptr);
  ASSERT_TRUE(init_file_pool(shm));
  PoolSpec forgetful = pool("forgetful");
  forgetful.directory = shm;
  auto engine =
      Engine::open({pool("bulk"),
                    forgetful,
                    {.name = "ram", .kind = PoolSpec::Kind::memory, .directory = {}, .uuid = {}}},
                   {volume("disk", "bulk", 1_MiB), volume("tmpfs", "forgetful", 1_MiB),
                    volume("memory", "ram", 1_MiB)});
  EXPECT_TRUE(engine->find("disk")->condition().promise.durable);
  EXPECT_EQ(engine->find("disk")->condition().promise.note, "");
  EXPECT_FALSE(engine->find("tmpfs")->condition().promise.durable);
  EXPECT_NE(engine->find("tmpfs")->condition().promise.note.find("power loss"), std::string::npos);
  EXPECT_FALSE(engine->find("memory")->condition().promise.durable);
  EXPECT_EQ(engine->find("memory")->condition().promise.atomic_write_bytes, 4096U);
  EXPECT_EQ(engine->find("tmpfs")->condition().promise.atomic_write_bytes, 0U) << "not known";
  EXPECT_EQ(engine->pools()[0].note, "");
  EXPECT_NE(engine->pools()[1].note.find("power loss"), std::string::npos);
  engine.reset();
  fs::remove_all(shm);
}

TEST_F(EngineTest, MemoryPoolIsNewEachTimeAndSaysSo) {
  const PoolSpec ram{.name = "ram", .kind = PoolSpec::Kind::memory, .directory = {}, .uuid = {}};
  Uuid uuid;
  for (const int life : {1, 2}) {
    auto engine = Engine::open({ram}, {volume("m", "ram", {std::uint64_t{1} << 36}, 512)});
    Volume& memory = *engine->find("m");
    ASSERT_EQ(memory.state(), VolumeState::online) << memory.condition().reason;
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
    ASSERT_EQ(one->state(), VolumeState::online) << one->condition().reason;
    uuids.insert(one->identity().uuid);
  }
  EXPECT_EQ(uuids.size(), 1000U);
  // A sanitizer takes its time.
#ifdef FOREBAY_SANITIZED
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
