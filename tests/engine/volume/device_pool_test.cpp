// Volumes of a device pool behind the engine's face: over real files as members.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include "engine/media/uring_lane.h"
#include "engine/pool/device_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/test_directory.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using Kind = VolumeIo::Kind;

constexpr BlockSize pool_block{4096};

struct DevicePoolEngine : testing::Test {
  const TestDirectory place{"device-pool-test"};
  const std::string directory = place.path();
  MemoryBudget budget{64_MiB};
  std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());

  std::string member(const std::string& name) const { return directory + "/" + name; }
  void make_members(format::MemberLayout layout) const {
    std::vector<MemberCandidate> disks;
    for (const char* name : {"m0", "m1"}) {
      std::ofstream(member(name)).flush();
      fs::resize_file(member(name), LabelArea{}.bytes.value + (16U << 20));
      disks.push_back({.path = member(name), .opened = open_pool_member(member(name))});
    }
    const auto made = init_device_pool(std::move(disks), {.layout = layout});
    ASSERT_TRUE(made) << made.error().text;
  }
  [[nodiscard]] std::unique_ptr<Engine> open(const std::vector<std::string>& members,
                                             ByteCount size = 20_MiB) const {
    PoolSpec pool{.name = "fast", .kind = PoolSpec::Kind::device, .directory = {}, .uuid = {}};
    for (const std::string& name : members) pool.members.push_back(member(name));
    return Engine::open({pool},
                        {{.name = "data", .pool = "fast", .size = size, .block_size = pool_block}},
                        {.known_volumes_file = directory + "/known-volumes"});
  }
  [[nodiscard]] IoStatus write(Volume& to, std::uint64_t lba, int value) const {
    std::vector<std::byte> data(pool_block.bytes, static_cast<std::byte>(value));
    return run(to, *lane, Kind::write, lba, 1, data);
  }
  [[nodiscard]] int read(Volume& from, std::uint64_t lba) const {
    std::vector<std::byte> data(pool_block.bytes);
    EXPECT_EQ(run(from, *lane, Kind::read, lba, 1, data), IoStatus::ok);
    return std::to_integer<int>(data.front());
  }
};

TEST_F(DevicePoolEngine, VolumesAreServedAndComeBackAsTheSame) {
  for (const auto layout : {format::MemberLayout::linear, format::MemberLayout::stripe}) {
    fs::remove(member("known-volumes"));
    make_members(layout);
    VolumeIdentity identity;
    {
      const auto engine = open({"m0", "m1"});
      Volume& volume = *engine->find("data");
      ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
      identity = volume.identity();
      for (const std::uint64_t lba : {0U, 63U, 64U, 4095U, 4096U, 5119U}) {
        EXPECT_EQ(read(volume, lba), 0) << lba;
        EXPECT_EQ(write(volume, lba, 1 + static_cast<int>(lba % 200)), IoStatus::ok) << lba;
      }
      EXPECT_NE(write(volume, 5120, 1), IoStatus::ok) << "behind its end";
    }
    const auto engine = open({"m1", "m0"});
    Volume& volume = *engine->find("data");
    ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
    EXPECT_EQ(volume.identity().uuid, identity.uuid);
    for (const std::uint64_t lba : {0U, 63U, 64U, 4095U, 4096U, 5119U}) {
      EXPECT_EQ(read(volume, lba), 1 + static_cast<int>(lba % 200)) << lba;
    }
    EXPECT_EQ(read(volume, 1), 0);
  }
}

TEST_F(DevicePoolEngine, EachMemberCountsWhatIsAskedOfIt) {
  make_members(format::MemberLayout::linear);
  const auto engine = open({"m0", "m1"});
  Volume& volume = *engine->find("data");
  ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
  const auto writes = [&engine](std::size_t member) {
    return engine->pools().at(0).disks.at(member).counts.of(DiskWork::write).ended();
  };
  ASSERT_EQ(engine->pools().at(0).disks.size(), 2U);
  EXPECT_EQ(engine->pools().at(0).disks[0].disk.path, member("m0"));
  EXPECT_EQ(engine->pools().at(0).disks[1].disk.path, member("m1"));
  ASSERT_EQ(write(volume, 0, 1), IoStatus::ok);
  ASSERT_EQ(write(volume, 1, 1), IoStatus::ok);
  ASSERT_EQ(write(volume, 5119, 1), IoStatus::ok);
  EXPECT_EQ(writes(0), 2U);
  EXPECT_EQ(writes(1), 1U);
  EXPECT_GT(engine->pools().at(0).disks[0].p99[static_cast<std::size_t>(DiskWork::write)],
            std::chrono::nanoseconds(0));
  EXPECT_EQ(engine->backing_errors_of("data"), 0U);
  EXPECT_EQ(engine->backing_errors_of("nobody"), 0U);
}

// Cut short beneath the pool, as by a disk that goes away: what is gone is an error of its.
TEST_F(DevicePoolEngine, ErrorsAreOfTheMemberAndTheVolume) {
  make_members(format::MemberLayout::linear);
  const auto engine = open({"m0", "m1"});
  Volume& volume = *engine->find("data");
  ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
  fs::resize_file(member("m1"), 4096);
  std::vector<std::byte> data(pool_block.bytes);
  EXPECT_EQ(run(volume, *lane, Kind::read, 5119, 1, data), IoStatus::media_error);
  EXPECT_EQ(read(volume, 0), 0);
  const PoolStatus status = engine->pools().at(0);
  EXPECT_EQ(status.disks[0].counts.errors(), 0U);
  EXPECT_EQ(status.disks[1].counts.errors(), 1U);
  EXPECT_TRUE(status.disks[1].counts.last_fault);
  EXPECT_EQ(engine->backing_errors_of("data"), 1U);
}

TEST_F(DevicePoolEngine, GrowsOnline) {
  make_members(format::MemberLayout::linear);
  const auto engine = open({"m0", "m1"}, 8_MiB);
  Volume& volume = *engine->find("data");
  ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
  ASSERT_EQ(write(volume, 2047, 7), IoStatus::ok);
  std::promise<Result<void, std::string>> promise;
  engine->grow("data", 28_MiB, [&promise](auto done) { promise.set_value(std::move(done)); });
  const auto grown = promise.get_future().get();
  ASSERT_TRUE(grown) << grown.error();
  EXPECT_EQ(read(volume, 2047), 7);
  EXPECT_EQ(read(volume, 2048), 0);
  EXPECT_EQ(write(volume, 7167, 9), IoStatus::ok) << "on the other member";
  EXPECT_EQ(read(volume, 7167), 9);
}

TEST_F(DevicePoolEngine, AMissingMemberIsToldAndItsVolumesWait) {
  make_members(format::MemberLayout::linear);
  { const auto engine = open({"m0", "m1"}); }
  const auto engine = open({"m0"});
  const VolumeCondition now = engine->find("data")->condition();
  EXPECT_EQ(now.state, VolumeState::late);
  EXPECT_NE(now.reason.find("member 1 of 2"), std::string::npos) << now.reason;
  EXPECT_NE(now.reason.find("m1"), std::string::npos) << now.reason;
}

TEST_F(DevicePoolEngine, ARetainedVolumeIsDestroyedByNameAndUuid) {
  make_members(format::MemberLayout::stripe);
  Uuid uuid;
  {
    const auto engine = open({"m0", "m1"});
    uuid = engine->find("data")->identity().uuid;
  }
  PoolSpec pool{.name = "fast", .kind = PoolSpec::Kind::device, .directory = {}, .uuid = {}};
  pool.members = {member("m0"), member("m1")};
  const auto engine =
      Engine::open({pool}, {}, {.known_volumes_file = directory + "/known-volumes"});
  std::promise<Result<void, std::string>> promise;
  engine->destroy("data", uuid, [&promise](auto done) { promise.set_value(std::move(done)); });
  const auto destroyed = promise.get_future().get();
  EXPECT_TRUE(destroyed) << destroyed.error();
}

}  // namespace
}  // namespace engine
