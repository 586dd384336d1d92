// Reads that are answered from where they lie in the cache.
#include <deque>

#include "tests/target/net/fake_pins.h"
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t read_bytes = 128U << 10;
constexpr std::size_t ceiling = 4U << 20;

// Reads give pattern(length, command id), in pieces of 40,000 bytes; where the connection may not
// have more pinned, it waits for a buffer as ever.
class InPlace : public ConnectionTest {
 protected:
  std::unique_ptr<SimHost> reader(NegotiatedLink link = {}, const ConnectionOptions& options = {}) {
    auto peer = std::make_unique<SimHost>(sim, options);
    peer->initialize(link);
    peer->connect({.qid = 1, .entries = 128});
    peer->serve_like_memory();
    peer->record->on_execute = [this](CommandPermit permit) {
      const std::uint32_t length = permit.command().entry.data_pointer.length;
      if (!permit.may_respond_in_place(length)) return permit.lease_for_host(length);
      auto& pins = kept.emplace_back(pattern(length, permit.command().entry.command_id), 40000);
      permit.respond_in_place(pins.read());
    };
    return peer;
  }
  static void ask(SimHost& peer, std::uint16_t command_id, std::size_t bytes = read_bytes) {
    peer.send_and_run(capsule(
        peer.link, {.command_id = command_id, .sgl_length = static_cast<std::uint32_t>(bytes)}));
  }
  // Everything that was asked for has come as it was, reads of `bytes` each.
  static void expect_data(SimHost& peer, std::vector<std::uint16_t> ids,
                          std::size_t bytes = read_bytes) {
    peer.wire->room = SimWire::unlimited;
    peer.run();
    for (const auto& pdu : peer.receive()) {
      if (pdu.type() != data_type) continue;
      ASSERT_FALSE(ids.empty());
      const Bytes data = pattern(bytes, ids.front());
      ASSERT_EQ(pdu.cccid(), ids.front()) << "in their order";
      EXPECT_TRUE(std::ranges::equal(pdu.data(), data));
      if (peer.link.ddgst) {
        EXPECT_EQ(get(pdu.bytes, pdu.pdo() + bytes, 4), engine::crc32c(data));
      }
      ids.erase(ids.begin());
    }
    EXPECT_THAT(ids, IsEmpty());
  }
  [[nodiscard]] std::size_t pinned() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(kept, [](const FakePins& pins) { return pins.is_pinned; }));
  }
  void pass(engine::Duration time, SimHost& peer) {
    sim.clock.advance(time);
    peer.run();
  }
  void TearDown() override { ASSERT_EQ(pinned(), 0U) << "and what is pinned ends here"; }

  std::deque<FakePins> kept;
};

TEST_F(InPlace, EveryByteArrivesAndNoBufferIsTaken) {
  for (const bool digests : {false, true}) {
    auto peer = reader({.hdgst = digests, .ddgst = digests});
    const std::uint64_t used = sim.budget.used().value;
    peer->wire->room = 1000;  // so that it can be looked at
    ask(*peer, 1);
    ask(*peer, 2);
    EXPECT_EQ(sim.budget.used().value, used);
    EXPECT_EQ(pinned(), 2U);
    EXPECT_GT(peer->connection().pinned_bytes(), 2 * read_bytes - 1000);
    EXPECT_EQ(peer->connection().held_buffer_bytes(), 0U);
    expect_data(*peer, {1, 2});
    EXPECT_EQ(pinned(), 0U);
    EXPECT_EQ(peer->connection().pinned_bytes(), 0U);
    EXPECT_EQ(peer->connection().outstanding_commands(), 0U);
  }
  EXPECT_EQ(sim.counters.pins_copied, 0U);
}

TEST_F(InPlace, WhatTheHostLeavesForTwoSecondsIsCopied) {
  auto peer = reader({.hdgst = true, .ddgst = true});
  peer->wire->room = 50'000;
  ask(*peer, 1);
  pass(1s, *peer);
  ask(*peer, 2);
  pass(999ms, *peer);
  EXPECT_EQ(pinned(), 2U);
  pass(1ms, *peer);
  EXPECT_EQ(pinned(), 1U) << "the younger one";
  pass(1s, *peer);
  EXPECT_EQ(pinned(), 0U);
  EXPECT_EQ(sim.counters.pins_copied, 2U);
  EXPECT_GE(peer->connection().held_buffer_bytes(), 2 * read_bytes - 50'000);
  expect_data(*peer, {1, 2});
  EXPECT_EQ(peer->connection().held_buffer_bytes(), 0U);
}

// Who reads all the time, but slowly, as little as who reads nothing.
TEST_F(InPlace, AHostThatReadsSlowlyKeepsNothingForLongEither) {
  ConnectionOptions patient;
  patient.limits.stall_timeout = {};
  auto peer = reader({}, patient);
  peer->wire->room = 10'000;
  ask(*peer, 1);
  for (int step = 0; step < 4; ++step) {
    pass(500ms, *peer);
    peer->wire->room += 1000;
  }
  EXPECT_EQ(pinned(), 0U);
  EXPECT_FALSE(peer->closed());
  expect_data(*peer, {1});
}

TEST_F(InPlace, WithoutMemoryForTheCopyTheConnectionEnds) {
  auto peer = reader();
  peer->wire->room = 1000;
  ask(*peer, 1);
  const std::uint64_t free = sim.budget.limit().value - sim.budget.used().value;
  const engine::ByteCount taken{free - read_bytes};
  ASSERT_TRUE(sim.budget.try_take(taken));
  pass(2s, *peer);
  sim.budget.give_back(taken);
  EXPECT_EQ(pinned(), 0U);
  EXPECT_TRUE(peer->closed());
  EXPECT_THAT(peer->record->ended, ElementsAre(EndReason::data_not_taken));
}

TEST_F(InPlace, WhatCannotBeCopiedEndsTheConnection) {
  auto peer = reader();
  peer->wire->room = 1000;
  ask(*peer, 1);
  kept.back().is_bad = true;
  pass(2s, *peer);
  EXPECT_EQ(pinned(), 0U);
  EXPECT_TRUE(peer->closed());
  EXPECT_THAT(peer->record->ended, ElementsAre(EndReason::data_unreadable));
}

TEST_F(InPlace, WhatTheKernelCannotReadEndsTheConnection) {
  auto peer = reader();
  peer->wire->room = 50'000;
  ask(*peer, 1);
  EXPECT_EQ(pinned(), 1U);
  peer->wire->unreadable = true;
  peer->wire->room = SimWire::unlimited;
  peer->run();
  EXPECT_EQ(pinned(), 0U);
  EXPECT_TRUE(peer->closed());
  EXPECT_THAT(peer->record->ended, ElementsAre(EndReason::data_unreadable));
}

TEST_F(InPlace, AConnectionThatEndsKeepsNothing) {
  auto peer = reader();
  peer->wire->room = 1000;
  ask(*peer, 1);
  ask(*peer, 2);
  peer->wire->broken = true;
  peer->run();
  EXPECT_TRUE(peer->closed());
  EXPECT_EQ(pinned(), 0U);
}

TEST_F(InPlace, AHostHasNoMorePinnedThanItMayHaveOfBuffers) {
  ConnectionOptions options;
  options.limits.output_bound_bytes = 2 * ceiling;
  auto peer = reader({}, options);
  peer->wire->room = 1000;
  constexpr std::uint16_t most = ceiling / read_bytes;
  std::vector<std::uint16_t> ids;
  for (std::uint16_t id = 1; id <= most + 1; ++id) {
    ask(*peer, id);
    ids.push_back(id);
  }
  EXPECT_EQ(pinned(), most);
  EXPECT_LE(peer->connection().pinned_bytes() + peer->connection().held_buffer_bytes(), ceiling);
  pass(2s, *peer);
  EXPECT_EQ(pinned(), 0U);
  EXPECT_LE(peer->connection().held_buffer_bytes(), ceiling);
  expect_data(*peer, ids);
  ask(*peer, 1);
  EXPECT_EQ(kept.size(), most + 1U) << "in place again";
  EXPECT_EQ(peer->record->ready.size(), 1U) << "but one";
}

TEST_F(InPlace, WhatIsRefusedIsRefusedAsEver) {
  auto peer = reader();
  peer->send_and_run(capsule(peer->link, {.command_id = 1, .sgl = 0x01, .sgl_length = 4096}));
  EXPECT_EQ(peer->receive_one().status(), status::sgl_descriptor_type_invalid);
  EXPECT_THAT(kept, IsEmpty());
}

}  // namespace
}  // namespace target::nvmf
