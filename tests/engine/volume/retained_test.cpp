// Volumes that the configuration does not name any more: kept, shown, and deleted only by name and
// UUID.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/file_content.h"
#include "tests/engine/test_directory.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

constexpr BlockSize retained_block{4096};

struct Retained : testing::Test {
  const TestDirectory place{"retained-test"};
  const std::string directory = place.path();
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

  static VolumeSpec volume(const std::string& name) {
    return {.name = name, .pool = "bulk", .size = 1_MiB, .block_size = retained_block};
  }
  [[nodiscard]] std::unique_ptr<Engine> open_late(std::vector<VolumeSpec> volumes) const {
    return Engine::open({{.name = "bulk", .directory = directory + "/bulk", .uuid = {}}},
                        std::move(volumes), {.known_volumes_file = directory + "/known-volumes"});
  }
  [[nodiscard]] std::unique_ptr<Engine> open(std::vector<VolumeSpec> volumes) const {
    auto engine = open_late(std::move(volumes));
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
    std::promise<Result<DestroyedVolume, std::string>> promise;
    engine.destroy(name, uuid, {}, [&promise](auto done) { promise.set_value(std::move(done)); });
    const auto done = promise.get_future().get();
    return done ? std::string() : done.error();
  }
  static std::string rename(Engine& engine, const std::string& name, const Uuid& uuid,
                            const std::string& to) {
    std::promise<Result<void, std::string>> promise;
    engine.rename(name, uuid, to, [&promise](auto done) { promise.set_value(std::move(done)); });
    const auto done = promise.get_future().get();
    return done ? std::string() : done.error();
  }
  static std::string adopt(Engine& engine, const std::string& name, const std::string& file) {
    std::promise<std::string> promise;
    engine.adopt(
        "bulk", {.name = name, .file = file, .block_size = retained_block},
        [&promise](const auto& done) { promise.set_value(done ? std::string() : done.error()); });
    return promise.get_future().get();
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

TEST_F(Retained, RenamedItIsTheSameVolumeByAnotherName) {
  {
    const auto engine = open({volume("data")});
    EXPECT_NE(rename(*engine, "data", engine->find("data")->identity().uuid, "new")
                  .find("volume data is in the configuration"),
              std::string::npos);
    EXPECT_NE(rename(*engine, "old", Uuid::random(), "new").find("no pool that is open retains"),
              std::string::npos);
    EXPECT_NE(rename(*engine, "old", old_uuid, "data").find("there is a volume data"),
              std::string::npos);
    EXPECT_EQ(rename(*engine, "old", old_uuid, "new"), "");
    EXPECT_EQ(rename(*engine, "old", old_uuid, "new"), "") << "a second time";
    ASSERT_EQ(engine->pools()[0].retained.size(), 1U);
    EXPECT_EQ(engine->pools()[0].retained[0].name, "new");
  }
  // What is remembered for a pool that is late follows, and the old name is free.
  const std::string here = directory + "/bulk";
  fs::rename(here, here + ".away");
  {
    const auto engine = open_late({volume("new"), volume("old")});
    EXPECT_EQ(engine->find("new")->identity().uuid, old_uuid);
    EXPECT_TRUE(engine->find("old")->identity().uuid.is_nil());
  }
  fs::rename(here + ".away", here);
  const auto engine = open({volume("data"), volume("new"), volume("old")});
  EXPECT_EQ(engine->find("new")->identity().uuid, old_uuid);
  EXPECT_EQ(read(*engine->find("new")), 0x42);
  EXPECT_NE(engine->find("old")->identity().uuid, old_uuid);
  EXPECT_EQ(read(*engine->find("old")), 0) << "a new one, beside the image of that name";
}

TEST_F(Retained, AnImageIsAdoptedWhileNobodyHasItOpen) {
  const std::string path = directory + "/bulk/copied.raw";
  std::ofstream(path, std::ios::binary) << std::string(1 << 20, 'x');
  Uuid uuid;
  {
    const auto engine = open({volume("data")});
    {
      const std::ifstream reader(path);
      EXPECT_NE(adopt(*engine, "copied", "copied.raw").find("is in use by another process"),
                std::string::npos);
    }
    EXPECT_NE(adopt(*engine, "copied", "none.raw").find("No such file"), std::string::npos);
    EXPECT_NE(adopt(*engine, "copied", "../copied.raw").find("must lie in"), std::string::npos);
    EXPECT_EQ(adopt(*engine, "copied", "copied.raw"), "");
    EXPECT_EQ(adopt(*engine, "copied", "copied.raw"), "") << "a second time";
    const auto retained = engine->pools()[0].retained;
    const auto found = std::ranges::find(retained, "copied", &RetainedVolume::name);
    ASSERT_NE(found, retained.end());
    uuid = found->uuid;
  }
  {
    const auto engine = open({volume("data"), volume("copied")});
    EXPECT_EQ(engine->find("copied")->identity().uuid, uuid);
    EXPECT_EQ(read(*engine->find("copied")), 'x');
    write(*engine->find("copied"), 'y');
  }
  const std::string now = file_content(path);
  EXPECT_EQ(now.substr(0, 7 * 4096), std::string(7 * 4096, 'x'));
  EXPECT_EQ(now.substr(7 * 4096, 4096), std::string(4096, 'y'));
}

// One that the configuration names, and that could not be made because its image was there.
TEST_F(Retained, AnAdoptedImageIsServedWhereItIsNamedAlready) {
  const std::string path = directory + "/bulk/wanted.raw";
  std::ofstream(path, std::ios::binary) << std::string(1 << 20, 'x');
  const auto engine = open_late({volume("data"), volume("wanted")});
  EXPECT_NE(engine->find("wanted")->state(), VolumeState::online);
  EXPECT_EQ(adopt(*engine, "wanted", "wanted.raw"), "");
  EXPECT_TRUE(engine->settle(std::chrono::seconds(60)));
  ASSERT_EQ(engine->find("wanted")->state(), VolumeState::online)
      << engine->find("wanted")->condition().reason;
  EXPECT_EQ(read(*engine->find("wanted")), 'x');
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
