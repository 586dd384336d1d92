// Who gets transfer buffers when memory is short, or when a volume hangs: nobody waits for ever,
// and nobody for somebody else's volume.
#include "tests/sim/rounds.h"
#include "tests/target/nvmf/connection_fixture.h"
#include "tests/target/nvmf/held_volume.h"

namespace target::nvmf {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t mib = 1U << 20;

class ShortMemory : public ConnectionTest {
 protected:
  // Somebody else has all but `left` bytes of the memory.
  void take_all_but(std::uint64_t left) {
    taken_ = sim.budget.limit().value - sim.budget.used().value - left;
    ASSERT_TRUE(sim.budget.try_take({taken_}));
  }
  void give_back(std::uint64_t bytes) {
    taken_ -= bytes;
    sim.budget.give_back({bytes});
  }
  void TearDown() override { sim.budget.give_back({taken_}); }

  std::unique_ptr<SimHost> host_with(QueueBinding binding = {.qid = 1, .entries = 32}) {
    auto made = std::make_unique<SimHost>(sim);
    made->initialize();
    made->connect(binding);
    made->serve_like_memory();
    return made;
  }
  // Takes `bytes` of buffer and does not answer.
  std::unique_ptr<SimHost> hog_of(std::uint32_t bytes, QueueBinding binding) {
    auto hog = host_with(binding);
    hog->record->on_data = nullptr;
    hog->send_and_run(capsule(hog->link, {.command_id = 1, .sgl_length = bytes}));
    EXPECT_EQ(hog->record->parked.size(), 1U);
    return hog;
  }
  // A host of 1 MiB writes that never sends their data.
  std::unique_ptr<SimHost> greedy_host(std::uint16_t commands) {
    auto greedy = host_with({.qid = 1, .entries = 128});
    for (std::uint16_t id = 0; id < commands; ++id) {
      greedy->send(capsule(greedy->link, write_of(id, 1U << 20)));
    }
    greedy->run();
    return greedy;
  }
  void expect_newcomer_served() {
    auto good = host_with();
    for (std::uint16_t id = 0; id < 20; ++id) {
      good->send_and_run(capsule(good->link, {.command_id = id, .sgl_length = 65536}));
      EXPECT_EQ(good->receive().size(), 2U);
      good->send_and_run(write_capsule(good->link, id, pattern(8192)));
      EXPECT_EQ(good->receive().size(), 1U);
    }
  }

 private:
  std::uint64_t taken_ = 0;
};

TEST_F(ShortMemory, GreedyHostLeavesBuffersForOthers) {
  take_all_but(4 * mib);
  auto greedy = greedy_host(100);
  EXPECT_EQ(greedy->connection().held_buffer_bytes(), mib);
  EXPECT_EQ(greedy->receive().size(), 1U);

  expect_newcomer_served();
}

// However many they are: what each may take shrinks with what is left.
TEST_F(ShortMemory, ManyGreedyHostsLeaveBuffersForOthers) {
  std::vector<std::unique_ptr<SimHost>> greedy;
  for (int i = 0; i < 200; ++i) greedy.push_back(greedy_host(8));
  expect_newcomer_served();
}

TEST_F(ShortMemory, OfThoseWhoWaitTheFirstIsServedFirst) {
  take_all_but(0);
  auto first = host_with();
  auto second = host_with();
  for (SimHost* peer : {first.get(), second.get()}) {
    peer->send_and_run(capsule(peer->link, {.command_id = 1, .sgl_length = 1U << 20}));
    EXPECT_THAT(peer->receive(), IsEmpty());
  }
  EXPECT_FALSE(sim.reactor.run_turn());  // waiting does not spin
  first->record->on_data = second->record->on_data = nullptr;
  give_back(2 * mib);
  first->run();
  EXPECT_EQ(first->record->parked.size(), 1U);
  EXPECT_THAT(second->record->parked, IsEmpty());
  first->resume().respond(status::success);
  first->run();
  EXPECT_EQ(second->record->parked.size(), 1U);
}

// If all who hold the data of one half waited for a buffer for the other, they could wait for ever.
TEST_F(ShortMemory, AHalfWhosePartnerHoldsABufferDoesNotWait) {
  auto peer = host_with();
  peer->record->on_execute = nullptr;
  peer->send_and_run(write_capsule(peer->link, 1, pattern(8192)));
  peer->send_and_run(capsule(peer->link, write_of(2, 65536)));
  ASSERT_EQ(peer->record->parked.size(), 2U);
  peer->parked(0).partner = &peer->parked(1);
  peer->parked(1).partner = &peer->parked(0);
  take_all_but(0);
  peer->resume(1).receive_from_host(65536);
  peer->run();
  EXPECT_THAT(peer->record->partners_lost, ElementsAre(2));
  const auto answer = peer->receive_one();
  EXPECT_EQ(answer.command_id(), 2);
  EXPECT_TRUE(answer.status().is(status::command_interrupted));
  peer->resume().respond(status::success);
  peer->run();
  EXPECT_EQ(peer->receive_one().command_id(), 1);
  EXPECT_EQ(peer->connection().held_buffer_bytes(), 0U);
}

TEST_F(ShortMemory, ACommandThatWaitsForABufferCanBeAborted) {
  auto hog = hog_of(mib, {.qid = 1, .entries = 32});
  take_all_but(0);
  auto peer = host_with();
  peer->record->on_execute = [](CommandPermit permit) { permit.lease_for_host(4096); };
  for (std::uint16_t id = 1; id <= 4; ++id) {
    peer->send_and_run(capsule(peer->link, {.command_id = id}));
  }
  EXPECT_THAT(peer->record->ready, IsEmpty());
  EXPECT_FALSE(hog->connection().abort_waiting(1)) << "it has its buffer: it has started";
  EXPECT_FALSE(peer->connection().abort_waiting(5)) << "there is no such command";
  for (const std::uint16_t id : {std::uint16_t{2}, std::uint16_t{4}, std::uint16_t{1}}) {
    EXPECT_TRUE(peer->connection().abort_waiting(id));
    EXPECT_FALSE(peer->connection().abort_waiting(id)) << "once";
    peer->run();
    const auto answer = peer->receive_one();
    EXPECT_EQ(answer.command_id(), id);
    EXPECT_EQ(answer.status(), status::abort_requested);
  }
  // The one that is left is served, and so are those behind it.
  peer->send_and_run(capsule(peer->link, {.command_id = 2}));
  give_back(mib);
  peer->run();
  EXPECT_THAT(peer->record->ready, ElementsAre(3, 2));
}

TEST_F(ShortMemory, AdminQueueWorksWhileEveryBufferIsTaken) {
  take_all_but(0);
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

// All memory is given out for R2Ts of this host, and it sends an in-capsule write before the data.
TEST_F(ShortMemory, DataBehindACapsuleThatNeedsABufferIsStillRead) {
  auto peer = host_with();
  for (std::uint16_t id = 0; id < 4; ++id) {
    peer->send_and_run(capsule(peer->link, write_of(id, 1U << 20)));
  }
  const auto r2ts = peer->receive();
  ASSERT_EQ(r2ts.size(), 4U);
  take_all_but(0);
  peer->send(write_capsule(peer->link, 10, pattern(8192)));
  for (const auto& r2t : r2ts) answer_r2t(*peer, r2t, pattern(1U << 20, r2t.cccid()), 128 * 1024);
  peer->run();
  EXPECT_EQ(peer->written.size(), 5U);
}

// The capsule came first to the end of the memory, the R2T goes out while it waits: the data of the
// R2T will lie behind the capsule.
TEST_F(ShortMemory, CapsuleThatWaitsGetsTheReserveOnceAnR2TGoesOut) {
  take_all_but(0);
  auto peer = host_with();
  peer->send_and_run(capsule(peer->link, write_of(1, 512)));
  peer->send_and_run(write_capsule(peer->link, 2, pattern(8192)));
  EXPECT_THAT(peer->receive(), IsEmpty());
  give_back(8192);  // enough for the small one, too little for the other
  peer->run();
  const auto r2ts = peer->receive();
  ASSERT_EQ(r2ts.size(), 2U);  // and the answer to the capsule
  answer_r2t(*peer, r2ts[0].type() == r2t_type ? r2ts[0] : r2ts[1], pattern(512), 512);
  peer->run();
  EXPECT_EQ(peer->written.size(), 2U);
}

// A to D have a large write that waits and a small one behind it; E waits in front of nobody.
TEST_F(ShortMemory, LargeWritesWithSmallOnesBehindThemAllEndWhenMemoryComesBack) {
  take_all_but(0);
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(host_with());
    peers.back()->send_and_run(capsule(peers.back()->link, write_of(1, 1U << 20)));
  }
  for (int i = 0; i < 4; ++i)
    peers[i]->send_and_run(write_capsule(peers[i]->link, 2, pattern(4096)));
  give_back(4 * mib);
  for (int round = 0; round < 10; ++round) {
    for (auto& peer : peers) {
      peer->run();
      for (const auto& pdu : peer->receive()) {
        if (pdu.type() == r2t_type) answer_r2t(*peer, pdu, pattern(1U << 20), 128 * 1024);
      }
      peer->run();
    }
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(peers[i]->written.size(), i < 4 ? 2U : 1U) << i;
}

TEST_F(ShortMemory, InCapsuleCommandsWaitForBuffersWithoutLosingABytes) {
  take_all_but(0);
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
  give_back(mib);
  peer.run();
  EXPECT_EQ(peer.written, sent);
  EXPECT_EQ(peer.receive().size(), 50U);
}

// The reserve and the memory are both taken; either helps.
class NothingLeft : public ShortMemory {
 protected:
  void SetUp() override {
    take_all_but(0);
    for (int i = 0; i < 16; ++i) hogs.push_back(hog_of(65536, {.qid = 0, .entries = 32}));
  }
  std::vector<std::unique_ptr<SimHost>> hogs;  // of the whole reserve
};

TEST_F(NothingLeft, AdminTransferGetsMemory) {
  auto admin = host_with({.qid = 0, .entries = 32});
  admin->send_and_run(capsule(admin->link, {.command_id = 1, .sgl_length = 4096}));
  EXPECT_THAT(admin->receive(), IsEmpty());
  give_back(mib);
  admin->run();
  EXPECT_EQ(admin->receive().size(), 2U);
}

TEST_F(NothingLeft, AdminTransferGetsTheReserve) {
  auto admin = host_with({.qid = 0, .entries = 32});
  admin->send_and_run(capsule(admin->link, {.command_id = 1, .sgl_length = 4096}));
  EXPECT_THAT(admin->receive(), IsEmpty());
  hogs[3]->resume().respond(status::success);
  admin->run();
  EXPECT_EQ(admin->receive().size(), 2U);
}

TEST_F(NothingLeft, AdminCapsuleGetsMemory) {
  auto admin = host_with({.qid = 0, .entries = 32});
  admin->send_and_run(write_capsule(admin->link, 1, pattern(4096)));
  EXPECT_THAT(admin->receive(), IsEmpty());
  give_back(mib);
  admin->run();
  EXPECT_EQ(admin->receive().size(), 1U);
}

TEST_F(NothingLeft, ReserveThatLiesInTheOutputOfAClosedConnectionComesBack) {
  // It also has a command that goes on, so that it is not destroyed yet.
  hogs[3]->record->on_execute = nullptr;
  hogs[3]->send_and_run(capsule(hogs[3]->link, {.command_id = 2, .opcode = 0x0c}));
  hogs[3]->wire->room = 0;
  hogs[3]->resume().respond_with_data(65536);
  hogs[3]->run();
  auto admin = host_with({.qid = 0, .entries = 32});
  admin->send_and_run(write_capsule(admin->link, 1, pattern(4096)));
  EXPECT_THAT(admin->receive(), IsEmpty());
  hogs[3]->wire->broken = true;
  hogs[3]->run();
  admin->run();
  EXPECT_EQ(admin->receive().size(), 1U);
}

// What is read while nobody has a buffer lies outside of the cap: it is little.
TEST_F(NothingLeft, InputThatCannotBeTakenIsHardlyRead) {
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 10; ++i) {
    peers.push_back(host_with({.qid = 0, .entries = 32}));
    for (std::uint16_t id = 0; id < 20; ++id) {
      peers.back()->send(write_capsule(peers.back()->link, id, pattern(8192)));
    }
    const std::size_t before = peers.back()->wire->to_target.size();
    peers.back()->run();
    if (i != 0) {
      EXPECT_LE(before - peers.back()->wire->to_target.size(), 8192U);
    }
  }
}

// Namespace 1 is a volume that hangs, 2 one that answers at once.
class HungVolume : public ConnectionTest {
 protected:
  ~HungVolume() override { sim.end_connections(); }

  // Together they ask for more than there is.
  static unsigned many_hosts() { return engine::is_short() ? 16 : 64; }
  static constexpr std::uint64_t memory = 64 * mib;
  static constexpr std::uint64_t most_of_one_volume = memory / 4 * 3;

  std::unique_ptr<SimHost> host_of_both(std::uint32_t entries = 128) {
    auto made = std::make_unique<SimHost>(sim);
    made->initialize();
    made->connect({.qid = 1, .entries = entries});
    serve(*made);
    return made;
  }
  void serve(SimHost& peer) {
    peer.record->volumes = {{1, &hung}, {2, &healthy}, {3, &hung_too}};
    peer.serve_like_memory();
    auto finish = peer.record->on_data;
    peer.record->on_data = [&peer, finish](CommandPermit permit) {
      if (permit.command().entry.nsid == 2) return finish(std::move(permit));
      peer.record->parked.push_back(&permit.park());
    };
  }
  // Runs and sends what R2Ts ask for; returns the other PDUs.
  std::vector<ReceivedPdu> run(SimHost& peer) {
    std::vector<ReceivedPdu> others;
    for (;;) {
      peer.run();
      const auto pdus = peer.receive();
      if (pdus.empty()) return others;
      for (const auto& pdu : pdus) {
        if (pdu.type() == r2t_type) {
          answer_r2t(peer, pdu, Bytes(pdu.offset() + pdu.length()), 128 * 1024);
        } else {
          others.push_back(pdu);
        }
      }
    }
  }
  // Everything that the host asks of the healthy volume is answered in this very turn.
  void expect_healthy(SimHost& peer) {
    for (std::uint16_t id = 1000; id < 1100; ++id) {
      peer.send(capsule(peer.link, {.command_id = id, .nsid = 2, .sgl_length = 65536}));
      ASSERT_EQ(run(peer).size(), 2U) << "read " << id;
      peer.send(capsule(peer.link, write_of(id, 1U << 20, 2)));
      ASSERT_EQ(run(peer).size(), 1U) << "write " << id;
      peer.send(write_capsule(peer.link, id, pattern(4096), 2));
      ASSERT_EQ(run(peer).size(), 1U) << "write in capsule " << id;
    }
  }
  // Everything that waits ends as soon as the volume goes on.
  void expect_all_end(SimHost& peer, std::size_t commands) {
    std::size_t answers = 0;
    for (int round = 0; round < 1000; ++round) {
      while (!peer.record->parked.empty()) peer.resume().respond(status::success);
      answers += run(peer).size();
    }
    EXPECT_EQ(answers, commands);
    EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
  }

  HeldVolume backing{engine::BlockSize{4096}, 16};
  block::BlockVolume hung{backing};
  block::BlockVolume hung_too{backing};
  block::BlockVolume healthy{backing};
};

TEST_F(HungVolume, LeavesOtherConnectionsTheirBuffers) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (unsigned i = 0; i < many_hosts(); ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 8; ++id) {
      victims.back()->send(capsule(victims.back()->link, write_of(id, 1U << 20)));
    }
    run(*victims.back());
  }
  EXPECT_LE(sim.budget.used().value, most_of_one_volume);
  EXPECT_GE(sim.budget.used().value, memory / 2) << "alone it may have most";
  EXPECT_EQ(hung.buffers().held(), sim.budget.used().value);
  expect_healthy(*host_of_both());
  // Nothing was lost.
  std::size_t answers = 0;
  for (int round = 0; round < 100; ++round) {
    for (auto& victim : victims) {
      while (!victim->record->parked.empty()) victim->resume().respond(status::success);
      answers += run(*victim).size();
    }
  }
  EXPECT_EQ(answers, std::size_t{many_hosts()} * 8);
  EXPECT_EQ(hung.buffers().held(), 0U);
}

TEST_F(HungVolume, ReadsLeaveOtherConnectionsTheirBuffersToo) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (unsigned i = 0; i < many_hosts(); ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 8; ++id) {
      victims.back()->send(
          capsule(victims.back()->link, {.command_id = id, .sgl_length = 1U << 20}));
    }
    run(*victims.back());
  }
  EXPECT_LE(sim.budget.used().value, most_of_one_volume);
  expect_healthy(*host_of_both());
}

TEST_F(HungVolume, SmallWritesInCapsulesLeaveOtherConnectionsTheirBuffers) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (int i = 0; i < 80; ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 120; ++id) {
      victims.back()->send(write_capsule(victims.back()->link, id, pattern(8192)));
    }
    run(*victims.back());
  }
  EXPECT_LE(sim.budget.used().value, most_of_one_volume + mib);
  expect_healthy(*host_of_both());
}

TEST_F(HungVolume, TwoOfThemLeaveSomethingStill) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (unsigned i = 0; i < many_hosts(); ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 8; ++id) {
      const std::uint32_t nsid = id % 2 == 0 ? 1 : 3;
      victims.back()->send(capsule(victims.back()->link, write_of(id, 1U << 20, nsid)));
    }
    run(*victims.back());
  }
  EXPECT_LE(sim.budget.used().value, memory / 7 * 6 + mib);
  expect_healthy(*host_of_both());
}

TEST_F(HungVolume, DoesNotHoldBackOthersOfTheSameConnection) {
  auto peer = host_of_both();
  for (std::uint16_t id = 0; id < 20; ++id) {
    peer->send(capsule(peer->link, write_of(id, 1U << 20)));
  }
  run(*peer);
  EXPECT_EQ(peer->record->parked.size(), 4U) << "what one connection may have on one volume";
  expect_healthy(*peer);
  expect_all_end(*peer, 20);
}

TEST_F(HungVolume, DoesNotHoldBackOthersOfTheSameConnectionWhenManyConnectionsUseBoth) {
  std::vector<std::unique_ptr<SimHost>> peers;
  for (unsigned i = 0; i < many_hosts(); ++i) {
    peers.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 8; ++id) {
      peers.back()->send(capsule(peers.back()->link, write_of(id, 1U << 20)));
    }
    run(*peers.back());
  }
  expect_healthy(*peers.front());
  expect_healthy(*peers.back());
}

// The stream stands still at a capsule whose data cannot be taken, so it is taken and thrown away.
TEST_F(HungVolume, CapsulesBeyondItsShareAreSentBackOnceItIsKnownToHang) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (int i = 0; i < 12; ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 4; ++id) {
      victims.back()->send(capsule(victims.back()->link, write_of(id, 1U << 20)));
    }
    run(*victims.back());
  }
  auto peer = host_of_both(1024);
  std::size_t sent = 0;
  const std::uint64_t room = sim.budget.limit().value - sim.budget.used().value;
  while (sent * 8192 < room) {
    peer->send(write_capsule(peer->link, static_cast<std::uint16_t>(sent++), pattern(8192)));
  }
  peer->send(write_capsule(peer->link, 999, pattern(4096), 2));
  EXPECT_THAT(run(*peer), IsEmpty()) << "it may only be slow";
  sim.clock.advance(block::BufferShare::patience);
  const auto answers = run(*peer);
  ASSERT_GE(answers.size(), 2U);
  EXPECT_EQ(answers.back().command_id(), 999U);
  EXPECT_EQ(answers.back().status(), status::success);
  for (std::size_t i = 0; i + 1 < answers.size(); ++i) {
    EXPECT_EQ(answers[i].status(), status::command_interrupted.with_retry_delay(1))
        << "as the executor says";
  }
  EXPECT_EQ(sim.counters.hang_refusals, answers.size() - 1);
  expect_healthy(*peer);
  expect_all_end(*peer, sent - sim.counters.hang_refusals);
}

// A volume that is merely slow makes its hosts wait; it sends nothing back.
TEST_F(HungVolume, CapsulesBeyondTheShareOfASlowVolumeWait) {
  std::vector<std::unique_ptr<SimHost>> victims;
  for (int i = 0; i < 12; ++i) {
    victims.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 4; ++id) {
      victims.back()->send(capsule(victims.back()->link, write_of(id, 1U << 20)));
    }
    run(*victims.back());
  }
  auto peer = host_of_both(1024);
  constexpr std::size_t commands = 1000;
  for (std::uint16_t id = 0; id < commands; ++id) {
    peer->send(write_capsule(peer->link, id, pattern(8192)));
  }
  std::size_t answered = 0;
  run(*peer);
  for (int round = 0; round < 5000 && answered < commands; ++round) {
    sim.clock.advance(500ms);
    for (auto* slow : {peer.get(), victims[static_cast<std::size_t>(round) % 12].get()}) {
      if (!slow->record->parked.empty()) slow->resume().respond(status::success);
    }
    for (const auto& answer : run(*peer)) {
      EXPECT_EQ(answer.status(), status::success);
      ++answered;
    }
  }
  EXPECT_EQ(answered, commands);
}

// Its disk still has them: they count towards the volume although nobody waits for them any more.
TEST_F(HungVolume, CommandsOfEndedConnectionsStillCount) {
  std::vector<std::unique_ptr<SimHost>> dead;
  for (int i = 0; i < 300; ++i) {
    dead.push_back(host_of_both());
    dead.back()->send(capsule(dead.back()->link, write_of(1, 1U << 20)));
    run(*dead.back());
    dead.back()->wire->broken = true;
    dead.back()->run();
  }
  EXPECT_LE(sim.budget.used().value, most_of_one_volume);
  EXPECT_EQ(hung.buffers().held(), sim.budget.used().value);
  expect_healthy(*host_of_both());
}

TEST_F(HungVolume, CapsuleThatWaitsWhenItsConnectionEndsLeavesNothingBehind) {
  std::vector<std::unique_ptr<SimHost>> peers;
  for (int i = 0; i < 80; ++i) {
    peers.push_back(host_of_both());
    for (std::uint16_t id = 0; id < 120; ++id) {
      peers.back()->send(write_capsule(peers.back()->link, id, pattern(8192)));
    }
    run(*peers.back());
  }
  sim.clock.advance(block::BufferShare::patience / 2);
  for (auto& peer : peers) {
    peer->wire->broken = true;
    peer->run();
  }
  for (auto& peer : peers) {
    while (!peer->record->parked.empty()) peer->resume().respond(status::success);
    peer->run();
    EXPECT_TRUE(peer->record->destroyed);
  }
  EXPECT_EQ(hung.buffers().held(), 0U);
}

}  // namespace
}  // namespace target::nvmf
