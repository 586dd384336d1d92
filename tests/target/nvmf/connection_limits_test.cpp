// Slow, stuck and greedy hosts: bounded memory, time-outs, and nobody else is hurt.
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;

using ConnectionLimits = ConnectionTest;

Sqe write_of(std::uint16_t command_id, std::uint32_t bytes) {
  return {.command_id = command_id, .opcode = 0x01, .sgl_length = bytes};
}

TEST_F(ConnectionLimits, HostThatDoesNotReadIsNotReadEither) {
  SimHost peer(sim, {.listener = "san-a", .output_bound_bytes = 256 * 1024});
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

// The time-out of Connect still runs when the host begins to owe something: the shorter one counts.
TEST_F(ConnectionLimits, AShortStallTimeoutCountsRightAfterConnect) {
  SimHost peer(sim, {.listener = "san-a", .connect_timeout = 10s, .stall_timeout = 1s});
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
  SimHost peer(
      sim, {.listener = "san-a", .buffer_floor_bytes = 2U << 20, .buffer_ceiling_bytes = 3U << 20});
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

class SmallMemory : public testing::Test {
 protected:
  SimReactor sim{engine::ByteCount{4U << 20}};
};

TEST_F(SmallMemory, GreedyHostLeavesBuffersForOthers) {
  SimHost greedy(sim);
  greedy.initialize();
  greedy.connect({.qid = 1, .entries = 128});
  greedy.serve_like_memory();
  for (std::uint16_t id = 0; id < 100; ++id) {
    greedy.send(capsule(greedy.link, write_of(id, 1U << 20)));
  }
  greedy.run();
  EXPECT_EQ(greedy.connection().held_buffer_bytes(), 2U << 20);  // the floor; it never sends data
  EXPECT_EQ(greedy.receive().size(), 2U);

  SimHost good(sim);
  good.initialize();
  good.connect();
  good.serve_like_memory();
  for (std::uint16_t id = 0; id < 20; ++id) {
    good.send_and_run(capsule(good.link, {.command_id = id, .sgl_length = 65536}));
    EXPECT_EQ(good.receive().size(), 2U);
    good.send_and_run(write_capsule(good.link, id, pattern(8192)));
    EXPECT_EQ(good.receive().size(), 1U);
  }
}

TEST_F(SmallMemory, WaitersForBuffersAreServedInTheOrderTheyCame) {
  // Two hosts hold everything; two more wait.
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(std::make_unique<SimHost>(sim));
    peers.back()->initialize();
    peers.back()->connect();
    peers.back()->record->on_execute = [](CommandPermit permit) {
      permit.lease_for_host(permit.command().entry.data_pointer.length);
    };
  }
  for (std::uint16_t id = 0; id < 2; ++id) {
    peers[0]->send_and_run(capsule(peers[0]->link, {.command_id = id, .sgl_length = 1U << 20}));
    peers[1]->send_and_run(capsule(peers[1]->link, {.command_id = id, .sgl_length = 1U << 20}));
  }
  EXPECT_EQ(peers[0]->record->parked.size() + peers[1]->record->parked.size(), 4U);
  peers[2]->send_and_run(capsule(peers[2]->link, {.command_id = 1, .sgl_length = 1U << 20}));
  peers[3]->send_and_run(capsule(peers[3]->link, {.command_id = 1, .sgl_length = 4096}));
  EXPECT_TRUE(peers[2]->record->parked.empty());
  EXPECT_TRUE(peers[3]->record->parked.empty());  // small, but behind
  EXPECT_GE(sim.counters.buffer_waits, 2U);
  EXPECT_FALSE(sim.reactor.run_turn());  // waiting does not spin

  peers[0]->resume().respond(status::success);
  peers[0]->run();
  EXPECT_EQ(peers[2]->record->parked.size(), 1U);
  EXPECT_TRUE(peers[3]->record->parked.empty());
  peers[1]->resume().respond(status::success);
  peers[1]->run();
  EXPECT_EQ(peers[3]->record->parked.size(), 1U);
}

TEST_F(SmallMemory, ACommandThatWaitsForABufferCanBeAborted) {
  SimHost hog(sim, {.listener = "san-a", .buffer_floor_bytes = 4U << 20});
  hog.initialize();
  hog.connect();
  for (std::uint16_t id = 0; id < 4; ++id) {
    hog.record->on_execute = [](CommandPermit permit) { permit.lease_for_host(1U << 20); };
    hog.send_and_run(capsule(hog.link, {.command_id = id, .sgl_length = 1U << 20}));
  }
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.record->on_execute = [](CommandPermit permit) { permit.lease_for_host(4096); };
  for (std::uint16_t id = 1; id <= 4; ++id) {
    peer.send_and_run(capsule(peer.link, {.command_id = id}));
  }
  EXPECT_TRUE(peer.record->parked.empty());
  EXPECT_FALSE(hog.connection().abort_waiting(0)) << "it has its buffer: it has started";
  EXPECT_FALSE(peer.connection().abort_waiting(5)) << "there is no such command";
  for (const std::uint16_t id : {std::uint16_t{2}, std::uint16_t{4}, std::uint16_t{1}}) {
    EXPECT_TRUE(peer.connection().abort_waiting(id));
    EXPECT_FALSE(peer.connection().abort_waiting(id)) << "once";
    peer.run();
    const auto answer = peer.receive_one();
    EXPECT_EQ(answer.command_id(), id);
    EXPECT_EQ(answer.status(), status::abort_requested);
  }
  // The one that is left is served, and so are those behind it.
  peer.send_and_run(capsule(peer.link, {.command_id = 2}));
  hog.resume().respond(status::success);
  peer.run();
  EXPECT_THAT(peer.record->ready, ElementsAre(3, 2));
}

TEST_F(SmallMemory, AdminQueueWorksWhileEveryBufferIsTaken) {
  SimHost hog1(sim);
  SimHost hog2(sim);
  for (SimHost* hog : {&hog1, &hog2}) {
    hog->initialize();
    hog->connect();
    hog->serve_like_memory();
    hog->send(capsule(hog->link, write_of(1, 1U << 20)));
    hog->send_and_run(capsule(hog->link, write_of(2, 1U << 20)));
  }
  EXPECT_EQ(sim.budget.used().value, 4U << 20);
  SimHost admin(sim);
  admin.initialize();
  // Connect with its data in the capsule, then Identify.
  admin.record->on_execute = [&](CommandPermit permit) {
    admin.port->bind({.qid = 0, .entries = 32});
    permit.respond(status::success);
  };
  admin.send_and_run(write_capsule(admin.link, 9, pattern(1024)));
  EXPECT_EQ(admin.receive_one().status(), status::success);
  admin.serve_like_memory();
  admin.send_and_run(capsule(admin.link, {.command_id = 1, .sgl_length = 4096}));
  EXPECT_EQ(admin.receive().size(), 2U);
}

TEST_F(SmallMemory, DataBehindACapsuleThatNeedsABufferIsStillRead) {
  // All memory is given out for R2Ts of this host, and it sends an in-capsule write before the
  // data.
  SimHost peer(sim, {.listener = "san-a", .buffer_floor_bytes = 4U << 20});
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  for (std::uint16_t id = 0; id < 4; ++id) {
    peer.send_and_run(capsule(peer.link, write_of(id, 1U << 20)));
  }
  const auto r2ts = peer.receive();
  ASSERT_EQ(r2ts.size(), 4U);
  EXPECT_EQ(sim.budget.used().value, 4U << 20);
  peer.send(write_capsule(peer.link, 10, pattern(8192)));
  for (const auto& r2t : r2ts) {
    const Bytes data = pattern(1U << 20, r2t.cccid());
    for (std::uint32_t at = 0; at < data.size(); at += 128 * 1024) {
      peer.send(host::h2c_data(peer.link,
                               {.cccid = r2t.cccid(),
                                .ttag = r2t.ttag(),
                                .offset = at,
                                .last = at + 128 * 1024 == data.size()},
                               std::span(data).subspan(at, 128 * 1024)));
    }
  }
  peer.run();
  EXPECT_EQ(peer.written.size(), 5U);
}

TEST_F(SmallMemory, InCapsuleCommandsWaitForBuffersWithoutLosingABytes) {
  SimHost hog(sim, {.listener = "san-a", .buffer_floor_bytes = 4U << 20});
  hog.initialize();
  hog.connect();
  hog.record->on_execute = [](CommandPermit permit) { permit.lease_for_host(1U << 20); };
  for (std::uint16_t id = 0; id < 4; ++id) {
    hog.send_and_run(capsule(hog.link, {.command_id = id, .sgl_length = 1U << 20}));
  }
  ASSERT_EQ(hog.record->parked.size(), 4U);
  SimHost peer(sim);
  peer.initialize({.hdgst = true, .ddgst = true});
  peer.connect({.qid = 1, .entries = 64});
  peer.serve_like_memory();
  std::vector<Bytes> sent;
  for (std::uint16_t id = 0; id < 50; ++id) {
    sent.push_back(pattern(4096, id));
    peer.send(write_capsule(peer.link, id, sent.back()));
  }
  peer.run();
  EXPECT_TRUE(peer.written.empty());
  sim.clock.advance(10min);  // it is not the host's fault
  peer.run();
  EXPECT_FALSE(peer.closed());
  hog.resume().respond(status::success);
  peer.run();
  EXPECT_EQ(peer.written, sent);
  EXPECT_EQ(peer.receive().size(), 50U);
}

}  // namespace
}  // namespace target::nvmf
