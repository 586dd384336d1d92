// Pings, text, discovery and logout.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

class IscsiRequests : public SessionTest {
 protected:
  // Asks with one Text Request; all of the answer.
  host::Keys ask(Initiator& at, const host::Keys& keys) {
    Pdu pdu = at.request(Opcode::text);
    pdu.u32(20, host::no_tag);
    pdu.data = host::to_text(keys);
    at.send(pdu);
    run();
    Bytes text;
    for (;;) {
      const ReceivedPdu answer = at.must(Opcode::text_response);
      text.insert(text.end(), answer.data.begin(), answer.data.end());
      if (answer.final()) {
        EXPECT_EQ(answer.u32(20), host::no_tag);
        break;
      }
      EXPECT_NE(answer.u32(20), host::no_tag);
      if (answer.u32(20) == host::no_tag) break;
      Pdu more = at.request(Opcode::text);
      more.u32(16, pdu.u32(16)).u32(20, answer.u32(20));
      at.send(more);
      run();
    }
    const auto answered = host::from_text(text);
    EXPECT_TRUE(answered);
    return answered ? answered.value() : host::Keys{};
  }
  Initiator& discover(const std::string& initiator = initiator_1) {
    LoginFields fields;
    fields.initiator = initiator;
    fields.target = "";
    return login(fields);
  }
};

using Pair = std::pair<std::string, std::string>;

TEST_F(IscsiRequests, APingComesBackWithItsData) {
  Initiator& at = login({}, {.header_digest = true, .data_digest = true});
  for (const std::size_t bytes : {0, 1, 5, 512, 8000}) {
    Pdu ping = at.request(Opcode::nop_out);
    ping.u32(20, host::no_tag);
    ping.data = pattern(bytes);
    at.send(ping);
    run();
    const ReceivedPdu pong = at.must(Opcode::nop_in);
    EXPECT_EQ(pong.u32(16), ping.u32(16));
    EXPECT_EQ(pong.data, ping.data);
  }
}

TEST_F(IscsiRequests, APingIsAnsweredWhateverTheDisksDo) {
  Initiator& at = ready();
  first_.hold = true;
  for (int i = 0; i < 100; ++i) at.send(at.command(client::scsi::read(0, 8, block_bytes)));
  run();
  Pdu ping = at.immediate_request(Opcode::nop_out);
  at.send(ping.u32(20, host::no_tag));
  run();
  EXPECT_TRUE(at.take(Opcode::nop_in));
  EXPECT_FALSE(at.take(Opcode::data_in));
  advance(1h);
  EXPECT_FALSE(first_.held().empty());
}

TEST_F(IscsiRequests, DiscoveryShowsAnInitiatorWhatItMayUse) {
  EXPECT_EQ(ask(discover(), {{"SendTargets", "All"}}),
            (host::Keys{{"TargetName", node_a},
                        {"TargetAddress", "192.0.2.10:3260,1"},
                        {"TargetAddress", "192.0.2.10:3260,2"},
                        {"TargetName", node_b},
                        {"TargetAddress", "192.0.2.10:3260,2"}}));
  const std::string stranger = "iqn.2026-11.com.example:stranger";
  EXPECT_EQ(ask(discover(stranger), {{"SendTargets", "All"}}),
            (host::Keys{{"TargetName", node_b}, {"TargetAddress", "192.0.2.10:3260,2"}}));
  EXPECT_EQ(ask(discover(stranger), {{"SendTargets", node_a}}), host::Keys{});
}

TEST_F(IscsiRequests, ANormalSessionMayAskForItsOwnTarget) {
  Initiator& at = login();
  const host::Keys own{{"TargetName", node_a},
                       {"TargetAddress", "192.0.2.10:3260,1"},
                       {"TargetAddress", "192.0.2.10:3260,2"}};
  EXPECT_EQ(ask(at, {{"SendTargets", ""}}), own);
  EXPECT_EQ(ask(at, {{"SendTargets", node_a}}), own);
  EXPECT_EQ(ask(at, {{"SendTargets", "All"}}), own) << "see docs/decisions.md";
  EXPECT_EQ(ask(at, {{"SendTargets", node_b}}), (host::Keys{{"SendTargets", "Reject"}}));
}

TEST_F(IscsiRequests, ALongAnswerComesInPieces) {
  for (int i = 0; i < 300; ++i) {
    NodeOptions node;
    node.name = "iqn.2026-11.com.example:many." + std::to_string(i);
    node.initiators.allow_any = true;
    node.listeners = {"san-a", "san-b"};
    setup_.nodes.push_back(node);
  }
  LoginFields fields;
  fields.target = "";
  fields.keys = {{"MaxRecvDataSegmentLength", "512"}};
  const host::Keys answer = ask(login(fields), {{"SendTargets", "All"}});
  EXPECT_EQ(answer.size(), 300U * 3 + 5);
}

TEST_F(IscsiRequests, TextThatGoesOnIsPutTogether) {
  Initiator& at = discover();
  const Bytes text = host::to_text({{"SendTargets", "All"}});
  Pdu first = at.request(Opcode::text, 0x40);  // C, not F
  first.u32(20, host::no_tag);
  first.data.assign(text.begin(), text.begin() + 7);
  at.send(first);
  run();
  const ReceivedPdu more = at.must(Opcode::text_response);
  EXPECT_FALSE(more.final());
  EXPECT_TRUE(more.data.empty());
  Pdu second = at.request(Opcode::text);
  second.u32(16, first.u32(16)).u32(20, more.u32(20));
  second.data.assign(text.begin() + 7, text.end());
  at.send(second);
  run();
  const ReceivedPdu answer = at.must(Opcode::text_response);
  EXPECT_TRUE(answer.final());
  EXPECT_FALSE(answer.data.empty());
}

TEST_F(IscsiRequests, TextBombsAreRefused) {
  Initiator& at = discover();
  Pdu pdu = at.request(Opcode::text, 0x40);
  pdu.u32(20, host::no_tag);
  pdu.data = Bytes(8192, std::byte{'a'});
  at.send(pdu);
  run();
  std::uint32_t tag = at.must(Opcode::text_response).u32(20);
  for (int i = 0; i < 4; ++i) {
    Pdu more = at.request(Opcode::text, 0x40);
    more.u32(16, pdu.u32(16)).u32(20, tag);
    more.data = pdu.data;
    at.send(more);
    run();
    if (const auto answer = at.take(Opcode::text_response)) tag = answer->u32(20);
  }
  EXPECT_TRUE(at.take(Opcode::reject));
  EXPECT_EQ(ask(at, {{"SendTargets", "All"}}).size(), 5U);
}

TEST_F(IscsiRequests, ATextRequestWithATagOfNobodyIsRejected) {
  Initiator& at = login();
  Pdu pdu = at.request(Opcode::text);
  pdu.u32(20, 77);
  pdu.data = host::to_text({{"SendTargets", ""}});
  at.send(pdu);
  run();
  EXPECT_EQ(at.must(Opcode::reject).byte(2), 0x04);
}

TEST_F(IscsiRequests, WhatIsNotUnderstoodIsSaid) {
  Initiator& at = login();
  EXPECT_EQ(ask(at, {{"X-com.example.unheard", "1"}}),
            (host::Keys{{"X-com.example.unheard", "NotUnderstood"}}));
}

TEST_F(IscsiRequests, DiscoverySessionsTakeNoCommands) {
  Initiator& at = discover();
  at.send(at.command(client::scsi::test_unit_ready()));
  Pdu reset = at.immediate_request(Opcode::task_management, 0x85);
  at.send(reset);
  run();
  EXPECT_EQ(at.must(Opcode::reject).byte(2), 0x05);
  EXPECT_EQ(at.must(Opcode::reject).byte(2), 0x05);
  EXPECT_FALSE(at.closed());
  advance(3min);
  EXPECT_TRUE(at.closed()) << "it has done nothing for long";
}

TEST_F(IscsiRequests, LogoutEndsTheSessionInOrder) {
  Initiator& at = login();
  Pdu logout = at.request(Opcode::logout, 0x80);
  at.send(logout);
  run();
  const ReceivedPdu response = at.must(Opcode::logout_response);
  EXPECT_EQ(response.byte(2), 0);
  EXPECT_TRUE(at.wire->target_finished);
  EXPECT_TRUE(target().status().sessions.empty());
  EXPECT_TRUE(logged("session ended"));
  EXPECT_TRUE(logged("reason=\"logged out\""));
}

TEST_F(IscsiRequests, LogoutWaitsForWhatADiskWorksOn) {
  Initiator& at = ready();
  first_.hold = true;
  Pdu write = at.command(client::scsi::write(0, pattern(512), block_bytes));
  write.data = pattern(512);
  at.send(write);
  at.send(at.request(Opcode::logout, 0x80));
  run();
  EXPECT_FALSE(at.take(Opcode::logout_response));
  ASSERT_EQ(first_.held().size(), 1U);
  first_.end(*first_.held().front());
  run();
  EXPECT_TRUE(at.take(Opcode::logout_response));
  EXPECT_FALSE(at.take(Opcode::scsi_response));
}

TEST_F(IscsiRequests, LogoutOfOtherConnectionsIsAnswered) {
  Initiator& at = login();
  Pdu other = at.request(Opcode::logout, 0x81);
  at.send(other.u16(20, 9));
  Pdu recovery = at.request(Opcode::logout, 0x82);
  at.send(recovery);
  run();
  EXPECT_EQ(at.must(Opcode::logout_response).byte(2), 1);
  EXPECT_EQ(at.must(Opcode::logout_response).byte(2), 2);
  EXPECT_FALSE(at.closed());
  Pdu own = at.request(Opcode::logout, 0x81);
  at.send(own.u16(20, 1));
  run();
  EXPECT_EQ(at.must(Opcode::logout_response).byte(2), 0);
  EXPECT_TRUE(at.closed());
}

}  // namespace
}  // namespace target::iscsi
