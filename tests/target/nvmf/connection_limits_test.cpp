// Slow, stuck and greedy hosts: bounded memory, time-outs, and nobody else is hurt.
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;

using ConnectionLimits = ConnectionTest;

TEST_F(ConnectionLimits, HostThatDoesNotReadIsNotReadEither) {
  SimHost peer(sim, {.listener = "san-a", .limits = {.output_bound_bytes = 256 * 1024}});
  peer.initialize();
  peer.connect({.qid = 1, .entries = 64});
  peer.serve_like_memory();
  peer.wire->room = 64 * 1024;
  for (int i = 0; i < 1000; ++i) {
    peer.send(capsule(peer.link, {.command_id = static_cast<std::uint16_t>(i % 64)}));
    if (i % 16 == 0) peer.run();
  }
  peer.run();
  // One read of the socket may bring more than the bound, but not the whole flood.
  EXPECT_LE(peer.connection().output_bytes(), 256U * 1024 + 20 * 4200);
  EXPECT_LE(sim.budget.used().value, 2U << 20);
  EXPECT_FALSE(peer.wire->to_target.empty());
  // As soon as the host reads, everything is answered.
  std::size_t answers = 0;
  for (int i = 0; i < 1000 && answers < 2000; ++i) {
    answers += peer.receive().size();
    peer.run();
  }
  EXPECT_EQ(answers, 2000U);
  EXPECT_TRUE(peer.wire->to_target.empty());
  EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
}

TEST_F(ConnectionLimits, HostThatNeverReadsIsClosedAfterTheStallTimeout) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  peer.wire->room = 100;
  peer.send_and_run(capsule(peer.link, {.command_id = 1}));
  sim.clock.advance(29s);
  peer.run();
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(2s);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::idle_timeout));
  EXPECT_EQ(sim.registry->size(), 0U);
}

TEST_F(ConnectionLimits, HostThatOwesTheRestOfAPduIsClosedAfterTheStallTimeout) {
  const Bytes whole = write_capsule({}, 1, pattern(4096));
  for (const std::size_t part : {1U, 8U, 71U, 72U, 500U, 4000U}) {
    SimHost peer(sim);
    peer.initialize();
    peer.connect();
    peer.send_and_run(std::span(whole).first(part));
    sim.clock.advance(20s);
    peer.send_and_run(std::span(whole).subspan(part, 1));  // progress counts
    sim.clock.advance(20s);
    peer.run();
    EXPECT_FALSE(peer.closed());
    sim.clock.advance(15s);
    peer.run();
    EXPECT_TRUE(peer.closed()) << part;
    EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::idle_timeout));
  }
}

// Connect ends the watch over Connect, not the one over output that the host does not read.
TEST_F(ConnectionLimits, HostThatStoppedReadingBeforeConnectIsClosedAfterTheStallTimeout) {
  SimHost peer(sim);
  peer.initialize();
  peer.wire->room = 100;
  peer.record->on_execute = [](CommandPermit permit) {
    permit.respond(status::command_sequence_error);
  };
  for (std::uint16_t id = 0; id < 20; ++id) {
    peer.send_and_run(capsule(peer.link, {.command_id = id}));
  }
  peer.record->on_execute = [&](CommandPermit permit) {
    peer.port->bind({.qid = 1, .entries = 32});
    permit.respond(status::success);
  };
  peer.send_and_run(capsule(peer.link, {.command_id = 0xc0, .opcode = 0x7f}));
  sim.clock.advance(31s);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::idle_timeout));
}

// The time-out of Connect still runs when the host begins to owe something: the shorter one counts.
TEST_F(ConnectionLimits, AShortStallTimeoutCountsRightAfterConnect) {
  SimHost peer(sim, {.listener = "san-a", .connect_timeout = 10s, .limits = {.stall_timeout = 1s}});
  peer.initialize();
  peer.connect();
  const Bytes whole = write_capsule({}, 1, pattern(4096));
  peer.send_and_run(std::span(whole).first(100));
  sim.clock.advance(900ms);
  peer.run();
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(200ms);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::idle_timeout));
}

// Memory is there, and yet: what it does not read is not piled up for it.
TEST_F(ConnectionLimits, OneHostTiesUpNoMoreThanTheCeiling) {
  SimHost peer(sim, {.listener = "san-a", .limits = {.buffer_ceiling_bytes = 3U << 20}});
  peer.initialize();
  peer.connect({.qid = 1, .entries = 64});
  peer.serve_like_memory();
  peer.wire->room = 1024;
  for (std::uint16_t id = 0; id < 32; ++id) {
    peer.send_and_run(capsule(peer.link, {.command_id = id, .sgl_length = 1U << 20}));
  }
  EXPECT_LE(sim.budget.used().value, 3U << 20);
  EXPECT_GT(sim.budget.used().value, 0U);
}

TEST_F(ConnectionLimits, HostThatOwesDataOfAnR2TIsClosedAndItsBufferFreed) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  peer.send_and_run(capsule(peer.link, write_of(1, 1U << 20)));
  EXPECT_EQ(peer.connection().held_buffer_bytes(), 1U << 20);
  sim.clock.advance(31s);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(sim.registry->size(), 0U);
}

TEST_F(ConnectionLimits, SlowHostThatMakesProgressIsNotClosed) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  const Bytes data = pattern(4096);
  const Bytes whole = write_capsule(peer.link, 1, data);
  for (std::size_t at = 0; at < whole.size(); at += 256) {
    peer.send_and_run(std::span(whole).subspan(at, std::min<std::size_t>(256, whole.size() - at)));
    sim.clock.advance(25s);
    peer.run();
  }
  EXPECT_THAT(peer.written, ElementsAre(data));
  EXPECT_FALSE(peer.closed());
}

TEST_F(ConnectionLimits, SilentConnectionHoldsNoTransferBuffer) {
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 100; ++i) {
    peers.push_back(std::make_unique<SimHost>(sim));
    peers.back()->initialize();
    peers.back()->send_and_run(Bytes(7));
  }
  EXPECT_EQ(sim.budget.used().value, 0U);
  EXPECT_LE(sizeof(Connection), 3072U);
}

}  // namespace
}  // namespace target::nvmf
