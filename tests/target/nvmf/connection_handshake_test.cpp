// From accept to the first command after Connect.
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using ConnectionHandshake = ConnectionTest;

TEST_F(ConnectionHandshake, IcRespSaysWhatWasSettled) {
  SimHost peer(sim, {.listener = "san-a", .max_h2c_data_bytes = 64 * 1024});
  peer.send_and_run(host::ic_req(0, /*hpda=*/3, /*dgst=*/3, /*maxr2t=*/7));
  Bytes expected(128);
  host::put(expected, 0, 0x01, 1);
  host::put(expected, 2, 128, 1);
  host::put(expected, 4, 128, 4);
  host::put(expected, 11, 3, 1);          // both digests
  host::put(expected, 12, 64 * 1024, 4);  // MAXH2CDATA
  EXPECT_EQ(peer.receive_one().bytes, expected);
  EXPECT_TRUE(peer.port->link().header_digest);
  EXPECT_TRUE(peer.port->link().data_digest);
  EXPECT_EQ(peer.port->link().listener, "san-a");
  EXPECT_EQ(peer.port->link().peer_address, "192.0.2.1:51000");
}

TEST_F(ConnectionHandshake, DigestsAreNotGrantedWhereTheListenerRefusesThem) {
  SimHost peer(sim, {.listener = "san-a", .digests = DigestPolicy::refused});
  peer.send_and_run(host::ic_req(0, 0, 3, 0));
  EXPECT_EQ(get(peer.receive_one().bytes, 11, 1), 0U);
  EXPECT_FALSE(peer.port->link().data_digest);
}

TEST_F(ConnectionHandshake, HostWithoutRequiredDigestsIsRefusedAtDgst) {
  for (const std::uint8_t offered : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
    SimHost peer(sim, {.listener = "san-a", .digests = DigestPolicy::required});
    peer.send_and_run(host::ic_req(0, 0, offered, 0));
    const ReceivedPdu answer = peer.receive_one();
    EXPECT_EQ(answer.type(), term_req_type);
    EXPECT_EQ(answer.fes(), 6U);
    EXPECT_EQ(answer.fei(), 11U);
  }
  SimHost peer(sim, {.listener = "san-a", .digests = DigestPolicy::required});
  peer.initialize({.hdgst = true, .ddgst = true});
}

TEST_F(ConnectionHandshake, ConnectReachesTheExecutorWithItsData) {
  SimHost peer(sim);
  peer.initialize();
  const Bytes connect_data = pattern(1024);
  peer.send_and_run(capsule(
      peer.link, {.command_id = 5, .opcode = 0x7f, .sgl = 0x01, .sgl_length = 1024}, connect_data));
  ASSERT_THAT(peer.record->executed, ElementsAre(5));
  peer.resume().receive_from_host(1024);
  ASSERT_THAT(peer.record->ready, ElementsAre(5));
  const auto got = peer.parked().buffer.bytes().first(1024);
  EXPECT_TRUE(std::ranges::equal(got, connect_data));
  EXPECT_EQ(peer.parked().data_bytes, 1024U);
}

TEST_F(ConnectionHandshake, ConnectDataByR2TWorksToo) {
  SimHost peer(sim);
  peer.initialize();
  const Bytes connect_data = pattern(1024);
  peer.send_and_run(capsule(peer.link, {.command_id = 5, .opcode = 0x7f, .sgl_length = 1024}));
  peer.resume().receive_from_host(1024);
  peer.run();
  const ReceivedPdu r2t = peer.receive_one();
  ASSERT_EQ(r2t.type(), r2t_type);
  peer.send_and_run(host::h2c_data(
      peer.link, {.cccid = 5, .ttag = r2t.ttag(), .offset = 0, .last = true}, connect_data));
  ASSERT_THAT(peer.record->ready, ElementsAre(5));
  EXPECT_TRUE(std::ranges::equal(peer.parked().buffer.bytes().first(1024), connect_data));
}

TEST_F(ConnectionHandshake, SecondCommandBeforeConnectIsAnsweredIsAProtocolError) {
  SimHost peer(sim);
  peer.initialize();
  peer.send(capsule(peer.link, {.command_id = 1, .opcode = 0x7f}));
  peer.send_and_run(capsule(peer.link, {.command_id = 2, .opcode = 0x7f}));
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.type(), term_req_type);
  EXPECT_EQ(answer.fes(), 2U);
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::protocol_error));
}

TEST_F(ConnectionHandshake, RefusedConnectIsToldWhyBeforeTheEnd) {
  SimHost peer(sim);
  peer.initialize();
  peer.record->on_execute = [&](CommandPermit permit) {
    permit.respond(status::connect_invalid_host, 0x10000);
    peer.port->end(EndReason::refused);
  };
  peer.send_and_run(capsule(peer.link, {.command_id = 9, .opcode = 0x7f}));
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.status(), status::connect_invalid_host);
  EXPECT_EQ(get(answer.bytes, 8, 4), 0x10000U);
  EXPECT_TRUE(peer.wire->target_finished);
  EXPECT_FALSE(peer.closed());
  peer.wire->host_closed = true;
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::refused));
  EXPECT_TRUE(peer.record->destroyed);
}

TEST_F(ConnectionHandshake, SqHeadCountsCapsulesModuloTheQueue) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect({.qid = 1, .entries = 4});
  EXPECT_EQ(peer.connect_sq_head, 1U);
  peer.serve_like_memory();
  std::vector<unsigned> heads;
  for (std::uint16_t id = 0; id < 6; ++id) {
    peer.send_and_run(capsule(peer.link, {.command_id = id, .opcode = 0x00}));
    heads.push_back(peer.receive_one().sq_head());
  }
  EXPECT_THAT(heads, ElementsAre(2, 3, 0, 1, 2, 3));
}

TEST_F(ConnectionHandshake, WithoutSqFlowControlOnlyConnectReportsAHead) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect({.qid = 1, .entries = 4, .sq_flow_control_disabled = true});
  EXPECT_EQ(peer.connect_sq_head, 0xffffU);
  peer.serve_like_memory();
  for (std::uint16_t id = 0; id < 3; ++id) {
    peer.send_and_run(capsule(peer.link, {.command_id = id, .opcode = 0x00}));
    EXPECT_EQ(peer.receive_one().sq_head(), 0U);
  }
}

TEST_F(ConnectionHandshake, InCapsuleLimitGrowsWithTheIoQueueOnly) {
  struct Case {
    std::uint16_t qid;
    std::size_t bytes;
    bool accepted;
  };
  const Case cases[] = {{1, 65536, true}, {1, 65540, false}, {0, 8192, true}, {0, 8196, false}};
  for (const Case& c : cases) {
    SimHost peer(sim, {.listener = "san-a", .in_capsule_bytes = 65536});
    peer.initialize();
    peer.connect({.qid = c.qid, .entries = 8});
    peer.send_and_run(write_capsule(peer.link, 3, pattern(c.bytes)));
    EXPECT_EQ(peer.record->executed.size(), c.accepted ? 1U : 0U) << c.bytes;
    if (!c.accepted) {
      const ReceivedPdu answer = peer.receive_one();
      EXPECT_EQ(answer.type(), term_req_type);
      EXPECT_EQ(answer.fes(), 5U);
    }
  }
}

TEST_F(ConnectionHandshake, SilentHostIsClosedAfterTheIcReqTimeout) {
  SimHost peer(sim);
  sim.clock.advance(9999ms);
  peer.run();
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(2ms);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::connect_timeout));
  EXPECT_EQ(sim.counters.timeouts, 1U);
  // All that is known of a host before Connect.
  EXPECT_THAT(sim.log,
              ElementsAre(AllOf(StartsWith("connection ended before Connect peer=192.0.2.1:51000 "),
                                HasSubstr(" listener="), HasSubstr(" security=none reason=\""))));
}

TEST_F(ConnectionHandshake, IcReqInDripsDoesNotProlongTheTimeout) {
  SimHost peer(sim);
  const Bytes request = host::ic_req();
  for (std::size_t i = 0; i < 100; ++i) {
    peer.send_and_run(std::span(request).subspan(i, 1));
    sim.clock.advance(99ms);
  }
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(200ms);
  peer.run();
  EXPECT_TRUE(peer.closed());
}

TEST_F(ConnectionHandshake, HostThatNeverConnectsIsClosed) {
  SimHost peer(sim);
  sim.clock.advance(5s);
  peer.initialize();
  sim.clock.advance(9s);
  peer.run();
  EXPECT_FALSE(peer.closed());
  sim.clock.advance(1001ms);
  peer.run();
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::connect_timeout));
}

TEST_F(ConnectionHandshake, ConnectedHostMaySayNothingForEver) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  for (int hour = 0; hour < 24; ++hour) {
    sim.clock.advance(1h);
    peer.run();
  }
  EXPECT_FALSE(peer.closed());
}

}  // namespace
}  // namespace target::nvmf
