// Volumes that the configuration does not name any more: kept, shown, and deleted only by name and
// UUID.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

constexpr BlockSize retained_block{4096};

struct Retained : testing::Test {
  std::string directory = [] {
    char path[] = "forebay-retained-test-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    return std::string(path);
  }();
  MemoryBudget budget{64_MiB};
  std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());
  Uuid old_uuid;

  // One life with two volumes, of which the next do not name "old".
  void SetUp() override {
    fs::create_directory(directory + "/bulk");
    ASSERT_TRUE(init_file_pool(directory + "/bulk"));
    const auto engine = open({volume("data"), volume("old")});
    old_uuid = engine->find("old")->identity().uuid;
    write(*engine->find("old"), 0x42);
  }
  ~Retained() override { fs::remove_all(directory); }

  static VolumeSpec volume(const std::string& name) {
    return {.name = name, .pool = "bulk", .size = 1_MiB, .block_size = retained_block};
  }
  [[nodiscard]] std::unique_ptr<Engine> open(std::vector<VolumeSpec> volumes) const {
    auto engine =
        Engine::open({{.name = "bulk", .directory = directory + "/bulk", .uuid = {}}},
                     std::move(volumes), {.known_volumes_file = directory + "/known-volumes"});
    for (const Volume* one : engine->volumes()) {
      EXPECT_EQ(one->state(), VolumeState::online) << one->condition().reason;
    }
    return engine;
  }
  void write(Volume& to, int value) const {
    std::vector<std::byte> data(retained_block.bytes, static_cast<std::byte>(value));
    ASSERT_EQ(run(to, *lane, Kind::write, 7, 1, data), IoStatus::ok);
  }
  [[nodiscard]] int read(Volume& from) const {
    std::vector<std::byte> data(retained_block.bytes);
    EXPECT_EQ(run(from, *lane, Kind::read, 7, 1, data), IoStatus::ok);
    return std::to_integer<int>(data.front());
  }
  // Empty: done.
  static std::string destroy(Engine& engine, const std::string& name, const Uuid& uuid) {
    std::promise<Result<void, std::string>> promise;
    engine.destroy(name, uuid, [&promise](auto done) { promise.set_value(std::move(done)); });
    const auto done = promise.get_future().get();
    return done ? std::string() : done.error();
  }
};

TEST_F(Retained, IsListedAndComesBackAsTheSameVolume) {
  {
    const auto engine = open({volume("data")});
    const auto retained = engine->pools()[0].retained;
    ASSERT_EQ(retained.size(), 1U);
    EXPECT_EQ(retained[0].name, "old");
    EXPECT_EQ(retained[0].uuid, old_uuid);
    EXPECT_EQ(retained[0].size, 1_MiB);
    EXPECT_EQ(retained[0].block_size, retained_block);
    EXPECT_TRUE(retained[0].cache.is_nil());
  }
  const auto engine = open({volume("data"), volume("old")});
  EXPECT_TRUE(engine->pools()[0].retained.empty());
  EXPECT_EQ(engine->find("old")->identity().uuid, old_uuid);
  EXPECT_EQ(read(*engine->find("old")), 0x42);
}

TEST_F(Retained, DestroyedItsNameIsThatOfANewVolume) {
  {
    const auto engine = open({volume("data")});
    EXPECT_EQ(destroy(*engine, "old", old_uuid), "");
    EXPECT_TRUE(engine->pools()[0].retained.empty());
    EXPECT_FALSE(fs::exists(directory + "/bulk/old.raw"));
    EXPECT_NE(destroy(*engine, "old", old_uuid).find("no pool that is open retains a volume old"),
              std::string::npos);
  }
  const auto engine = open({volume("data"), volume("old")});
  EXPECT_NE(engine->find("old")->identity().uuid, old_uuid);
  EXPECT_EQ(read(*engine->find("old")), 0);
}

TEST_F(Retained, OnlyWhatIsNamedAndNotServedIsDestroyed) {
  const auto engine = open({volume("data")});
  const Uuid served = engine->find("data")->identity().uuid;
  EXPECT_NE(destroy(*engine, "data", served).find("volume data is in the configuration"),
            std::string::npos);
  EXPECT_NE(destroy(*engine, "old", served).find("no pool that is open retains"),
            std::string::npos);
  EXPECT_NE(destroy(*engine, "data", old_uuid).find("no pool that is open retains"),
            std::string::npos);
  EXPECT_EQ(engine->pools()[0].retained.size(), 1U);
  EXPECT_TRUE(fs::exists(directory + "/bulk/old.raw"));
}

TEST_F(Retained, WhatSomebodyElseUsesIsNotDestroyed) {
  const auto engine = open({volume("data")});
  {
    const auto held = OpenFile::open(directory + "/bulk/old.raw", 1_MiB);
    ASSERT_TRUE(held && held.value().lock());
    EXPECT_NE(destroy(*engine, "old", old_uuid), "");
    EXPECT_TRUE(fs::exists(directory + "/bulk/old.raw"));
  }
  EXPECT_EQ(destroy(*engine, "old", old_uuid), "");
}

}  // namespace
}  // namespace engine
