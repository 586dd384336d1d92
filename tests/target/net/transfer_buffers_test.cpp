// TransferBuffers by itself. How it behaves beneath a connection, under shortage and beside volumes
// that hang, is tested with NVMe/TCP (connection_buffers_test.cpp, connection_limits_test.cpp).
#include "target/net/transfer_buffers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#include "tests/target/net/sim_reactor.h"
#include "tests/target/nvmf/held_volume.h"

namespace target {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Holder : BufferHolder {
  Holder() : BufferHolder(buffer, volume) {}
  engine::BufferLease buffer;
  block::BlockVolume* volume = nullptr;
};

struct FakeOwner final : TransferBuffers::Owner {
  void buffer_granted(BufferHolder& holder) override {
    granted.push_back(&holder);
    if (when_granted) when_granted(holder);
  }
  void stream_granted(BufferHolder& holder) override { stream.push_back(&holder); }
  void stream_refused(BufferHolder& holder) override { refused.push_back(&holder); }
  void stream_goes_on() override { ++went_on; }
  [[nodiscard]] bool uses_reserve() const override { return reserve; }
  [[nodiscard]] bool stream_uses_reserve() const override { return reserve; }
  [[nodiscard]] bool is_ending() const override { return ending; }
  [[nodiscard]] ConnectionCounters& counters() override { return counted; }
  void look_again(engine::Instant) override { ++looks; }

  ConnectionCounters counted;
  std::vector<BufferHolder*> granted;
  std::vector<BufferHolder*> stream;
  std::vector<BufferHolder*> refused;
  std::function<void(BufferHolder&)> when_granted;
  int went_on = 0;
  int looks = 0;
  bool reserve = false;
  bool ending = false;
};

constexpr std::uint32_t mib = 1U << 20;

class TransferBuffersTest : public testing::Test {
 protected:
  ~TransferBuffersTest() override {
    for (Holder& slot : slots) buffers.release(slot);
    EXPECT_EQ(buffers.held_bytes(), 0U);
    EXPECT_EQ(shared.buffers().held(), 0U);
  }
  Holder& slot(block::BlockVolume* of = nullptr) {
    slots.emplace_back().volume = of;
    return slots.back();
  }
  // Until the pool has nothing any more.
  void take_all() {
    for (const std::uint32_t bytes : {mib, 4096U}) {
      while (auto lease = sim.reactor.lane().buffers().lease({bytes})) {
        others.push_back(std::move(*lease));
      }
    }
  }

  SimReactor sim{engine::ByteCount{32U << 20}};
  OutputQueue output;
  FakeOwner owner;
  nvmf::HeldVolume volume{engine::BlockSize{512}, 64};
  block::BlockVolume shared{volume};
  std::deque<Holder> slots;
  std::vector<engine::BufferLease> others;
  TransferBuffers buffers{owner, *sim.registry, output, 4 * mib};
};

TEST_F(TransferBuffersTest, ABufferIsGrantedAtOnceWhereThereIsOne) {
  Holder& a = slot();
  buffers.wait(a, 5000);
  EXPECT_THAT(owner.granted, ElementsAre(&a));
  EXPECT_GE(a.buffer.bytes().size(), 5000U);
  EXPECT_EQ(buffers.held_bytes(), a.buffer.bytes().size());
  EXPECT_FALSE(buffers.has_waiting());
}

TEST_F(TransferBuffersTest, TheCeilingHoldsForWhatDependsOnTheHost) {
  for (int i = 0; i < 6; ++i) buffers.wait(slot(&shared), mib);
  EXPECT_EQ(owner.granted.size(), 4U);
  EXPECT_TRUE(buffers.has_waiting());
  // With the output, it is still the host's.
  Holder& sent = slots[0];
  buffers.hand_over(sent);
  const auto data = sent.buffer.bytes();
  output.append_payload(data, std::move(sent.buffer));
  buffers.serve();
  EXPECT_EQ(owner.granted.size(), 4U);
  output.clear();
  buffers.serve();
  EXPECT_EQ(owner.granted.size(), 5U);
  buffers.release(slots[1]);
  buffers.serve();
  EXPECT_EQ(owner.granted.size(), 6U);
  EXPECT_FALSE(buffers.has_waiting());
}

TEST_F(TransferBuffersTest, WhatOneVolumeHasDoesNotCountAgainstAnother) {
  nvmf::HeldVolume other_volume{engine::BlockSize{512}, 64};
  block::BlockVolume other{other_volume};
  for (int i = 0; i < 4; ++i) {
    Holder& given = slot(&shared);
    buffers.wait(given, mib);
    buffers.give_to_volume(given);
  }
  ASSERT_EQ(owner.granted.size(), 4U);
  EXPECT_EQ(shared.buffers().held(), 4U * mib);
  EXPECT_EQ(buffers.held_by_host(), 0U);
  buffers.wait(slot(&shared), mib);
  EXPECT_EQ(owner.granted.size(), 4U);
  Holder& elsewhere = slot(&other);
  buffers.wait(elsewhere, mib);
  EXPECT_EQ(owner.granted.back(), &elsewhere);
  buffers.release(elsewhere);
  EXPECT_EQ(other.buffers().held(), 0U);
}

TEST_F(TransferBuffersTest, WhoWaitsCanBeFoundAndTakenOut) {
  take_all();
  Holder& a = slot();
  Holder& b = slot(&shared);
  Holder& c = slot();
  for (Holder* waiting : {&a, &b, &c}) buffers.wait(*waiting, 4096);
  EXPECT_THAT(owner.granted, IsEmpty());
  const auto find = [&](const Holder& wanted) {
    return buffers.find_waiting([&](const BufferHolder& holder) { return &holder == &wanted; });
  };
  EXPECT_EQ(find(c), &c);
  EXPECT_TRUE(buffers.stop_waiting(c));
  EXPECT_FALSE(buffers.stop_waiting(c));
  EXPECT_EQ(find(c), nullptr);
  EXPECT_TRUE(buffers.stop_waiting(b));
  others.clear();
  sim.reactor.run_turn();
  EXPECT_THAT(owner.granted, ElementsAre(&a));
  EXPECT_FALSE(buffers.has_waiting());
  buffers.wait(c, 4096);  // its place in the queue is gone, not the slot
  EXPECT_THAT(owner.granted, ElementsAre(&a, &c));
}

TEST_F(TransferBuffersTest, TheStreamIsBlockedByOneHolder) {
  take_all();
  Holder& a = slot(&shared);
  buffers.wait_in_stream(a, 4096);
  EXPECT_TRUE(buffers.blocks_stream());
  EXPECT_EQ(owner.went_on, 0);
  others.clear();
  sim.reactor.run_turn();
  EXPECT_THAT(owner.stream, ElementsAre(&a));
  EXPECT_EQ(owner.went_on, 1);
  EXPECT_FALSE(buffers.blocks_stream());
}

TEST_F(TransferBuffersTest, TheReserveServesWhereThePoolCannot) {
  take_all();
  owner.reserve = true;
  Holder& a = slot();
  buffers.wait(a, 4096);
  Holder& b = slot();
  buffers.wait_in_stream(b, 8192);
  EXPECT_THAT(owner.granted, ElementsAre(&a));
  EXPECT_THAT(owner.stream, ElementsAre(&b));
  EXPECT_FALSE(buffers.lease_now(slot(), mib)) << "more than one may take of the reserve";
}

TEST_F(TransferBuffersTest, ALongerBufferTakesOverWhatHasCome) {
  Holder& a = slot(&shared);
  ASSERT_TRUE(buffers.lease_now(a, 4096));
  std::ranges::fill(a.buffer.bytes(), std::byte{7});
  a.kept_bytes = 3000;
  ASSERT_TRUE(buffers.lease_now(a, mib));
  EXPECT_EQ(a.kept_bytes, 0U);
  EXPECT_EQ(a.buffer.bytes().size(), mib);
  EXPECT_EQ(std::ranges::count(a.buffer.bytes().first(3000), std::byte{7}), 3000);
  EXPECT_EQ(buffers.held_bytes(), mib);
  EXPECT_EQ(shared.buffers().held(), mib);
}

TEST_F(TransferBuffersTest, WhatHasComeStaysIfThereIsNoLongerBuffer) {
  Holder& a = slot(&shared);
  ASSERT_TRUE(buffers.lease_now(a, 4096));
  std::ranges::fill(a.buffer.bytes(), std::byte{7});
  take_all();
  a.kept_bytes = 3000;
  EXPECT_FALSE(buffers.lease_now(a, mib));
  EXPECT_EQ(a.kept_bytes, 3000U);
  EXPECT_EQ(std::ranges::count(a.buffer.bytes(), std::byte{7}), 4096);
  EXPECT_EQ(shared.buffers().held(), 4096U);
  EXPECT_FALSE(buffers.has_waiting()) << "nobody waits by it";
}

TEST_F(TransferBuffersTest, ASlotThatIsGrantedMayAskAgainFromInside) {
  Holder& a = slot();
  Holder& b = slot();
  owner.when_granted = [&](BufferHolder& holder) {
    if (&holder != &a || owner.granted.size() > 1) return;
    buffers.wait(b, 4096);
    buffers.release(a);
    buffers.wait(a, 8192);
  };
  buffers.wait(a, 4096);
  EXPECT_THAT(owner.granted, ElementsAre(&a, &b, &a));
  EXPECT_EQ(buffers.held_bytes(), 4096U + 8192);
}

TEST_F(TransferBuffersTest, NobodyIsServedAfterTheEnd) {
  take_all();
  buffers.wait(slot(), 4096);
  buffers.wait_in_stream(slot(), 4096);
  owner.ending = true;
  others.clear();
  sim.reactor.run_turn();
  EXPECT_THAT(owner.granted, IsEmpty());
  buffers.stop();
  EXPECT_FALSE(buffers.has_waiting());
  EXPECT_FALSE(buffers.stop_waiting(slots[0]));
  sim.reactor.run_turn();
  EXPECT_THAT(owner.stream, IsEmpty());
}

// A volume that is slow because it is to be: what is over its share is sent back, and the data of
// others behind it in the stream need not wait.
TEST_F(TransferBuffersTest, DataInTheStreamDoesNotWaitForWhatLimitsHoldBack) {
  const engine::Instant now = sim.reactor.now();
  shared.buffers().take(100 * mib, now);
  const block::Toll toll;
  shared.limiter().hold(toll);
  Holder& sent_back = slot(&shared);
  buffers.wait_in_stream(sent_back, 4096);
  EXPECT_THAT(owner.refused, ElementsAre(&sent_back));
  EXPECT_FALSE(buffers.blocks_stream());
  shared.limiter().let_go(toll, now);
  Holder& waits = slot(&shared);
  buffers.wait_in_stream(waits, 4096);
  EXPECT_TRUE(buffers.blocks_stream()) << "a volume that gets on is waited for";
  shared.buffers().give_back(100 * mib, now);
  buffers.serve();
  EXPECT_THAT(owner.stream, ElementsAre(&waits));
  EXPECT_EQ(owner.refused.size(), 1U);
}

}  // namespace
}  // namespace target
