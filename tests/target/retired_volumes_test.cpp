#include "target/retired_volumes.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/volume/engine.h"

namespace target {
namespace {

class RetiredVolumesTest : public testing::Test {
 protected:
  // As a reload takes it out.
  block::BlockVolume& retire(const std::string& name) {
    engine::Volume* const volume = engine_->find(name);
    auto block = std::make_unique<block::BlockVolume>(*volume);
    block::BlockVolume& retired = *block;
    bool is_removed = false;
    engine_->remove_volume(name, [&](const auto& done) { is_removed = done.has_value(); });
    EXPECT_TRUE(engine_->settle(std::chrono::seconds(10)));
    while (engine_->find(name) != nullptr) (void)engine_->settle(std::chrono::seconds(1));
    volumes_.add(std::move(block));
    return retired;
  }
  // Every reactor begins another turn.
  void turn() {
    for (const auto& task : std::exchange(posted_, {})) task();
  }
  // Everybody's looks and turns that it takes when nothing is in the way.
  void let_time_pass() {
    for (int i = 0; i < 20 && volumes_.count() != 0; ++i) {
      volumes_.look();
      turn();
      (void)engine_->settle(std::chrono::seconds(1));
    }
  }

  static engine::VolumeSpec volume(const std::string& name) {
    engine::VolumeSpec spec;
    spec.name = name;
    spec.pool = "mem";
    spec.size = {1 << 20};
    spec.block_size = {4096};
    return spec;
  }
  static engine::PoolSpec pool() {
    engine::PoolSpec spec;
    spec.kind = engine::PoolSpec::Kind::memory;
    spec.name = "mem";
    return spec;
  }

  std::unique_ptr<engine::Engine> engine_ =
      engine::Engine::open({pool()}, {volume("a"), volume("b")});
  std::vector<std::function<void()>> posted_;
  RetiredVolumes volumes_{*engine_, 2, [this](const auto& task) {
                            posted_.push_back(task);
                            posted_.push_back(task);
                          }};
};

TEST_F(RetiredVolumesTest, WhatNobodyHasGoesWhenEveryReactorHasBegunAnotherTurn) {
  retire("a");
  retire("b");
  EXPECT_EQ(volumes_.count(), 2U);
  volumes_.look();
  volumes_.look();
  EXPECT_EQ(volumes_.count(), 2U) << "a turn may still have it";
  ASSERT_EQ(posted_.size(), 4U);
  posted_[0]();
  posted_[2]();
  posted_[3]();
  posted_.erase(posted_.begin() + 2, posted_.end());
  posted_.erase(posted_.begin());
  volumes_.look();
  EXPECT_EQ(volumes_.count(), 1U) << "one reactor still is in the old turn, for the first";
  turn();
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 0U);
}

TEST_F(RetiredVolumesTest, OneThatIsHeldStays) {
  block::BlockVolume& volume = retire("a");
  std::optional<engine::HoldCount::Hold> held = volume.holds().take();
  const auto copy = std::make_unique<engine::HoldCount::Hold>(*held);
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 1U);
  EXPECT_TRUE(posted_.empty()) << "nobody is asked before it is left";
  held.reset();
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 1U) << "a copy is a hold of its own";
  *copy = {};
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 0U);
}

TEST_F(RetiredVolumesTest, ATurnThatWasUnderWayMayBeginSomethingMore) {
  block::BlockVolume& volume = retire("a");
  volumes_.look();
  volume.buffers().take(4096, {});  // a turn that had it already
  turn();
  volumes_.look();
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 1U) << "its command has a buffer";
  volume.buffers().give_back(4096, {});
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 0U);
}

TEST_F(RetiredVolumesTest, TheSameNameMayBeThereAgainBefore) {
  block::BlockVolume& volume = retire("a");
  auto held = std::make_unique<engine::HoldCount::Hold>(volume.holds().take());
  const auto added = engine_->add_volume(RetiredVolumesTest::volume("a"));
  ASSERT_TRUE(added.has_value()) << added.error();
  EXPECT_NE(added.value(), &volume.volume());
  held.reset();
  let_time_pass();
  EXPECT_EQ(volumes_.count(), 0U);
  EXPECT_EQ(engine_->find("a"), added.value());
}

}  // namespace
}  // namespace target
