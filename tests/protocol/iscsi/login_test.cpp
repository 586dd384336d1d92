// The login phase: stages, names, continuation, every refusal but those of CHAP.
#include "protocol/iscsi/login.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/iscsi/login_bench.h"

namespace protocol::iscsi {
namespace {

using namespace std::string_literals;

using LoginTest = LoginBench;

TEST_F(LoginTest, OneRequestIsEnough) {
  policy.admission.portal_group = 7;
  policy.admission.target_alias = "fast";
  const auto step =
      send(to_full_feature, names("SessionType=Normal HeaderDigest=CRC32C,None DataDigest=None "
                                  "InitialR2T=No MaxRecvDataSegmentLength=65536"));
  EXPECT_EQ(step.next, LoginNext::wants_session);
  EXPECT_EQ(policy.asked, 1U);
  EXPECT_EQ(policy.type, SessionType::normal);
  EXPECT_EQ(policy.initiator, host_name);
  EXPECT_EQ(policy.target, disk_name);
  EXPECT_EQ(policy.isid, to_full_feature.isid);
  EXPECT_EQ(login().initiator_name(), host_name);
  EXPECT_EQ(login().target_name(), disk_name);
  EXPECT_EQ(login().portal_group(), 7);
  EXPECT_EQ(login().cid(), 3);
  EXPECT_EQ(login().cmd_sn(), 77U);
  EXPECT_EQ(login().tsih(), 0);

  const auto last = login().finish(0x1234);
  EXPECT_EQ(last.next, LoginNext::full_feature);
  EXPECT_EQ(last.response.status, LoginStatus::success);
  EXPECT_EQ(last.response.isid, to_full_feature.isid);
  EXPECT_EQ(last.response.tsih, 0x1234);
  EXPECT_EQ(last.response.initiator_task_tag, 0x55U);
  EXPECT_EQ(last.response.current_stage, LoginStage::operational);
  EXPECT_EQ(last.response.next_stage, LoginStage::full_feature);
  EXPECT_TRUE(last.response.transit);
  EXPECT_FALSE(last.response.continues);
  EXPECT_EQ(pairs_of(last.text),
            "TargetPortalGroupTag=7 TargetAlias=fast HeaderDigest=CRC32C DataDigest=None "
            "InitialR2T=No MaxRecvDataSegmentLength=262144");
  const auto& held = login().parameters();
  EXPECT_TRUE(held.digests.header);
  EXPECT_FALSE(held.digests.data);
  EXPECT_FALSE(held.initial_r2t);
  EXPECT_EQ(held.send_data_segment_bytes, 65536U);
  EXPECT_EQ(held.receive_data_segment_bytes, 262144U);
  EXPECT_EQ(login().proof(), Login::Proof::none);
  EXPECT_EQ(login().fault(), std::nullopt);
}

// As open-iscsi does without CHAP.
TEST_F(LoginTest, ThroughBothStages) {
  auto step = send(to_operational, names("InitiatorAlias=host SessionType=Normal AuthMethod=None"));
  EXPECT_EQ(step.next, LoginNext::await_request);
  EXPECT_EQ(step.response.current_stage, LoginStage::security);
  EXPECT_EQ(step.response.next_stage, LoginStage::operational);
  EXPECT_TRUE(step.response.transit);
  EXPECT_EQ(step.response.tsih, 0);
  EXPECT_EQ(pairs_of(step.text), "TargetPortalGroupTag=1 AuthMethod=None");

  step = send(to_full_feature,
              "HeaderDigest=None DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 "
              "IFMarker=No OFMarker=No ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes "
              "MaxBurstLength=16776192 FirstBurstLength=262144 MaxOutstandingR2T=1 "
              "MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes "
              "MaxRecvDataSegmentLength=262144");
  EXPECT_EQ(step.next, LoginNext::wants_session);
  EXPECT_EQ(login().initiator_alias(), "host");
  EXPECT_EQ(pairs_of(login().finish(1).text),
            "HeaderDigest=None DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 "
            "IFMarker=No OFMarker=No ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes "
            "MaxBurstLength=1048576 FirstBurstLength=262144 MaxOutstandingR2T=1 "
            "MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes "
            "MaxRecvDataSegmentLength=262144");
  EXPECT_EQ(policy.asked, 1U);
}

TEST_F(LoginTest, LibiscsiRepeatsWhoItIsInTheOperationalStage) {
  const auto who = names("InitiatorAlias=a SessionType=Normal");
  EXPECT_EQ(send(to_operational, who + " AuthMethod=CHAP,None").next, LoginNext::await_request);
  EXPECT_EQ(send(to_full_feature, who + " HeaderDigest=None").next, LoginNext::wants_session);
}

TEST_F(LoginTest, OperationalStageOfSeveralRequests) {
  auto step = send(in_operational, names("MaxBurstLength=8192"));
  EXPECT_EQ(step.next, LoginNext::await_request);
  EXPECT_FALSE(step.response.transit);
  EXPECT_EQ(pairs_of(step.text),
            "TargetPortalGroupTag=1 MaxBurstLength=8192 MaxRecvDataSegmentLength=262144");
  step = send(in_operational, "FirstBurstLength=4096");
  EXPECT_EQ(pairs_of(step.text), "FirstBurstLength=4096");
  EXPECT_EQ(send(to_full_feature, "").next, LoginNext::wants_session);
  EXPECT_TRUE(login().finish(1).text.empty());
}

TEST_F(LoginTest, StraightFromSecurityToTheFullFeaturePhase) {
  const auto step =
      send(leaving(LoginStage::security, LoginStage::full_feature),
           "InitiatorName=" + std::string(host_name) + " SessionType=Discovery AuthMethod=None");
  EXPECT_EQ(step.next, LoginNext::wants_session);
  const auto last = login().finish(5);
  EXPECT_EQ(last.response.current_stage, LoginStage::security);
  EXPECT_EQ(last.response.next_stage, LoginStage::full_feature);
  // Nothing of ours was declared: the defaults hold.
  EXPECT_EQ(login().parameters().receive_data_segment_bytes, 8192U);
}

TEST_F(LoginTest, DiscoveryHasNoTargetAndNoPortalGroup) {
  policy.admission.target_alias = "none";
  const auto step = send(to_full_feature, "InitiatorName=" + std::string(host_name) +
                                              " SessionType=Discovery MaxConnections=1 "
                                              "HeaderDigest=None");
  EXPECT_EQ(step.next, LoginNext::wants_session);
  EXPECT_EQ(policy.type, SessionType::discovery);
  EXPECT_EQ(policy.target, "");
  EXPECT_EQ(pairs_of(login().finish(5).text),
            "MaxConnections=Irrelevant HeaderDigest=None MaxRecvDataSegmentLength=262144");
}

TEST_F(LoginTest, DiscoveryThatNamesATargetIsDiscovery) {
  (void)send(to_full_feature, names("SessionType=Discovery"));
  EXPECT_EQ(policy.target, "");
}

TEST_F(LoginTest, NamesAreNormalised) {
  (void)send(to_full_feature,
             "InitiatorName=IQN.2001-04.com.Example:Host TargetName=iqn.2001-04.COM.example:DISK");
  EXPECT_EQ(policy.initiator, host_name);
  EXPECT_EQ(policy.target, disk_name);
}

TEST_F(LoginTest, TextThatGoesOnOverSeveralRequests) {
  const std::string text = text_from(names("MaxBurstLength=8192"));
  LoginRequest first = in_operational;
  first.continues = true;
  for (const std::size_t at : {0u, 10u, 20u}) {
    const auto step = send_text(first, std::string_view(text).substr(at, 10));
    EXPECT_EQ(step.next, LoginNext::await_request);
    EXPECT_TRUE(step.text.empty());
    EXPECT_FALSE(step.response.continues);
    EXPECT_FALSE(step.response.transit);
    EXPECT_EQ(policy.asked, 0U);
  }
  EXPECT_EQ(send_text(to_full_feature, std::string_view(text).substr(30)).next,
            LoginNext::wants_session);
  EXPECT_EQ(policy.initiator, host_name);
  EXPECT_EQ(login().parameters().max_burst_bytes, 8192U);
}

TEST_F(LoginTest, AnAnswerLongerThanAPduIsAskedForPieceByPiece) {
  std::string keys;
  for (int i = 0; i < 120; ++i) {
    keys += " X-" + std::string(57, 'k') + std::to_string(100 + i) + "=1";
  }
  LoginRequest continues = in_operational;
  continues.continues = true;
  const std::string text = text_from(names(keys));
  EXPECT_GT(text.size(), 7500U);
  ASSERT_TRUE(send_text(continues, std::string_view(text).substr(0, 4000)).text.empty());

  auto step = send_text(to_full_feature, std::string_view(text).substr(4000));
  EXPECT_EQ(step.next, LoginNext::await_request);
  EXPECT_EQ(step.text.size(), 8192U);
  EXPECT_TRUE(step.response.continues);
  EXPECT_FALSE(step.response.transit);
  std::string together = pairs_of(step.text);

  EXPECT_EQ(send(to_full_feature, "").next, LoginNext::wants_session);
  step = login().finish(1);
  EXPECT_FALSE(step.response.continues);
  EXPECT_TRUE(step.response.transit);
  together += pairs_of(step.text);
  EXPECT_TRUE(together.ends_with("=NotUnderstood MaxRecvDataSegmentLength=262144"));
}

TEST_F(LoginTest, WhileOurAnswerIsAskedForNothingIsSaid) {
  std::string keys;
  for (int i = 0; i < 120; ++i) {
    keys += " X-" + std::string(57, 'k') + std::to_string(100 + i) + "=";
  }
  ASSERT_TRUE(send(in_operational, names(keys)).response.continues);
  expect_refusal(send(in_operational, "A=B"), LoginStatus::initiator_error,
                 LoginFault::bad_continuation);
}

TEST_F(LoginTest, SendTargetsIsNotForTheLogin) {
  const auto step = send(in_operational, names("SendTargets=All"));
  EXPECT_EQ(step.next, LoginNext::await_request);
  EXPECT_TRUE(pairs_of(step.text).find("SendTargets=Reject") != std::string::npos);
}

TEST_F(LoginTest, MissingNames) {
  expect_refusal(send(to_full_feature, "TargetName=" + std::string(disk_name)),
                 LoginStatus::missing_parameter, LoginFault::initiator_name_missing);
  EXPECT_EQ(policy.asked, 0U);
}

TEST_F(LoginTest, MissingTargetName) {
  expect_refusal(send(to_full_feature, "InitiatorName=" + std::string(host_name)),
                 LoginStatus::missing_parameter, LoginFault::target_name_missing);
}

TEST_F(LoginTest, NoTextAtAll) {
  expect_refusal(send(to_full_feature, ""), LoginStatus::missing_parameter,
                 LoginFault::initiator_name_missing);
}

TEST_F(LoginTest, BadInitiatorName) {
  expect_refusal(send(to_full_feature, "InitiatorName=host TargetName=" + std::string(disk_name)),
                 LoginStatus::initiator_error, LoginFault::bad_initiator_name);
}

TEST_F(LoginTest, BadTargetNameIsNoTarget) {
  expect_refusal(
      send(to_full_feature, "InitiatorName=" + std::string(host_name) + " TargetName=disk"),
      LoginStatus::not_found, LoginFault::bad_target_name);
}

TEST_F(LoginTest, UnknownSessionType) {
  expect_refusal(send(to_full_feature, names("SessionType=Boot")),
                 LoginStatus::session_type_not_supported, LoginFault::bad_session_type);
}

TEST_F(LoginTest, AnotherNameLater) {
  (void)send(in_operational, names());
  expect_refusal(send(in_operational, "InitiatorName=iqn.2001-04.com.example:other"),
                 LoginStatus::initiator_error, LoginFault::changed_identity);
}

TEST_F(LoginTest, TwoNamesAtOnce) {
  expect_refusal(send(in_operational, names("TargetName=iqn.2001-04.com.example:other")),
                 LoginStatus::initiator_error, LoginFault::changed_identity);
}

TEST_F(LoginTest, AnotherSessionTypeLater) {
  (void)send(in_operational, names());
  expect_refusal(send(in_operational, "SessionType=Discovery"), LoginStatus::initiator_error,
                 LoginFault::changed_identity);
}

TEST_F(LoginTest, PolicyRefuses) {
  for (const auto status : {LoginStatus::not_found, LoginStatus::authorization_failure,
                            LoginStatus::target_removed, LoginStatus::service_unavailable}) {
    policy.admission.status = status;
    Login login(limits, policy, fixed_challenge());
    const auto step = login.take(to_full_feature, text_bytes(text_from(names())));
    EXPECT_EQ(step.next, LoginNext::close);
    EXPECT_EQ(step.response.status, status);
    EXPECT_TRUE(step.text.empty());
    EXPECT_EQ(login.fault(), LoginFault::refused);
  }
}

TEST_F(LoginTest, PolicyRedirects) {
  policy.admission.status = LoginStatus::moved_temporarily;
  policy.admission.redirect_address = "192.0.2.7:3260";
  const auto step = send(to_full_feature, names());
  expect_refusal(step, LoginStatus::moved_temporarily, LoginFault::refused);
  EXPECT_EQ(pairs_of(step.text), "TargetAddress=192.0.2.7:3260");
}

TEST_F(LoginTest, TheOwnerHasNoRoomForASession) {
  (void)send(to_full_feature, names());
  const auto step = login().fail(LoginStatus::out_of_resources);
  expect_refusal(step, LoginStatus::out_of_resources, LoginFault::refused);
  EXPECT_TRUE(step.text.empty());
}

TEST_F(LoginTest, TheOwnerGivesUpBetweenRequests) {
  (void)send(in_operational, names());
  expect_refusal(login().fail(LoginStatus::service_unavailable), LoginStatus::service_unavailable,
                 LoginFault::refused);
}

TEST_F(LoginTest, UnsupportedVersion) {
  LoginRequest request = to_full_feature;
  request.version_max = 2;
  request.version_min = 1;
  expect_refusal(send(request, names()), LoginStatus::unsupported_version,
                 LoginFault::unsupported_version);
}

TEST_F(LoginTest, AHigherVersionThatAlsoSpeaksOurs) {
  LoginRequest request = to_full_feature;
  request.version_max = 2;
  EXPECT_EQ(send(request, names()).next, LoginNext::wants_session);
}

// Every combination of T, C, CSG and NSG as a first request, and what of it can be.
TEST_F(LoginTest, EveryCombinationOfStagesAndFlags) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    if ((flags & 0x30) != 0) continue;
    LoginRequest request = in_security;
    request.transit = (flags & 0x80) != 0;
    request.continues = (flags & 0x40) != 0;
    request.current_stage = static_cast<LoginStage>((flags >> 2) & 3);
    request.next_stage = static_cast<LoginStage>(flags & 3);
    const unsigned current = (flags >> 2) & 3;
    const unsigned next = flags & 3;
    const bool stage_good = current < 2;
    const bool transit_good = !request.transit || (next > current && next != 2);
    const bool both = request.transit && request.continues;
    Login login(limits, policy, fixed_challenge());
    const auto step = login.take(request, text_bytes(text_from(names())));
    if (stage_good && transit_good && !both) {
      EXPECT_NE(step.next, LoginNext::close) << flags;
    } else {
      EXPECT_EQ(step.next, LoginNext::close) << flags;
      EXPECT_EQ(step.response.status, LoginStatus::initiator_error);
    }
  }
}

TEST_F(LoginTest, NoWayBackToSecurity) {
  (void)send(in_operational, names());
  expect_refusal(send(in_security, ""), LoginStatus::initiator_error, LoginFault::bad_stage);
}

TEST_F(LoginTest, NoStageIsSkippedWithoutSaying) {
  (void)send(in_security, names("AuthMethod=None"));
  expect_refusal(send(in_operational, ""), LoginStatus::initiator_error, LoginFault::bad_stage);
}

TEST_F(LoginTest, HeadersStayAsTheyAre) {
  for (int field = 0; field < 5; ++field) {
    Login login(limits, policy, fixed_challenge());
    ASSERT_EQ(login.take(in_operational, text_bytes(text_from(names()))).next,
              LoginNext::await_request);
    LoginRequest request = in_operational;
    if (field == 0) request.isid[5] ^= 1;
    if (field == 1) request.tsih = 1;
    if (field == 2) request.cid = 4;
    if (field == 3) request.initiator_task_tag = 1;
    if (field == 4) request.cmd_sn = 78;
    const auto step = login.take(request, {});
    EXPECT_EQ(step.next, LoginNext::close);
    EXPECT_EQ(login.fault(), LoginFault::changed_header) << field;
    // The answer is to the one that began.
    EXPECT_EQ(step.response.initiator_task_tag, 0x55U);
  }
}

TEST_F(LoginTest, ALoginWithoutEndEnds) {
  (void)send(in_operational, names());
  for (unsigned i = 1; i < most_login_requests; ++i) {
    ASSERT_EQ(send(in_operational, "").next, LoginNext::await_request);
  }
  expect_refusal(send(in_operational, ""), LoginStatus::initiator_error,
                 LoginFault::too_many_requests);
}

TEST_F(LoginTest, AContinuationWithoutEndEnds) {
  LoginRequest request = in_operational;
  request.continues = true;
  ASSERT_EQ(send_text(request, std::string(8192, '\0')).next, LoginNext::await_request);
  ASSERT_EQ(send_text(request, std::string(8192, '\0')).next, LoginNext::await_request);
  expect_refusal(send_text(request, std::string(1, '\0')), LoginStatus::initiator_error,
                 LoginFault::bad_text);
  EXPECT_EQ(login().text_error(), TextError::too_long);
}

TEST_F(LoginTest, ABombOfKeysEnds) {
  std::string keys;
  for (std::size_t i = 0; i < most_pairs; ++i) keys += " a=";
  expect_refusal(send(in_operational, names(keys)), LoginStatus::initiator_error,
                 LoginFault::bad_text);
  EXPECT_EQ(login().text_error(), TextError::too_many_pairs);
  EXPECT_EQ(policy.asked, 0U);
}

TEST_F(LoginTest, MalformedText) {
  expect_refusal(send_text(in_operational, text_from(names()) + "MaxBurstLength"),
                 LoginStatus::initiator_error, LoginFault::bad_text);
  EXPECT_EQ(login().text_error(), TextError::unterminated);
}

TEST_F(LoginTest, AKeyThatComesTwice) {
  (void)send(in_operational, names("MaxBurstLength=8192"));
  expect_refusal(send(in_operational, "MaxBurstLength=8192"), LoginStatus::initiator_error,
                 LoginFault::bad_negotiation);
  EXPECT_EQ(login().negotiation_fault(), NegotiationFault::repeated_key);
}

TEST_F(LoginTest, OperationalKeysInTheSecurityStage) {
  expect_refusal(send(in_security, names("MaxBurstLength=8192")), LoginStatus::initiator_error,
                 LoginFault::key_in_wrong_stage);
}

TEST_F(LoginTest, SecurityKeysInTheOperationalStage) {
  expect_refusal(send(in_operational, names("AuthMethod=None")), LoginStatus::initiator_error,
                 LoginFault::key_in_wrong_stage);
}

TEST_F(LoginTest, UnknownKeysAreAnsweredInBothStages) {
  auto step = send(to_operational, names("X-com.example.a=1 AuthMethod=None"));
  EXPECT_EQ(pairs_of(step.text),
            "TargetPortalGroupTag=1 X-com.example.a=NotUnderstood AuthMethod=None");
  step = send(in_operational, "Speed=9");
  EXPECT_EQ(pairs_of(step.text), "Speed=NotUnderstood MaxRecvDataSegmentLength=262144");
}

TEST_F(LoginTest, ARequiredDigestThatIsNotAgreedOnEndsTheLogin) {
  limits.header_digest = DigestPolicy::required;
  expect_refusal(send(to_full_feature, names("HeaderDigest=None")), LoginStatus::initiator_error,
                 LoginFault::bad_negotiation);
  EXPECT_EQ(login().negotiation_fault(), NegotiationFault::digest_required);
}

TEST_F(LoginTest, AConnectionThatJoinsASessionIsTheOwnersToJudge) {
  LoginRequest request = to_full_feature;
  request.tsih = 9;
  EXPECT_EQ(send(request, names()).next, LoginNext::wants_session);
  EXPECT_EQ(login().tsih(), 9);
  const auto step = login().fail(LoginStatus::session_does_not_exist);
  EXPECT_EQ(step.response.tsih, 9);
}

TEST(LoginFaults, EveryFaultHasAText) {
  for (int fault = 0; fault <= static_cast<int>(LoginFault::refused); ++fault) {
    EXPECT_NE(text_of(static_cast<LoginFault>(fault)), "unknown fault");
  }
}

}  // namespace
}  // namespace protocol::iscsi
