// However a connection ends, each command is answered or dropped once, and nothing outlives it.
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using ConnectionEnd = ConnectionTest;

TEST_F(ConnectionEnd, HostThatClosesInOrder) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.wire->host_closed = true;
  peer.run();
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::closed_by_host));
  EXPECT_TRUE(peer.record->destroyed);
  EXPECT_EQ(sim.registry->size(), 0U);
}

TEST_F(ConnectionEnd, BrokenConnection) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.wire->broken = true;
  peer.run();
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::connection_lost));
  EXPECT_TRUE(peer.record->destroyed);
}

TEST_F(ConnectionEnd, BrokenWhileWriting) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send_and_run(capsule(peer.link, {.command_id = 1}));
  peer.wire->broken = true;
  peer.resume().respond(status::success);
  peer.run();
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::connection_lost));
  EXPECT_TRUE(peer.record->destroyed);
}

TEST_F(ConnectionEnd, ParkedCommandsKeepTheSlotsAliveUntilTheyAreAnswered) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send(capsule(peer.link, {.command_id = 1}));
  peer.send(write_capsule(peer.link, 2, pattern(4096)));
  peer.send_and_run(capsule(peer.link, {.command_id = 3}));
  peer.wire->host_closed = true;
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::closed_by_host));
  EXPECT_FALSE(peer.record->destroyed);
  EXPECT_EQ(peer.parked(1).data_bytes, 4096U);
  peer.resume().respond(status::success);
  peer.resume().receive_from_host(4096);  // late: dropped
  peer.run();
  EXPECT_FALSE(peer.record->destroyed);
  peer.resume().lease_for_host(4096);  // late: dropped
  peer.run();
  EXPECT_TRUE(peer.record->destroyed);
  EXPECT_EQ(sim.registry->size(), 0U);
  EXPECT_THAT(peer.receive(), IsEmpty());
}

TEST_F(ConnectionEnd, WhenTheDaemonStopsWhatIsUnderWayIsStillAnswered) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  (void)peer.receive();
  peer.send_and_run(capsule(peer.link, {.command_id = 1}));
  sim.registry->end(EndReason::stopping);
  peer.run();
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::stopping));
  EXPECT_THAT(peer.receive(), IsEmpty());
  peer.resume().respond(status::success);
  peer.run();
  EXPECT_THAT(peer.receive(), testing::Not(IsEmpty())) << "the host was left without an answer";
}

TEST_F(ConnectionEnd, CommandsTheConnectionHoldsAreDroppedUnseen) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  // One waits for H2CData, one for the rest of its capsule.
  peer.send(capsule(peer.link, {.command_id = 1, .opcode = 1, .sgl_length = 65536}));
  const Bytes capsule_of_2 = write_capsule(peer.link, 2, pattern(4096));
  peer.send_and_run(std::span(capsule_of_2).first(1000));
  peer.wire->host_closed = true;
  peer.run();
  EXPECT_TRUE(peer.record->destroyed);
  EXPECT_THAT(peer.record->ready, IsEmpty());
  EXPECT_THAT(peer.record->executed, ElementsAre(1));
  SimHost other(sim);  // its buffers are free again
  EXPECT_LE(sim.budget.used().value, 128U * 1024);
}

TEST_F(ConnectionEnd, DisconnectAnswersFirstAndWaitsForTheHostToClose) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.record->on_execute = [&](CommandPermit permit) {
    permit.respond(status::success);
    peer.port->end(EndReason::disconnected);
  };
  peer.send(capsule(peer.link, {.command_id = 1, .opcode = 0x7f}));
  peer.send_and_run(capsule(peer.link, {.command_id = 2}));
  EXPECT_EQ(peer.receive_one().command_id(), 1U);
  EXPECT_THAT(peer.record->executed, ElementsAre(1));
  EXPECT_FALSE(peer.closed());
  peer.send_and_run(Bytes(100000));  // thrown away
  EXPECT_TRUE(peer.wire->to_target.empty());
  peer.wire->host_closed = true;
  peer.run();
  EXPECT_TRUE(peer.record->destroyed);
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::disconnected));
}

TEST_F(ConnectionEnd, LingerIsBoundedEvenIfTheHostKeepsSending) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.port->end(EndReason::removed);
  for (int i = 0; i < 5; ++i) {
    peer.send_and_run(Bytes(1000));
    sim.clock.advance(500ms);
  }
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_TRUE(peer.record->destroyed);
}

TEST_F(ConnectionEnd, UnreadRepliesDoNotHoldTheEndUp) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  peer.wire->room = 10;
  peer.send_and_run(capsule(peer.link, {.command_id = 1}));
  peer.port->end(EndReason::stopping);
  peer.run();
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(3s);
  peer.run();
  EXPECT_TRUE(peer.record->destroyed);
}

TEST_F(ConnectionEnd, EndInsideExecuteTellsTheExecutorAfterwardsOnce) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  bool inside = false;
  peer.record->on_execute = [&](CommandPermit permit) {
    inside = true;
    peer.port->end(EndReason::keep_alive_timeout);
    peer.port->end(EndReason::removed);
    EXPECT_TRUE(peer.record->ended.empty());
    permit.respond(status::success);  // into nothing
    inside = false;
  };
  peer.send_and_run(capsule(peer.link, {.command_id = 1}));
  EXPECT_FALSE(inside);
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::keep_alive_timeout));
  EXPECT_THAT(peer.receive(), IsEmpty());
}

TEST_F(ConnectionEnd, WaitingForABufferLeavesTheQueue) {
  const engine::ByteCount all = sim.budget.limit();
  ASSERT_TRUE(sim.budget.try_take(all));
  auto gone = std::make_unique<SimHost>(sim);
  gone->initialize();
  gone->connect();
  gone->serve_like_memory();
  gone->send(capsule(gone->link, {.command_id = 1}));
  gone->send_and_run(write_capsule(gone->link, 2, pattern(4096)));
  SimHost next(sim);
  next.initialize();
  next.connect();
  next.serve_like_memory();
  next.send_and_run(capsule(next.link, {.command_id = 1}));
  gone->wire->broken = true;
  gone->connection().end(EndReason::removed);
  gone->run();
  sim.clock.advance(3s);
  gone->run();
  EXPECT_TRUE(gone->record->destroyed);
  sim.budget.give_back(all);
  next.run();
  EXPECT_EQ(next.receive().size(), 2U);
}

TEST_F(ConnectionEnd, EveryEndOfTheRegistryEndsEveryConnection) {
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 10; ++i) {
    peers.push_back(std::make_unique<SimHost>(sim));
    peers.back()->initialize();
    if (i % 2 == 0) peers.back()->connect();
  }
  sim.registry->end(EndReason::stopping);
  for (auto& peer : peers) {
    peer->run();
    peer->wire->host_closed = true;
    peer->run();
    EXPECT_THAT(peer->record->ended, ElementsAre(EndReason::stopping));
  }
  EXPECT_EQ(sim.registry->size(), 0U);
  EXPECT_EQ(sim.counters.opened, 10U);
  EXPECT_EQ(sim.counters.closed, 10U);
}

}  // namespace
}  // namespace target::nvmf
