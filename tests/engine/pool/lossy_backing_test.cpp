// A backing some blocks of which are lost: an error until they are written, whatever is cut off.
#include "engine/pool/lossy_backing.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_lane.h"

namespace engine {
namespace {

// The record, which is changed when the test says so.
class HeldRecord final : public LostKeeper {
 public:
  void set_lost(const std::string& volume, const LostRanges& lost, LostDone done) override {
    EXPECT_EQ(volume, "db01");
    asked.push_back({lost, std::move(done)});
    if (!holds) settle();
  }
  void settle() {
    while (!asked.empty()) {
      auto [lost, done] = std::move(asked.front());
      asked.pop_front();
      if (fails) {
        done(std::string("no"));
        continue;
      }
      durable = lost;
      ++changes;
      done(boost::outcome_v2::success());
    }
  }

  LostRanges durable;
  std::deque<std::pair<LostRanges, LostDone>> asked;
  bool holds = false;
  bool fails = false;
  int changes = 0;
};

struct Io : BackingIo {
  std::vector<std::byte> bytes;
  bool has_ended = false;
  IoStatus status = IoStatus::ok;
};

class LossyBackingTest : public testing::Test {
 protected:
  using Kind = BackingIo::Kind;
  static constexpr ByteCount sector{512};

  LossyBackingTest() {
    EXPECT_TRUE(record.durable.add({.begin = {8}, .count = {8}}));
    make();
  }
  // As the next start finds it.
  void make() {
    auto sim = std::make_unique<SimBacking>(1_MiB);
    inner = sim.get();
    backing = std::make_unique<LossyBacking>(std::move(sim), "db01", record.durable, record);
  }
  Io& submit(Kind kind, std::uint64_t at, std::uint64_t sectors, bool durable = true) {
    Io& io = ios.emplace_back();
    io.kind = kind;
    io.durable = durable;
    io.offset = {at * 512};
    if (kind == Kind::read || kind == Kind::write) {
      io.bytes.assign(sectors * 512, std::byte{7});
      io.buffer = io.bytes;
    } else {
      io.length = {sectors * 512};
    }
    io.done = [](BackingIo& ended, IoStatus status) noexcept {
      auto& self = static_cast<Io&>(ended);
      EXPECT_FALSE(self.has_ended);
      self.has_ended = true;
      self.status = status;
    };
    backing->submit(lane, io);
    return io;
  }
  void go_on() {
    for (int turn = 0; turn < 5; ++turn) {
      lane.finish_turn();
      (void)lane.reap();
    }
  }
  IoStatus end(Io& io) {
    go_on();
    EXPECT_TRUE(io.has_ended);
    return io.status;
  }
  IoStatus read(std::uint64_t at, std::uint64_t sectors) {
    return end(submit(Kind::read, at, sectors));
  }

  MemoryBudget budget{1_MiB};
  SimLane lane{budget};
  HeldRecord record;
  SimBacking* inner = nullptr;
  std::unique_ptr<LossyBacking> backing;
  std::deque<Io> ios;
};

TEST_F(LossyBackingTest, ExactlyTheLostBlocksAreErrors) {
  EXPECT_EQ(read(0, 8), IoStatus::ok);
  EXPECT_EQ(read(16, 8), IoStatus::ok);
  EXPECT_EQ(read(0, 9), IoStatus::media_error);
  EXPECT_EQ(read(15, 1), IoStatus::media_error);
  EXPECT_EQ(inner->count(Kind::read), 2U);
  EXPECT_EQ(backing->lost_reads(), 2U) << "counted, and nothing else";
  inner->fail_nth(1, IoStatus::media_error);
  EXPECT_EQ(read(0, 8), IoStatus::media_error);
  EXPECT_EQ(backing->lost_reads(), 2U) << "the disk's own errors are another thing";
}

TEST_F(LossyBackingTest, WhatIsWrittenIsNotLostAnyMoreBeforeTheAnswer) {
  record.holds = true;
  Io& write = submit(Kind::write, 8, 4);
  go_on();
  EXPECT_FALSE(write.has_ended) << "the record still says that it is lost";
  EXPECT_EQ(read(8, 1), IoStatus::media_error);
  record.settle();
  EXPECT_EQ(end(write), IoStatus::ok);
  EXPECT_EQ(read(8, 4), IoStatus::ok);
  EXPECT_EQ(read(12, 1), IoStatus::media_error);
  EXPECT_TRUE(record.durable.holds({.begin = {12}, .count = {4}}));
  EXPECT_FALSE(record.durable.touches({.begin = {8}, .count = {4}}));
}

TEST_F(LossyBackingTest, TheRecordChangesOnlyBehindTheData) {
  inner->hold(true);
  Io& write = submit(Kind::write, 8, 8);
  go_on();
  EXPECT_EQ(record.changes, 0);
  inner->hold(false);
  inner->release_all();
  EXPECT_EQ(end(write), IoStatus::ok);
  EXPECT_EQ(record.changes, 1);
  inner->fail_nth(1, IoStatus::media_error);
  make();
}

TEST_F(LossyBackingTest, AWriteThatFailsLeavesThemLost) {
  inner->fail_nth(1, IoStatus::media_error);
  EXPECT_EQ(end(submit(Kind::write, 8, 8)), IoStatus::media_error);
  EXPECT_EQ(record.changes, 0);
  EXPECT_EQ(read(8, 8), IoStatus::media_error);
}

TEST_F(LossyBackingTest, WithoutItsRecordAWriteIsNotAnswered) {
  record.fails = true;
  EXPECT_EQ(end(submit(Kind::write, 8, 8)), IoStatus::unavailable);
  EXPECT_EQ(read(8, 8), IoStatus::media_error);
  record.fails = false;
  EXPECT_EQ(end(submit(Kind::write, 8, 8)), IoStatus::ok);
  EXPECT_EQ(read(8, 8), IoStatus::ok);
}

TEST_F(LossyBackingTest, ZeroedAndDiscardedIsWritten) {
  EXPECT_EQ(end(submit(Kind::zero_range, 8, 4)), IoStatus::ok);
  EXPECT_EQ(end(submit(Kind::discard, 0, 13)), IoStatus::ok);
  EXPECT_EQ(read(0, 13), IoStatus::ok);
  EXPECT_EQ(read(13, 1), IoStatus::media_error);
}

// Write-back: many writes, then a flush; nothing is known to be there before that.
TEST_F(LossyBackingTest, WhatIsNotDurableIsLostUntilTheSync) {
  EXPECT_EQ(end(submit(Kind::write, 8, 4, false)), IoStatus::ok);
  EXPECT_EQ(record.changes, 0);
  EXPECT_EQ(read(8, 4), IoStatus::media_error);
  record.holds = true;
  Io& sync = submit(Kind::sync, 0, 0);
  go_on();
  EXPECT_FALSE(sync.has_ended);
  record.settle();
  EXPECT_EQ(end(sync), IoStatus::ok);
  EXPECT_EQ(read(8, 4), IoStatus::ok);
  EXPECT_EQ(read(12, 4), IoStatus::media_error);
}

TEST_F(LossyBackingTest, ASyncSettlesOnlyWhatHasEndedBeforeIt) {
  inner->hold(true);
  Io& write = submit(Kind::write, 8, 8, false);
  Io& sync = submit(Kind::sync, 0, 0);
  inner->hold(false);
  inner->release_all();
  go_on();
  EXPECT_TRUE(write.has_ended && sync.has_ended);
  EXPECT_EQ(record.changes, 0);
  EXPECT_EQ(read(8, 8), IoStatus::media_error);
  EXPECT_EQ(end(submit(Kind::sync, 0, 0)), IoStatus::ok);
  EXPECT_EQ(read(8, 8), IoStatus::ok);
}

TEST_F(LossyBackingTest, AFailedSyncSettlesNothing) {
  EXPECT_EQ(end(submit(Kind::write, 8, 8, false)), IoStatus::ok);
  inner->fail_syncs(true);
  EXPECT_NE(end(submit(Kind::sync, 0, 0)), IoStatus::ok);
  inner->fail_syncs(false);
  inner->reopen();
  EXPECT_EQ(end(submit(Kind::sync, 0, 0)), IoStatus::ok);
  EXPECT_EQ(record.changes, 0) << "the kernel has forgotten it";
  EXPECT_EQ(read(8, 8), IoStatus::media_error);
}

TEST_F(LossyBackingTest, WhatIsGivenUpIsLostWhenItIsDurable) {
  record.holds = true;
  bool told = false;
  backing->add({100 * 512}, {512}, LossRecord::Asker::cache, [&told](const auto& added) {
    EXPECT_TRUE(added);
    told = true;
  });
  EXPECT_FALSE(told);
  EXPECT_FALSE(backing->holds({100 * 512}, {512}));
  record.settle();
  EXPECT_TRUE(told);
  EXPECT_TRUE(backing->holds({100 * 512}, {512}));
  EXPECT_FALSE(backing->holds({100 * 512}, {1024}));
  EXPECT_EQ(read(100, 1), IoStatus::media_error);
  make();
  EXPECT_EQ(read(100, 1), IoStatus::media_error) << "after a restart";
}

// What a write has brought that was given up behind it, nobody has any more.
TEST_F(LossyBackingTest, WhoAsksWhetherItIsLostTakesBackWhatWasNotSynced) {
  EXPECT_EQ(end(submit(Kind::write, 8, 8, false)), IoStatus::ok);
  EXPECT_TRUE(backing->holds({8 * 512}, {8 * 512}));
  EXPECT_EQ(end(submit(Kind::sync, 0, 0)), IoStatus::ok);
  EXPECT_EQ(read(8, 8), IoStatus::media_error);
}

TEST_F(LossyBackingTest, AFullRecordRefusesAndTheOthersGoOn) {
  record.holds = true;
  int added = 0;
  int refused = 0;
  for (std::uint64_t at = 0; at < 20; ++at) {
    backing->add({(100 + 2 * at) * 512}, {512}, LossRecord::Asker::cache,
                 [&](const auto& result) { ++(result ? added : refused); });
  }
  record.settle();
  EXPECT_EQ(added, static_cast<int>(LostRanges::most_added) - 1);
  EXPECT_EQ(refused, 20 - added);
  EXPECT_EQ(record.changes, 2) << "all that wait go with one change";
  EXPECT_EQ(backing->lost(), record.durable);
}

TEST_F(LossyBackingTest, HostsLeaveRoomForWhatCachesLose) {
  int added = 0;
  bool is_full = false;
  for (std::uint64_t at = 0; at < 10; ++at) {
    backing->add({(100 + 2 * at) * 512}, {512}, LossRecord::Asker::host, [&](const auto& result) {
      if (result) ++added;
      is_full = !result && result.error().is_full;
    });
  }
  EXPECT_EQ(added, static_cast<int>(LostRanges::most_by_hosts) - 1);
  EXPECT_TRUE(is_full);
  // What makes it no longer a list needs no room.
  backing->add({101 * 512}, {512}, LossRecord::Asker::host,
               [](const auto& result) { EXPECT_TRUE(result); });
  backing->add({200 * 512}, {512}, LossRecord::Asker::cache,
               [](const auto& result) { EXPECT_TRUE(result); });
  const auto listed = backing->listed();
  ASSERT_EQ(listed.size(), LostRanges::most_by_hosts);
  EXPECT_EQ(listed[1].offset, MediaOffset{100 * 512});
  EXPECT_EQ(listed[1].length, ByteCount{3 * 512});
}

TEST_F(LossyBackingTest, WithNothingLostItIsTheOtherOne) {
  EXPECT_EQ(end(submit(Kind::write, 8, 8)), IoStatus::ok);
  EXPECT_TRUE(backing->lost().empty());
  inner->hold(true);
  Io& io = submit(Kind::write, 8, 8);
  EXPECT_EQ(io.context, nullptr);
  inner->hold(false);
  inner->release_all();
  EXPECT_EQ(end(io), IoStatus::ok);
  EXPECT_EQ(record.changes, 1);
}

}  // namespace
}  // namespace engine
