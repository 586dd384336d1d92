#include "target/format_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using engine::IoStatus;
using testing::ElementsAre;
using namespace std::chrono_literals;

// Remembers in what order all was asked of it.
class FormattedDisk final : public nvmf::HeldVolume {
 public:
  using HeldVolume::HeldVolume;
  std::vector<std::string> steps;
  std::string keep_fails;
  bool formatting = true;

  [[nodiscard]] bool is_formatting() const override { return formatting; }
  void keep_formatting(bool now, KeepDone done) override {
    steps.push_back(now ? "kept" : "over");
    if (!keep_fails.empty()) return done(keep_fails);
    formatting = now;
    done(engine::success());
  }
  void submit(engine::IoLane& lane, engine::VolumeIo& io) override {
    EXPECT_TRUE(io.formats);
    EXPECT_EQ(io.kind, engine::VolumeIo::Kind::deallocate);
    steps.push_back(std::to_string(io.lba.value) + "+" + std::to_string(io.blocks.value));
    HeldVolume::submit(lane, io);
  }
};

class FormatRunTest : public testing::Test {
 protected:
  std::shared_ptr<FormatRun> make(engine::ByteCount piece = {4 * 512}) {
    ended.reset();
    return std::make_shared<FormatRun>(
        volume, reactor.get(), [this](const std::string& why) { ended = why; }, piece);
  }

  nvmf::ManualClock clock;
  nvmf::TestReactor reactor{engine::ByteCount{4U << 20}, &clock};
  FormattedDisk disk{engine::BlockSize{512}, 10};
  block::BlockVolume volume{disk};
  std::optional<std::string> ended;
};

TEST_F(FormatRunTest, IsKeptBeforeItsFirstPieceAndOverAfterItsLast) {
  std::fill(disk.block(9).begin(), disk.block(9).end(), std::byte{0x42});
  make()->start();
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept", "0+4", "4+4", "8+2", "over"));
  EXPECT_EQ(ended, "");
  EXPECT_FALSE(disk.formatting);
  EXPECT_EQ(disk.block(9)[511], std::byte{0});
  EXPECT_EQ(reactor.get().usage().residents, 0U);
}

TEST_F(FormatRunTest, NothingIsZeroedThatIsNotKept) {
  disk.keep_fails = "the disk is gone";
  make()->start();
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept"));
  EXPECT_EQ(ended, "the disk is gone");
  EXPECT_TRUE(disk.formatting);
}

TEST_F(FormatRunTest, APieceThatFailsIsTheEndAndNotTheEndOfTheFormat) {
  disk.hold = true;
  make()->start();
  reactor.run_until_idle();
  disk.end(*disk.held().front());
  ASSERT_EQ(disk.held().size(), 1U);
  EXPECT_EQ(volume.format_left(), 60);
  disk.outcome = IoStatus::media_error;
  disk.end(*disk.held().front());
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept", "0+4", "4+4"));
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->find("block 4 could not be made zeros: media error"), std::string::npos);
  EXPECT_TRUE(disk.formatting);
  disk.outcome = IoStatus::ok;
  disk.hold = false;
  make()->start();
  reactor.run_until_idle();
  EXPECT_EQ(ended, "") << "from its beginning";
  EXPECT_EQ(disk.steps.size(), 3U + 5U);
}

// Its place in the order is behind what was under way.
TEST_F(FormatRunTest, AWriteThatWasUnderWayIsOverwritten) {
  block::OrderedWrite before;
  before.begin = {5};
  before.end = {6};
  ASSERT_TRUE(volume.write_order().enter(before));
  make()->start();
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept", "0+4"));
  volume.write_order().leave(before);
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept", "0+4", "4+4", "8+2", "over"));
}

struct AnyOwner final : block::VolumeRequests::Owner {
  [[nodiscard]] bool may_start() const override { return true; }
};

// A piece may take long, and then the answer would be the same.
TEST_F(FormatRunTest, AHostsWriteIsRefusedAndDoesNotWaitForAPiece) {
  disk.hold = true;
  make()->start();
  reactor.run_until_idle();
  ASSERT_EQ(disk.held().size(), 1U);
  AnyOwner owner;
  block::VolumeRequests requests(owner, reactor.get());
  block::VolumeRequest write;
  std::optional<IoStatus> outcome;
  write.volume = &volume;
  write.context = &outcome;
  write.io.kind = engine::VolumeIo::Kind::write;
  write.io.lba = {1};
  write.io.blocks = {1};
  requests.submit_ordered(write, [](block::VolumeRequest& ended, IoStatus status) noexcept {
    *static_cast<std::optional<IoStatus>*>(ended.context) = status;
  });
  EXPECT_EQ(outcome, IoStatus::formatting);
  disk.hold = false;
  disk.end(*disk.held().front());
  reactor.run_until_idle();
  EXPECT_EQ(ended, "");
}

TEST_F(FormatRunTest, AFullCacheIsWaitedFor) {
  disk.outcome = IoStatus::no_room;
  make()->start();
  reactor.run_until_idle();
  EXPECT_THAT(disk.steps, ElementsAre("kept", "0+4"));
  EXPECT_FALSE(ended);
  disk.outcome = IoStatus::ok;
  clock.advance(100ms);
  for (int i = 0; i < 3; ++i) reactor.run_until_idle();  // a timer is no activity
  EXPECT_EQ(ended, "");
}

TEST_F(FormatRunTest, IsCancelledWhereverItIs) {
  for (const bool waits_for_room : {false, true}) {
    disk.steps.clear();
    disk.formatting = true;
    disk.hold = !waits_for_room;
    disk.outcome = waits_for_room ? IoStatus::no_room : IoStatus::ok;
    const auto run = make();
    run->start();
    reactor.run_until_idle();
    run->cancel();
    reactor.run_until_idle();
    if (!waits_for_room) disk.end(*disk.held().front());
    reactor.run_until_idle();
    ASSERT_TRUE(ended);
    EXPECT_NE(*ended, "");
    EXPECT_TRUE(disk.formatting) << "the next daemon goes on";
    EXPECT_EQ(reactor.get().usage().residents, 0U);
  }
}

}  // namespace
}  // namespace target
