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
#include "engine/volume/cached_volume.h"
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
      disks.push_back({.path = make_disk(name), .opened = open_pool_member(member(name))});
    }
    const auto made = init_device_pool(std::move(disks), {.layout = layout});
    ASSERT_TRUE(made) << made.error().text;
  }
  // A blank one.
  std::string make_disk(const std::string& name, std::uint64_t data_bytes = 16U << 20) const {
    std::ofstream(member(name)).flush();
    fs::resize_file(member(name), LabelArea{}.bytes.value + data_bytes);
    return member(name);
  }
  static Result<GrownPool, std::string> add_member(Engine& engine, const std::string& disk,
                                                   const std::vector<std::string>& named = {}) {
    std::promise<Result<GrownPool, std::string>> promise;
    engine.add_member("fast", disk, named,
                      [&promise](auto done) { promise.set_value(std::move(done)); });
    return promise.get_future().get();
  }
  static Result<void, std::string> grow(Engine& engine, ByteCount size) {
    std::promise<Result<void, std::string>> promise;
    engine.grow("data", size, [&promise](auto done) { promise.set_value(std::move(done)); });
    return promise.get_future().get();
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
  const auto grown = grow(*engine, 28_MiB);
  ASSERT_TRUE(grown) << grown.error();
  EXPECT_EQ(read(volume, 2047), 7);
  EXPECT_EQ(read(volume, 2048), 0);
  EXPECT_EQ(write(volume, 7167, 9), IoStatus::ok) << "on the other member";
  EXPECT_EQ(read(volume, 7167), 9);
}

TEST_F(DevicePoolEngine, TakesAnotherMemberWhileItIsServed) {
  make_members(format::MemberLayout::linear);
  make_disk("m2");
  {
    const auto engine = open({"m0", "m1"});
    Volume& volume = *engine->find("data");
    ASSERT_EQ(write(volume, 5119, 7), IoStatus::ok);
    const auto full = grow(*engine, 40_MiB);
    ASSERT_FALSE(full);
    EXPECT_NE(full.error().find("no space"), std::string::npos) << full.error();
    EXPECT_TRUE(engine->findings().empty());
    const auto added = add_member(*engine, member("m2"));
    ASSERT_TRUE(added) << added.error();
    EXPECT_FALSE(added.value().was_member);
    EXPECT_FALSE(added.value().is_configured);
    EXPECT_EQ(added.value().members, (std::vector{member("m0"), member("m1"), member("m2")}));
    EXPECT_EQ(added.value().free, 28_MiB);
    EXPECT_EQ(engine->pools()[0].free, 28_MiB);
    EXPECT_EQ(engine->pools()[0].size, 48_MiB);
    // By another name, too.
    fs::create_symlink(member("m2"), member("by-id"));
    for (const char* name : {"m2", "by-id"}) {
      const auto again = add_member(*engine, member(name));
      ASSERT_TRUE(again) << again.error();
      EXPECT_TRUE(again.value().was_member);
      EXPECT_EQ(again.value().members.size(), 3U);
    }
    const auto named = add_member(*engine, member("m1"));
    ASSERT_TRUE(named) << named.error();
    EXPECT_TRUE(named.value().was_member);
    EXPECT_TRUE(named.value().is_configured);

    const auto findings = engine->findings();
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].about, Finding::About::pool_members);
    EXPECT_EQ(findings[0].text.find(member("m2") + " has become a member"), 0U);
    EXPECT_EQ(engine->pools()[0].advice, (std::vector{findings[0].text}));

    ASSERT_TRUE(grow(*engine, 40_MiB));
    EXPECT_EQ(read(volume, 5119), 7);
    EXPECT_EQ(read(volume, 10239), 0);
    EXPECT_EQ(write(volume, 10239, 9), IoStatus::ok) << "on the new one";
    // Looked at afresh, as after a failure: with the new one.
    dynamic_cast<CachedVolume&>(volume).backed().fail("the disk reported an error");
    engine->retry_now();
    ASSERT_TRUE(engine->settle(std::chrono::seconds(20)));
    ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
    EXPECT_EQ(read(volume, 10239), 9);
  }
  {
    const auto engine = open({"m0", "m1"}, 40_MiB);
    const VolumeCondition now = engine->find("data")->condition();
    EXPECT_EQ(now.state, VolumeState::late);
    EXPECT_NE(now.reason.find("member 2 of 3"), std::string::npos) << now.reason;
    const auto closed = add_member(*engine, member("m2"));
    ASSERT_FALSE(closed);
    EXPECT_NE(closed.error().find("while one is missing"), std::string::npos) << closed.error();
  }
  const auto engine = open({"m2", "m0", "m1"}, 40_MiB);
  Volume& volume = *engine->find("data");
  ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
  EXPECT_TRUE(engine->findings().empty());
  EXPECT_EQ(read(volume, 5119), 7);
  EXPECT_EQ(read(volume, 10239), 9);
}

TEST_F(DevicePoolEngine, AVolumeThatWaitsForSpaceComesWithTheMember) {
  make_members(format::MemberLayout::linear);
  make_disk("m2");
  const auto engine = open({"m0", "m1"}, 40_MiB);
  Volume& volume = *engine->find("data");
  ASSERT_EQ(volume.state(), VolumeState::late);
  ASSERT_TRUE(add_member(*engine, member("m2")));
  ASSERT_TRUE(engine->settle(std::chrono::seconds(20)));
  ASSERT_EQ(volume.state(), VolumeState::online) << volume.condition().reason;
  EXPECT_EQ(read(volume, 10239), 0);
}

TEST_F(DevicePoolEngine, WhatCannotBeAMemberIsRefusedAsItIs) {
  make_members(format::MemberLayout::linear);
  std::ofstream(make_disk("letters"), std::ios::in | std::ios::out).seekp(70'000) << "letters";
  make_disk("small", 1U << 20);
  const auto engine = open({"m0", "m1"});
  struct Case {
    std::string disk;
    std::string words;
  };
  for (const Case& each : {Case{member("letters"), "not blank"}, Case{member("small"), "has only"},
                           Case{member("none"), "cannot be opened"},
                           Case{directory, "neither a block device nor a regular file"},
                           Case{"/dev/null", "neither a block device nor a regular file"}}) {
    const auto refused = add_member(*engine, each.disk);
    ASSERT_FALSE(refused) << each.disk;
    EXPECT_NE(refused.error().find(each.words), std::string::npos) << refused.error();
  }
  EXPECT_TRUE(engine->findings().empty());
  EXPECT_EQ(engine->pools()[0].size, 32_MiB);
  std::promise<Result<GrownPool, std::string>> promise;
  engine->add_member("none", member("m2"), {},
                     [&promise](auto done) { promise.set_value(std::move(done)); });
  const auto unknown = promise.get_future().get();
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().find("there is no pool none"), std::string::npos);
}

TEST_F(DevicePoolEngine, OnlyALinearPoolTakesAMemberAndNothingOfTheDiskIsTouched) {
  make_members(format::MemberLayout::stripe);
  const std::string disk = make_disk("m2");
  // A disk that nobody would permit anyway: the pool is what speaks against it.
  std::ofstream(disk, std::ios::in | std::ios::out).seekp(4086) << "SWAPSPACE2";
  const auto engine = open({"m0", "m1"});
  const auto refused = add_member(*engine, disk);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("is a stripe"), std::string::npos) << refused.error();
  std::string magic(10, '\0');
  std::ifstream file(disk);
  file.seekg(4086);
  file.read(magic.data(), 10);
  EXPECT_EQ(magic, "SWAPSPACE2");
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

// "data" lies on the first member, "other" on both; the second one goes away and comes back.
TEST_F(DevicePoolEngine, AMissingMemberTakesDownOnlyWhatLiesOnIt) {
  make_members(format::MemberLayout::linear);
  PoolSpec pool{.name = "fast", .kind = PoolSpec::Kind::device, .directory = {}, .uuid = {}};
  pool.members = {member("m0"), member("m1")};
  const std::vector<VolumeSpec> volumes{
      {.name = "data", .pool = "fast", .size = 8_MiB, .block_size = pool_block},
      {.name = "other", .pool = "fast", .size = 16_MiB, .block_size = pool_block}};
  const EngineOptions options{.known_volumes_file = directory + "/known-volumes"};
  const auto take_away = [this] { fs::rename(member("m1"), member("away")); };
  const auto bring_back = [this] { fs::rename(member("away"), member("m1")); };
  {
    const auto engine = Engine::open({pool}, volumes, options);
    ASSERT_EQ(write(*engine->find("data"), 0, 1), IoStatus::ok);
    ASSERT_EQ(write(*engine->find("other"), 4095, 2), IoStatus::ok);
  }
  take_away();
  const auto engine = Engine::open({pool}, volumes, options);
  Volume& data = *engine->find("data");
  Volume& other = *engine->find("other");
  const auto expect_told = [&](const std::string& reason) {
    for (const std::string& word : {std::string("member 1 of 2"), member("m1")}) {
      EXPECT_NE(reason.find(word), std::string::npos) << reason;
    }
  };
  ASSERT_EQ(data.state(), VolumeState::online) << data.condition().reason;
  EXPECT_EQ(read(data, 0), 1);
  EXPECT_EQ(other.state(), VolumeState::late);
  expect_told(other.condition().reason);
  PoolStatus status = engine->pools().at(0);
  EXPECT_TRUE(status.open);
  EXPECT_TRUE(status.disks.at(1).disk.is_missing);
  ASSERT_EQ(status.members.size(), 2U);
  EXPECT_TRUE(status.members[0].is_there);
  EXPECT_FALSE(status.members[1].is_there);
  EXPECT_EQ(status.members[1].path, member("m1"));
  EXPECT_EQ(status.members[1].reason, member("m1") + " does not exist; is the disk connected?");
  EXPECT_FALSE(engine->findings().empty());
  const auto refused = grow(*engine, 32_MiB);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("no space"), std::string::npos) << refused.error();
  bring_back();
  engine->retry_now();
  ASSERT_TRUE(engine->settle(std::chrono::seconds(20)));
  ASSERT_EQ(other.state(), VolumeState::online) << other.condition().reason;
  EXPECT_EQ(read(other, 4095), 2);
  EXPECT_FALSE(engine->pools().at(0).disks.at(1).disk.is_missing);
  EXPECT_TRUE(engine->pools().at(0).members.at(1).is_there);
  EXPECT_TRUE(engine->findings().empty());

  // While it is served.
  take_away();
  dynamic_cast<CachedVolume&>(other).backed().fail("its disk has gone");
  engine->retry_now();
  (void)engine->settle(std::chrono::seconds(20));
  EXPECT_EQ(other.state(), VolumeState::failed);
  expect_told(other.condition().reason);
  EXPECT_EQ(write(data, 1, 3), IoStatus::ok) << "nothing has happened to it";
  bring_back();
  engine->retry_now();
  ASSERT_TRUE(engine->settle(std::chrono::seconds(20)));
  ASSERT_EQ(other.state(), VolumeState::online) << other.condition().reason;
  EXPECT_EQ(read(other, 4095), 2);
  EXPECT_EQ(read(data, 1), 3);
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
  std::promise<Result<DestroyedVolume, std::string>> promise;
  engine->destroy("data", uuid, {}, [&promise](auto done) { promise.set_value(std::move(done)); });
  const auto destroyed = promise.get_future().get();
  EXPECT_TRUE(destroyed) << destroyed.error();
}

}  // namespace
}  // namespace engine
