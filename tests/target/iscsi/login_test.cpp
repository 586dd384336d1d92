// Logins as IscsiTarget and the connection see them; how each key is negotiated is tested in
// tests/protocol/iscsi.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

using testing::HasSubstr;

class IscsiLogin : public SessionTest {
 protected:
  std::uint16_t status_of(const LoginFields& fields) {
    const ReceivedPdu response = try_login(connect(), fields);
    return response.u16(36);
  }
  static std::optional<std::string> answer(const ReceivedPdu& pdu, std::string_view key) {
    const auto keys = host::from_text(pdu.data);
    return keys ? host::value_of(keys.value(), key) : std::nullopt;
  }
};

TEST_F(IscsiLogin, ReachesTheFullFeaturePhase) {
  LoginFields fields;
  fields.keys = {{"InitiatorAlias", "first host"}, {"MaxRecvDataSegmentLength", "65536"}};
  Initiator& at = connect();
  const ReceivedPdu response = try_login(at, fields);
  EXPECT_EQ(response.u16(36), 0);
  EXPECT_NE(response.u16(14), 0) << "TSIH";
  EXPECT_EQ(response.u32(28), 1U) << "ExpCmdSN";
  EXPECT_EQ(response.u32(32), 128U) << "MaxCmdSN";
  EXPECT_EQ(answer(response, "TargetPortalGroupTag"), "1");
  EXPECT_EQ(answer(response, "TargetAlias"), "store A");
  EXPECT_EQ(answer(response, "MaxRecvDataSegmentLength"), "262144");
  EXPECT_TRUE(at.wire->settled);
  const TargetStatus status = target().status();
  ASSERT_EQ(status.sessions.size(), 1U);
  const SessionSnapshot& session = status.sessions[0];
  EXPECT_EQ(session.target_name, node_a);
  EXPECT_EQ(session.initiator_name, initiator_1);
  EXPECT_EQ(session.initiator_alias, "first host");
  EXPECT_EQ(session.isid, 0x8000'0000'0001U);
  EXPECT_EQ(session.tsih, response.u16(14));
  EXPECT_EQ(session.listener, "san-a");
  EXPECT_EQ(session.authentication, "none");
  EXPECT_EQ(status.logins, 1U);
  EXPECT_TRUE(logged("session begins initiator=" + initiator_1));
}

TEST_F(IscsiLogin, NamesAreComparedInLowerCase) {
  LoginFields fields;
  fields.initiator = "IQN.2026-11.COM.example:Host1";
  fields.target = "iqn.2026-11.com.EXAMPLE:store.a";
  EXPECT_EQ(status_of(fields), 0);
}

TEST_F(IscsiLogin, WhatMayNotBeIsToldWithItsStatus) {
  LoginFields unknown_target;
  unknown_target.target = "iqn.2026-11.com.example:nothing";
  EXPECT_EQ(status_of(unknown_target), 0x0203);
  LoginFields not_here;
  not_here.target = node_b;
  EXPECT_EQ(status_of(not_here), 0x0203);
  LoginFields stranger;
  stranger.initiator = "iqn.2026-11.com.example:stranger";
  EXPECT_EQ(status_of(stranger), 0x0202);
  EXPECT_EQ(target().status().refused_logins, 3U);
  EXPECT_TRUE(logged("login refused initiator=iqn.2026-11.com.example:stranger"));
  EXPECT_TRUE(logged("not among the target's hosts"));
  options_.listener = "nowhere";
  EXPECT_EQ(status_of({}), 0x0301);
}

TEST_F(IscsiLogin, AnInitiatorOfAnotherNetworkIsRefused) {
  setup_.initiators = {{.name = initiator_1, .chap = {}, .networks = {"198.51.100.0/24"}}};
  EXPECT_EQ(status_of({}), 0x0202);
}

TEST_F(IscsiLogin, ASessionHasOneConnection) {
  Initiator& first = connect();
  const std::uint16_t tsih = try_login(first).u16(14);
  LoginFields second;
  second.request.session_handle = tsih;
  second.request.connection_id = 2;
  EXPECT_EQ(status_of(second), 0x0206);
  second.request.session_handle = static_cast<std::uint16_t>(tsih + 1);
  EXPECT_EQ(status_of(second), 0x020a);
  EXPECT_FALSE(first.closed());
}

TEST_F(IscsiLogin, ThereIsAnEndToSessions) {
  setup_.max_sessions = 1;
  login();
  LoginFields second;
  second.initiator = initiator_2;
  EXPECT_EQ(status_of(second), 0x0302);
}

TEST_F(IscsiLogin, ChapIsAskedOfThoseWhoHaveIt) {
  setup_.initiators = {
      {.name = initiator_1,
       .chap = ChapOptions{.initiator = {"user", "a secret of chap"}, .mutual = {}},
       .networks = {}}};
  // It goes into full feature phase without a word of authentication.
  EXPECT_EQ(status_of({}), 0x0201);
  EXPECT_EQ(target().status().failed_authentications, 1U);
  EXPECT_EQ(target().status().hosts.all().at(initiator_1).authentication_failures, 1U);
  LoginFields other;
  other.initiator = initiator_2;
  EXPECT_EQ(status_of(other), 0);

  Initiator& at = connect();
  host::LoginRequest request;
  request.current_stage = host::security_stage;
  request.next_stage = host::operational_stage;
  request.transit = false;
  at.send(host::to_pdu(request, host::to_text({{"InitiatorName", initiator_1},
                                               {"TargetName", node_a},
                                               {"AuthMethod", "CHAP,None"}})));
  run();
  EXPECT_EQ(answer(at.must(Opcode::login_response), "AuthMethod"), "CHAP");
  at.send(host::to_pdu(request, host::to_text({{"CHAP_A", "5"}})));
  run();
  const ReceivedPdu challenge = at.must(Opcode::login_response);
  const auto id = static_cast<std::uint8_t>(std::stoul(answer(challenge, "CHAP_I").value_or("0")));
  const std::string hex = answer(challenge, "CHAP_C").value_or("");
  Bytes bytes;
  for (std::size_t i = 2; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  }
  std::string response = "0x";
  for (const std::byte byte : host::chap_response(id, "a secret of chap", bytes)) {
    constexpr std::string_view digits = "0123456789abcdef";
    response += digits[std::to_integer<unsigned>(byte) >> 4];
    response += digits[std::to_integer<unsigned>(byte) & 15];
  }
  request.transit = true;
  at.send(host::to_pdu(request, host::to_text({{"CHAP_N", "user"}, {"CHAP_R", response}})));
  run();
  EXPECT_EQ(at.must(Opcode::login_response).u16(36), 0);
  request.current_stage = host::operational_stage;
  request.next_stage = host::full_feature_phase;
  at.send(host::to_pdu(request, {}));
  run();
  EXPECT_EQ(at.must(Opcode::login_response).u16(36), 0);
  const auto sessions = target().status().sessions;
  ASSERT_EQ(sessions.size(), 2U);
  EXPECT_EQ(sessions[1].authentication, "CHAP");
}

TEST_F(IscsiLogin, ALoginWithoutAnEndIsEnded) {
  Initiator& silent = connect();
  Initiator& slow = connect();
  host::LoginRequest request;
  request.transit = false;
  const Bytes first = host::encode(
      host::to_pdu(request,
                   host::to_text({{"InitiatorName", initiator_1}, {"TargetName", node_a}})),
      {});
  slow.send(Bytes(first.begin(), first.begin() + 40));
  run();
  advance(14s);
  EXPECT_FALSE(silent.closed());
  EXPECT_FALSE(slow.closed());
  advance(2s);
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(slow.closed());
  EXPECT_TRUE(logged("connection ended before login"));
}

TEST_F(IscsiLogin, ANegotiationThatGoesRoundIsEnded) {
  Initiator& at = connect();
  host::LoginRequest request;
  request.transit = false;
  at.send(host::to_pdu(request,
                       host::to_text({{"InitiatorName", initiator_1}, {"TargetName", node_a}})));
  int requests = 0;
  for (; requests < 1000 && !at.closed(); ++requests) {
    at.send(host::to_pdu(request, {}));
    run();
  }
  EXPECT_LT(requests, 100);
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiLogin, AnotherRequestBeforeTheEndOfLoginIsRefused) {
  Initiator& at = connect();
  at.send(at.command(client::scsi::test_unit_ready()));
  run();
  EXPECT_EQ(at.must(Opcode::login_response).u16(36), 0x020b);
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiLogin, RequiredDigestsMustBeOffered) {
  options_.data_digest = DigestPolicy::required;
  EXPECT_NE(status_of({}), 0);
  login({}, {.header_digest = false, .data_digest = true});
  EXPECT_TRUE(target().status().sessions[0].data_digest);
}

TEST_F(IscsiLogin, NothingSecretIsLogged) {
  setup_.initiators = {
      {.name = initiator_1,
       .chap = ChapOptions{.initiator = {"user", "a secret of chap"}, .mutual = {}},
       .networks = {}}};
  (void)status_of({});
  EXPECT_FALSE(logged("a secret of chap"));
}

}  // namespace
}  // namespace target::iscsi
