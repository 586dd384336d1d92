// What --check says of the members of a device pool: by reading alone, also while it is served.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/pool/device_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/file_content.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using About = Finding::About;
using Layout = format::MemberLayout;

struct InspectMembers : testing::Test {
  const TestDirectory place{"inspect-members-test"};

  [[nodiscard]] std::string path(const std::string& name) const {
    return place.path() + "/" + name;
  }
  void make_disk(const std::string& name) const {
    std::ofstream(path(name)).flush();
    fs::resize_file(path(name), LabelArea{}.bytes.value + (8U << 20));
  }
  Uuid make_pool(const std::vector<std::string>& names, Layout layout = Layout::linear) const {
    std::vector<MemberCandidate> disks;
    for (const std::string& name : names) {
      make_disk(name);
      disks.push_back({.path = path(name), .opened = open_pool_member(path(name))});
    }
    const auto made = init_device_pool(std::move(disks), {.layout = layout});
    EXPECT_TRUE(made) << made.error().text;
    return made.value();
  }
  [[nodiscard]] PoolSpec spec(const std::vector<std::string>& names) const {
    PoolSpec pool{.name = "fast", .kind = PoolSpec::Kind::device, .directory = {}, .uuid = {}};
    for (const std::string& name : names) pool.members.push_back(path(name));
    return pool;
  }
  [[nodiscard]] std::vector<Finding> inspect(const std::vector<std::string>& names) const {
    return Engine::inspect({spec(names)}, {});
  }
  // One finding about that member (empty: about all), with all those words.
  void expect_one(const std::vector<Finding>& found, const std::string& name,
                  const std::vector<std::string>& words) const {
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].about, About::pool_members);
    EXPECT_EQ(found[0].name, "fast");
    EXPECT_EQ(found[0].member, name.empty() ? "" : path(name));
    for (const std::string& word : words) {
      EXPECT_NE(found[0].text.find(word), std::string::npos) << word << " in: " << found[0].text;
    }
  }
};

TEST_F(InspectMembers, AWholePoolIsNoFindingInWhateverOrder) {
  make_pool({"m0", "m1"});
  EXPECT_TRUE(inspect({"m0", "m1"}).empty());
  EXPECT_TRUE(inspect({"m1", "m0"}).empty());
}

TEST_F(InspectMembers, WhatIsNoMemberIsNamedWithWhatItHolds) {
  make_pool({"m0", "m1"});
  make_disk("blank");
  expect_one(inspect({"m0", "m1", "blank"}), "blank", {"is it the right disk?"});
  // Swap space of mkswap: version 1, one page, its UUID and name.
  std::array<char, 4096> swap{};
  swap[1024] = 1;
  swap[1028] = 1;
  std::string(10, '\x77').copy(&swap[1036], 10);
  std::string("SWAPSPACE2").copy(&swap[4086], 10);
  make_disk("swap");
  std::ofstream(path("swap"), std::ios::in | std::ios::out).write(swap.data(), swap.size());
  expect_one(inspect({"m0", "m1", "swap"}), "swap", {"is it the right disk?", "It holds", "swap"});
  // And over a member's label.
  std::ofstream(path("m1"), std::ios::in | std::ios::out).write(swap.data(), swap.size());
  auto found = inspect({"m0", "m1"});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NE(found[1].text.find("member 1 of 2"), std::string::npos) << "and so that is missing";
  found.pop_back();
  expect_one(found, "m1",
             {"something else has been written over its beginning", "It holds", "swap"});
}

TEST_F(InspectMembers, EachThatIsMissingForeignTwiceOrShortIsNamed) {
  make_pool({"m0", "m1"});
  const Uuid other = make_pool({"x"}, Layout::single);
  expect_one(inspect({"m0"}), "", {"member 1 of 2", "is missing", path("m1")});
  expect_one(inspect({"m0", "m1", "x"}), "x", {other.text(), "is it the right disk?"});
  expect_one(inspect({"m0", "m1", "none"}), "none", {"does not exist"});
  fs::copy_file(path("m1"), path("copy"));
  expect_one(inspect({"m0", "m1", "copy"}), "copy", {path("m1"), "are the same member"});
  // Swapped with another pool's: two findings, each at its own.
  const auto swapped = inspect({"m0", "x"});
  ASSERT_EQ(swapped.size(), 2U);
  EXPECT_EQ(swapped[0].member, path("x"));
  EXPECT_NE(swapped[1].text.find("member 1 of 2"), std::string::npos) << swapped[1].text;
  fs::resize_file(path("m1"), LabelArea{}.bytes.value + (4U << 20));
  expect_one(inspect({"m0", "m1"}), "m1", {"has only 36MiB of the 40MiB"});
}

TEST_F(InspectMembers, AnotherPoolThanConfiguredAndAnotherFormAreToldAtTheirKeys) {
  const Uuid uuid = make_pool({"m0", "m1"}, Layout::stripe);
  PoolSpec pool = spec({"m0", "m1"});
  pool.uuid = uuid;
  pool.layout = Layout::stripe;
  pool.chunk = 256_KiB;
  EXPECT_TRUE(Engine::inspect({pool}, {}).empty());
  pool.layout = Layout::linear;
  auto found = Engine::inspect({pool}, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].about, About::pool_layout);
  EXPECT_NE(found[0].text.find("has the layout stripe, not linear"), std::string::npos);
  pool.layout = Layout::stripe;
  pool.chunk = 64_KiB;
  found = Engine::inspect({pool}, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].about, About::pool_chunk_size);
  // As it is told when it is served.
  const auto served = Engine::open({pool}, {})->findings();
  ASSERT_EQ(served.size(), 1U);
  EXPECT_EQ(served[0].about, About::pool_chunk_size);
  EXPECT_EQ(served[0].text, found[0].text);
  pool.uuid = Uuid::random();
  found = Engine::inspect({pool}, {});
  ASSERT_EQ(found.size(), 2U);
  for (const Finding& each : found) EXPECT_EQ(each.about, About::pool_members);
}

TEST_F(InspectMembers, ReadsOnlyAndWhileItIsServed) {
  make_pool({"m0", "m1"});
  const VolumeSpec volume{
      .name = "data", .pool = "fast", .size = 8_MiB, .block_size = BlockSize{4096}};
  const PoolSpec pool = spec({"m0", "m1"});
  const auto engine = Engine::open({pool}, {volume});
  ASSERT_EQ(engine->find("data")->state(), VolumeState::online);
  const auto first = file_content(path("m0"));
  const auto time = fs::last_write_time(path("m0"));
  EXPECT_TRUE(Engine::inspect({pool}, {volume}).empty());
  VolumeSpec smaller = volume;
  smaller.size = 4_MiB;
  auto found = Engine::inspect({pool}, {smaller});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].about, About::volume_size);
  VolumeSpec other = volume;
  other.block_size = BlockSize{512};
  found = Engine::inspect({pool}, {other});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].about, About::volume_block_size);
  EXPECT_EQ(fs::last_write_time(path("m0")), time);
  EXPECT_TRUE(file_content(path("m0")) == first);
}

}  // namespace
}  // namespace engine
