#include "target/block/volume_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::block {
namespace {

using engine::IoStatus;
using engine::VolumeIo;
using nvmf::HeldVolume;
using nvmf::TestReactor;
using testing::ElementsAre;
using namespace std::chrono_literals;

constexpr std::uint32_t block_bytes = 512;

// A slot of somebody's: what its request was told.
struct Slot {
  Slot() { request.context = this; }
  VolumeRequest request;
  std::vector<IoStatus> outcomes;
  int in_place = 0;
  std::function<void()> then;           // runs inside `done`
  std::function<void()> when_in_place;  // runs inside `in_place`
  std::vector<std::byte> data;
};
Slot& slot_of(VolumeRequest& request) { return *static_cast<Slot*>(request.context); }

void done(VolumeRequest& request, IoStatus outcome) noexcept {
  Slot& slot = slot_of(request);
  slot.outcomes.push_back(outcome);
  if (slot.then) slot.then();
}
void in_place(VolumeRequest& request) noexcept {
  Slot& slot = slot_of(request);
  ++slot.in_place;
  if (slot.when_in_place) slot.when_in_place();
}

// One queue or nexus.
struct Path final : VolumeRequests::Owner {
  explicit Path(Reactor& reactor) : requests(*this, reactor) {}
  [[nodiscard]] bool may_start() const override { return serves; }
  void end() {
    serves = false;
    requests.end();
  }
  bool serves = true;
  VolumeRequests requests;
};

class VolumeRequestTest : public testing::Test {
 protected:
  // `clock`: nullptr is the machine's.
  explicit VolumeRequestTest(const engine::Clock* clock = nullptr)
      : reactor(engine::ByteCount{4U << 20}, clock) {}
  void prepare(Slot& slot, VolumeIo::Kind kind, std::uint64_t lba, std::uint64_t blocks = 1,
               int value = 0) {
    slot.data.assign(blocks * block_bytes, static_cast<std::byte>(value));
    slot.request.volume = &shared;
    slot.request.io.kind = kind;
    slot.request.io.lba = {lba};
    slot.request.io.blocks = {blocks};
    slot.request.io.data = slot.data;
  }
  void write(Path& by, Slot& slot, std::uint64_t lba, std::uint64_t blocks = 1, int value = 1) {
    prepare(slot, VolumeIo::Kind::write, lba, blocks, value);
    by.requests.submit_ordered(slot.request, done);
  }
  // All that reached the volume and waits there.
  std::vector<std::uint64_t> held() {
    std::vector<std::uint64_t> lbas;
    for (const VolumeIo* io : volume.held()) lbas.push_back(io->lba.value);
    return lbas;
  }
  void end_first() { volume.end(*volume.held().front()); }
  int value_at(std::uint64_t lba) { return std::to_integer<int>(volume.block(lba)[0]); }

  TestReactor reactor;
  HeldVolume volume{engine::BlockSize{block_bytes}, 4096};
  BlockVolume shared{volume};
  Path path{reactor.get()};
  Path other{reactor.get()};
};

TEST_F(VolumeRequestTest, AnOrderedWriteWaitsForOneThatOverlapsItOfAnotherPath) {
  volume.hold = true;
  Slot first, second, beside;
  write(path, first, 10, 10);
  write(other, second, 15, 10, 2);
  write(other, beside, 40);
  EXPECT_THAT(held(), ElementsAre(10, 40));
  end_first();
  EXPECT_THAT(first.outcomes, ElementsAre(IoStatus::ok));
  reactor.run_until_idle();
  EXPECT_THAT(held(), ElementsAre(40, 15));
  end_first();
  end_first();
  EXPECT_THAT(second.outcomes, ElementsAre(IoStatus::ok));
  EXPECT_EQ(value_at(15), 2);
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, AReadDoesNotWait) {
  volume.hold = true;
  Slot writing, reading;
  write(path, writing, 10);
  prepare(reading, VolumeIo::Kind::read, 10);
  other.requests.submit(reading.request, done);
  EXPECT_THAT(held(), ElementsAre(10, 10));
  end_first();
  end_first();
  EXPECT_THAT(reading.outcomes, ElementsAre(IoStatus::ok));
}

TEST_F(VolumeRequestTest, TheSlotMayBeUsedAgainFromInsideDone) {
  Slot slot;
  slot.then = [&] {
    if (slot.outcomes.size() < 3) write(path, slot, slot.outcomes.size(), 1, 7);
  };
  write(path, slot, 0, 1, 7);
  EXPECT_EQ(slot.outcomes.size(), 3U);
  EXPECT_EQ(value_at(2), 7);
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, PiecesAreDoneInTurnAndNobodyComesBetween) {
  volume.hold = true;
  const std::vector<Extent> pieces{{{0}, {4}}, {{8}, {12}}};
  Slot trim, late, between;
  prepare(trim, VolumeIo::Kind::deallocate, 0);
  path.requests.submit_pieces(trim.request, pieces, done);
  EXPECT_THAT(held(), ElementsAre(0));
  write(other, late, 8);
  write(other, between, 5);  // none of the pieces
  EXPECT_THAT(held(), ElementsAre(0, 5));
  end_first();
  EXPECT_THAT(held(), ElementsAre(5, 8));
  end_first();
  EXPECT_EQ(trim.request.io.blocks.value, 4U);
  end_first();
  EXPECT_THAT(trim.outcomes, ElementsAre(IoStatus::ok));
  EXPECT_TRUE(late.outcomes.empty());
  reactor.run_until_idle();
  end_first();
  EXPECT_THAT(late.outcomes, ElementsAre(IoStatus::ok));
  EXPECT_EQ(value_at(8), 1);
}

TEST_F(VolumeRequestTest, AFailedPieceEndsTheRequest) {
  volume.hold = true;
  const std::vector<Extent> pieces{{{0}, {4}}, {{8}, {12}}};
  Slot trim;
  prepare(trim, VolumeIo::Kind::deallocate, 0);
  path.requests.submit_pieces(trim.request, pieces, done);
  volume.outcome = IoStatus::media_error;
  end_first();
  EXPECT_THAT(trim.outcomes, ElementsAre(IoStatus::media_error));
  EXPECT_TRUE(held().empty());
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, NoPieceIsBegunOnceTheOwnerMayNot) {
  volume.hold = true;
  const std::vector<Extent> pieces{{{0}, {4}}, {{8}, {12}}};
  Slot trim;
  prepare(trim, VolumeIo::Kind::deallocate, 0);
  path.requests.submit_pieces(trim.request, pieces, done);
  path.end();
  EXPECT_TRUE(trim.outcomes.empty());  // the volume has it
  end_first();
  EXPECT_THAT(trim.outcomes, ElementsAre(IoStatus::cancelled));
  EXPECT_TRUE(held().empty());
  EXPECT_TRUE(shared.write_order().idle());
}

// COMPARE AND WRITE: no write of another comes between the read and the write.
TEST_F(VolumeRequestTest, AHeldPlaceKeepsOthersOutFromReadToWrite) {
  volume.hold = true;
  Slot swap, rival;
  prepare(swap, VolumeIo::Kind::read, 20, 2, 9);
  path.requests.hold(swap.request, {{20}, {22}}, in_place, done);
  EXPECT_EQ(swap.in_place, 1);
  EXPECT_TRUE(swap.outcomes.empty());
  path.requests.submit(swap.request, done);
  write(other, rival, 21, 1, 3);
  EXPECT_THAT(held(), ElementsAre(20));
  end_first();
  EXPECT_THAT(swap.outcomes, ElementsAre(IoStatus::ok));
  reactor.run_until_idle();
  EXPECT_TRUE(held().empty()) << "the rival came between";
  prepare(swap, VolumeIo::Kind::write, 20, 2, 9);
  path.requests.submit(swap.request, done);
  reactor.run_until_idle();
  EXPECT_THAT(held(), ElementsAre(20));
  end_first();
  reactor.run_until_idle();
  EXPECT_TRUE(held().empty());
  path.requests.leave(swap.request);
  reactor.run_until_idle();
  EXPECT_THAT(held(), ElementsAre(21));
  end_first();
  EXPECT_EQ(value_at(20), 9);
  EXPECT_EQ(value_at(21), 3);
}

TEST_F(VolumeRequestTest, AHeldPlaceIsWaitedForAndMayBeLeftFromInside) {
  volume.hold = true;
  Slot writing, swap;
  write(other, writing, 20);
  swap.when_in_place = [&] { path.requests.leave(swap.request); };
  prepare(swap, VolumeIo::Kind::read, 20);
  path.requests.hold(swap.request, {{20}, {21}}, in_place, done);
  reactor.run_until_idle();
  EXPECT_EQ(swap.in_place, 0);
  end_first();
  EXPECT_EQ(swap.in_place, 0) << "told by the other path's completion, not by its own reactor";
  reactor.run_until_idle();
  EXPECT_EQ(swap.in_place, 1);
  EXPECT_TRUE(swap.outcomes.empty());
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, WhatWaitsCanBeTakenBackAndThoseBehindItGoOn) {
  volume.hold = true;
  Slot first, second, third, swap;
  write(path, first, 10, 10);
  write(path, second, 5, 10);
  write(other, third, 5, 2);  // behind the second alone
  prepare(swap, VolumeIo::Kind::read, 10);
  path.requests.hold(swap.request, {{10}, {11}}, in_place, done);
  EXPECT_FALSE(path.requests.cancel(first.request));  // the volume has it
  const auto is_second = [&](VolumeRequest& request) { return &request == &second.request; };
  EXPECT_EQ(path.requests.find_waiting(is_second), &second.request);
  EXPECT_EQ(other.requests.find_waiting(is_second), nullptr);
  EXPECT_TRUE(path.requests.cancel(second.request));
  EXPECT_TRUE(path.requests.cancel(swap.request));
  EXPECT_FALSE(path.requests.cancel(second.request));
  EXPECT_EQ(path.requests.find_waiting(is_second), nullptr);
  reactor.run_until_idle();
  EXPECT_THAT(held(), ElementsAre(10, 5));
  end_first();
  end_first();
  EXPECT_TRUE(second.outcomes.empty());
  EXPECT_EQ(swap.in_place, 0);
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, TheEndCancelsAllThatWaitAndNothingElse) {
  volume.hold = true;
  Slot first, second, swap, rival;
  write(path, first, 10);
  write(path, second, 10);
  prepare(swap, VolumeIo::Kind::read, 10);
  path.requests.hold(swap.request, {{10}, {11}}, in_place, done);
  write(other, rival, 10, 1, 5);
  path.end();
  EXPECT_TRUE(first.outcomes.empty());
  EXPECT_THAT(second.outcomes, ElementsAre(IoStatus::cancelled));
  EXPECT_THAT(swap.outcomes, ElementsAre(IoStatus::cancelled));
  EXPECT_EQ(swap.in_place, 0);
  end_first();
  EXPECT_THAT(first.outcomes, ElementsAre(IoStatus::ok));
  reactor.run_until_idle();
  end_first();
  EXPECT_THAT(rival.outcomes, ElementsAre(IoStatus::ok));
}

// Its place came free and the news was on its way when the owner ended: it must not start, or data
// of a dead session would land after a newer write.
TEST_F(VolumeRequestTest, WhatWasAdmittedBeforeTheEndIsNotStartedAfterIt) {
  volume.hold = true;
  Slot first, second;
  write(other, first, 10);
  write(path, second, 10);
  end_first();  // the news is posted
  path.end();
  EXPECT_TRUE(second.outcomes.empty());
  reactor.run_until_idle();
  EXPECT_THAT(second.outcomes, ElementsAre(IoStatus::cancelled));
  EXPECT_TRUE(held().empty());
  EXPECT_TRUE(shared.write_order().idle());
}

TEST_F(VolumeRequestTest, ASecondBufferCountsTowardsWhatItsVolumeHolds) {
  Slot slot;
  prepare(slot, VolumeIo::Kind::read, 0, 8);
  ASSERT_TRUE(path.requests.lease_second(slot.request, 6000));
  EXPECT_GE(slot.request.second.bytes().size(), 6000U);
  EXPECT_EQ(shared.buffers().held(), slot.request.second.bytes().size());
  path.requests.release_second(slot.request);
  path.requests.release_second(slot.request);
  EXPECT_EQ(shared.buffers().held(), 0U);
  EXPECT_FALSE(slot.request.second);
}

TEST_F(VolumeRequestTest, NoSecondBufferIsLeasedBeyondTheShare) {
  std::deque<Slot> slots;
  std::size_t got = 0;
  for (; got < 64; ++got) {
    Slot& slot = slots.emplace_back();
    prepare(slot, VolumeIo::Kind::read, 0, 8);
    if (!path.requests.lease_second(slot.request, 512U << 10)) break;
  }
  EXPECT_GT(got, 2U);
  EXPECT_LT(got, 8U) << "something of the 4 MiB must stay free";
  for (Slot& slot : slots) path.requests.release_second(slot.request);
  EXPECT_EQ(shared.buffers().held(), 0U);
}

TEST_F(VolumeRequestTest, AVerifyCountsTheEnginesBufferUntilItEnds) {
  volume.hold = true;
  Slot small, large;
  prepare(small, VolumeIo::Kind::verify, 0, 8);
  ASSERT_TRUE(path.requests.submit_verify(small.request, done));
  EXPECT_EQ(shared.buffers().held(), 8U * block_bytes);
  prepare(large, VolumeIo::Kind::verify, 0, 4096);
  ASSERT_TRUE(path.requests.submit_verify(large.request, done));
  EXPECT_EQ(shared.buffers().held(), 8U * block_bytes + (256U << 10));
  end_first();
  end_first();
  EXPECT_EQ(shared.buffers().held(), 0U);
  EXPECT_THAT(large.outcomes, ElementsAre(IoStatus::ok));
}

TEST_F(VolumeRequestTest, AVerifyIsNotBegunBeyondTheShare) {
  volume.hold = true;
  std::deque<Slot> slots;
  for (int i = 0; i < 64; ++i) {
    Slot& slot = slots.emplace_back();
    prepare(slot, VolumeIo::Kind::verify, 0, 4096);
    if (path.requests.submit_verify(slot.request, done)) continue;
    EXPECT_TRUE(slot.outcomes.empty());
    // What is done next in this slot has nothing of it.
    prepare(slot, VolumeIo::Kind::read, 0);
    path.requests.submit(slot.request, done);
    break;
  }
  ASSERT_LT(slots.size(), 64U);
  while (!volume.held().empty()) end_first();
  EXPECT_EQ(shared.buffers().held(), 0U);
  EXPECT_THAT(slots.back().outcomes, ElementsAre(IoStatus::ok));
}

struct StallClock {
  nvmf::ManualClock clock;
};
class StalledRequestTest : protected StallClock, public VolumeRequestTest {
 protected:
  StalledRequestTest() : VolumeRequestTest(&clock) {}
  void pass(engine::Duration time) {
    for (engine::Duration left = time;; left -= 50ms) {
      reactor.run_until_idle();
      reactor.run_until_idle();  // a timer is no activity
      if (left <= 0s) return;
      clock.advance(50ms);
    }
  }
  Slot first;
  Slot second;
};

// A silent disk is not asked: what came is held, in its place, until the disk answers.
TEST_F(StalledRequestTest, GoesOnWhenTheDiskAnswers) {
  volume.is_silent = true;
  write(path, first, 0, 1, 1);
  write(path, second, 0, 1, 2);
  EXPECT_TRUE(volume.seen.empty());
  EXPECT_EQ(shared.overload().counts().held, 1U) << "the other one waits behind it";
  pass(5s);
  EXPECT_TRUE(first.outcomes.empty());
  volume.is_silent = false;
  pass(1s);
  EXPECT_THAT(first.outcomes, ElementsAre(IoStatus::ok));
  EXPECT_THAT(second.outcomes, ElementsAre(IoStatus::ok));
  EXPECT_EQ(volume.block(0)[0], std::byte{2}) << "in the order they came";
  EXPECT_EQ(shared.overload().counts().held, 0U);
}

TEST_F(StalledRequestTest, EndsWhenItHasBeenHeldForLongEnough) {
  volume.is_silent = true;
  prepare(first, VolumeIo::Kind::read, 0);
  path.requests.submit(first.request, done);
  pass(9s);
  EXPECT_TRUE(first.outcomes.empty());
  pass(2s);
  EXPECT_THAT(first.outcomes, ElementsAre(IoStatus::no_room));
  // Asked for once more it is held anew.
  path.requests.submit(first.request, done);
  pass(9s);
  EXPECT_EQ(first.outcomes.size(), 1U);
  EXPECT_EQ(shared.overload().counts().held, 1U);
  pass(2s);
  EXPECT_EQ(first.outcomes.size(), 2U);
  EXPECT_TRUE(volume.seen.empty()) << "the disk was never asked";
}

TEST_F(StalledRequestTest, IsTakenBackAndDiesWithItsQueue) {
  volume.is_silent = true;
  write(path, first, 0);
  write(path, second, 4);
  const auto any = [](VolumeRequest&) { return true; };
  VolumeRequest* const found = path.requests.find_without_room(any);
  ASSERT_EQ(found, &first.request);
  EXPECT_TRUE(VolumeRequests::take_back(*found));
  EXPECT_TRUE(first.outcomes.empty()) << "soon, and not in there";
  pass(0s);
  EXPECT_THAT(first.outcomes, ElementsAre(IoStatus::cancelled));
  path.end();
  pass(0s);
  EXPECT_THAT(second.outcomes, ElementsAre(IoStatus::cancelled));
  EXPECT_EQ(shared.overload().counts().held, 0U);
}

// Two reactors, each with a path of its own, swap one counter forward: no increment is lost.
TEST_F(VolumeRequestTest, HeldPlacesOfTwoThreadsExcludeEachOther) {
  constexpr int rounds = 500;
  std::uint64_t counter = 0;  // behind the place alone
  const auto count_up = [&](Path& owner, TestReactor& own) {
    Slot slot;
    prepare(slot, VolumeIo::Kind::read, 0);
    int finished = 0;
    slot.when_in_place = [&] {
      ++counter;
      ++finished;
      owner.requests.leave(slot.request);
    };
    while (finished < rounds) {
      const int before = finished;
      owner.requests.hold(slot.request, {{0}, {1}}, in_place, done);
      while (finished == before) own.get().run_turn();
    }
  };
  std::thread second([&] {
    TestReactor own;
    Path owner(own.get());
    count_up(owner, own);
  });
  count_up(path, reactor);
  second.join();
  EXPECT_EQ(counter, 2U * rounds);
}

}  // namespace
}  // namespace target::block
