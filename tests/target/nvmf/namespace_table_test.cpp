#include "target/nvmf/namespace_table.h"

#include <gtest/gtest.h>

#include <deque>

#include "tests/target/nvmf/settable_volume.h"

namespace target::nvmf {
namespace {

engine::Uuid some_uuid(int last) {
  engine::Uuid uuid;
  uuid.bytes[15] = static_cast<std::byte>(last);
  return uuid;
}

class NamespaceTableTest : public testing::Test {
 protected:
  SettableVolume& add(std::uint32_t nsid, std::optional<std::vector<std::string>> hosts = {}) {
    volumes.emplace_back("v" + std::to_string(nsid), some_uuid(static_cast<int>(nsid % 200) + 1),
                         4096, 100);
    blocks.emplace_back(volumes.back());
    EXPECT_TRUE(table.add({.nsid = nsid, .volume = &blocks.back(), .hosts = std::move(hosts)}));
    return volumes.back();
  }
  std::deque<SettableVolume> volumes;
  std::deque<block::BlockVolume> blocks;
  NamespaceTable table;
};

TEST_F(NamespaceTableTest, SparseAndDenseIdentifiersAreFound) {
  for (const std::uint32_t nsid : {1U, 2U, 5U, 4000U, 0xffff'fffeU}) add(nsid);
  const auto view = table.view_for("h");
  for (const std::uint32_t nsid : {1U, 2U, 5U, 4000U, 0xffff'fffeU}) {
    ASSERT_NE(view->find(nsid), nullptr) << nsid;
    EXPECT_EQ(view->find(nsid)->nsid, nsid);
  }
  for (const std::uint32_t nsid : {0U, 3U, 6U, 0xffff'ffffU}) EXPECT_EQ(view->find(nsid), nullptr);
  EXPECT_EQ(table.highest_nsid(), 0xffff'fffeU);
}

TEST_F(NamespaceTableTest, ImpossibleIdentifiersAreRefused) {
  auto& volume = add(1);
  block::BlockVolume again(volume);
  EXPECT_EQ(table.add({.nsid = 1, .volume = &again, .hosts = {}}).error(),
            NamespaceError::nsid_in_use);
  EXPECT_EQ(table.add({.nsid = 0, .volume = &again, .hosts = {}}).error(),
            NamespaceError::bad_nsid);
  EXPECT_EQ(table.add({.nsid = 0xffff'ffff, .volume = &again, .hosts = {}}).error(),
            NamespaceError::bad_nsid);
  EXPECT_EQ(table.remove(9).error(), NamespaceError::not_found);
  for (std::uint32_t nsid = 2; nsid <= max_namespaces; ++nsid) add(nsid);
  EXPECT_EQ(table.add({.nsid = 5000, .volume = &again, .hosts = {}}).error(),
            NamespaceError::table_full);
}

TEST_F(NamespaceTableTest, EveryNamespaceIsItsOwnGroup) {
  for (const std::uint32_t nsid : {7U, 1024U, 1025U, 70'000U, 1U}) add(nsid);
  const auto report = table.ana_report("h", AnaState::optimized, 0);
  ASSERT_EQ(report.groups.size(), 5U);
  std::uint32_t previous = 0;
  for (const auto& group : report.groups) {
    EXPECT_GT(group.id, previous) << "ascending, none twice";
    EXPECT_LE(group.id, max_namespaces);
    previous = group.id;
    if (group.nsid <= max_namespaces) {
      EXPECT_EQ(group.id, group.nsid);
    }
  }
}

TEST_F(NamespaceTableTest, MaskedNamespaceDoesNotExistForOthers) {
  add(1);
  add(2, std::vector<std::string>{"h1"});
  add(3, std::vector<std::string>{});
  EXPECT_EQ(table.visible_to("h1"), (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(table.visible_to("h2"), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(table.view_for("h2")->find(2), nullptr);
  EXPECT_FALSE(table.describe(2, "h2"));
  EXPECT_EQ(table.ana_report("h2", AnaState::optimized, 0).groups.size(), 1U);
}

TEST_F(NamespaceTableTest, LateVolumeIsInaccessibleUntilItComes) {
  auto& volume = add(1);
  volume.now_state = engine::VolumeState::late;
  auto changes = table.refresh();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].ana);
  EXPECT_FALSE(changes[0].attributes);
  Namespace* space = table.view_for("h")->find(1);
  EXPECT_EQ(space->ana_state, AnaState::inaccessible);
  const auto before = table.ana_report("h", AnaState::optimized, 0);
  EXPECT_EQ(before.groups[0].state, AnaState::inaccessible);

  EXPECT_TRUE(table.refresh().empty()) << "nothing has changed";
  volume.now_state = engine::VolumeState::online;
  changes = table.refresh();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(space->ana_state, AnaState::optimized);
  const auto after = table.ana_report("h", AnaState::optimized, 0);
  EXPECT_EQ(after.groups[0].state, AnaState::optimized);
  EXPECT_GT(after.changes, before.changes);
  EXPECT_GT(after.groups[0].changes, before.groups[0].changes);
}

// Hosts look at it again: what they keep whole follows from it.
TEST_F(NamespaceTableTest, AtomicityOfAVolumeThatHasComeIsAnAttribute) {
  auto& volume = add(1);
  EXPECT_EQ(table.describe(1, "h")->atomic.bytes, 0U);
  volume.atomic_write_bytes = 4096;
  const auto changes = table.refresh();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].attributes);
  EXPECT_FALSE(changes[0].ana);
  EXPECT_EQ(table.describe(1, "h")->atomic.bytes, 4096U);
  EXPECT_TRUE(table.refresh().empty());
  volume.is_atomic_anywhere = true;  // as the mode of its cache changes
  EXPECT_EQ(table.refresh().size(), 1U);
  EXPECT_EQ(table.describe(1, "h")->atomic.boundary_bytes, 0U);
  volume.is_atomic_anywhere = false;
  EXPECT_EQ(table.refresh().size(), 1U);
}

TEST_F(NamespaceTableTest, ChangeCountOfAGroupGoesOnWhenItComesBack) {
  add(1);
  auto& volume = add(2);
  volume.now_state = engine::VolumeState::late;
  (void)table.refresh();
  const auto before = table.ana_report("h", AnaState::optimized, 0);
  ASSERT_EQ(before.groups.at(1).id, 2U);
  EXPECT_TRUE(table.remove(2));
  EXPECT_TRUE(table.add({.nsid = 2, .volume = &blocks[1], .hosts = {}}));
  const auto after = table.ana_report("h", AnaState::optimized, 0);
  ASSERT_EQ(after.groups.at(1).id, 2U);
  EXPECT_GT(after.groups[1].changes, before.groups[1].changes);
  EXPECT_LE(after.groups[1].changes, after.changes);
}

TEST_F(NamespaceTableTest, RefusedVolumeIsInaccessible) {
  auto& volume = add(1);
  volume.now_state = engine::VolumeState::refused;
  ASSERT_EQ(table.refresh().size(), 1U);
  EXPECT_EQ(table.view_for("h")->find(1)->ana_state, AnaState::inaccessible);
}

TEST_F(NamespaceTableTest, FailedVolumeIsServedForWhatItCanDo) {
  auto& volume = add(1);
  volume.now_state = engine::VolumeState::failed;
  const auto changes = table.refresh();
  ASSERT_EQ(changes.size(), 1U) << "a warning, and nothing else";
  EXPECT_TRUE(changes[0].failing);
  EXPECT_FALSE(changes[0].ana || changes[0].attributes);
}

TEST_F(NamespaceTableTest, GrowthIsAnAttributeChange) {
  auto& volume = add(1);
  volume.set_blocks(200);
  const auto changes = table.refresh();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].attributes);
  EXPECT_FALSE(changes[0].ana);
  EXPECT_EQ(table.describe(1, "h")->size.value, 200U);
}

TEST_F(NamespaceTableTest, RemovedNamespaceStaysValidForCommandsUnderWay) {
  add(1);
  auto view = table.view_for("h");
  Namespace* held = view->find(1);
  const auto version = table.version();
  EXPECT_TRUE(table.remove(1));
  EXPECT_NE(table.version(), version);
  EXPECT_EQ(table.view_for("h")->find(1), nullptr);
  EXPECT_EQ(held->volume, &blocks[0]);
  EXPECT_TRUE(held->removed);
  EXPECT_TRUE(table.has_removed());
  EXPECT_TRUE(blocks[0].holds().is_held());
  view.reset();
  EXPECT_FALSE(table.has_removed()) << "nobody keeps it";
  EXPECT_FALSE(blocks[0].holds().is_held());
  EXPECT_TRUE(table.add({.nsid = 1, .volume = &blocks[0], .hosts = {}}))
      << "its identifier is free";
}

}  // namespace
}  // namespace target::nvmf
