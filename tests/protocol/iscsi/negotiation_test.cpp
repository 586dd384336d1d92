// Every key with good values, bad values, in both phases and both kinds of session.
#include "protocol/iscsi/negotiation.h"

#include <gtest/gtest.h>

#include <string>

namespace protocol::iscsi {
namespace {

using namespace std::string_literals;

// What is answered to one key, without its NUL; "fault: ..." if there is one.
std::string answer_to(Negotiation& negotiation, std::string_view key, std::string_view value,
                      NegotiationPhase phase = NegotiationPhase::login) {
  TextWriter answer;
  const auto fault = negotiation.take({key, value}, phase, answer);
  if (fault) return "fault: " + std::string(text_of(*fault));
  std::string text(answer.text());
  if (!text.empty()) text.pop_back();
  return text;
}

std::string answer_to(std::string_view key, std::string_view value,
                      const NegotiationLimits& limits = {}) {
  Negotiation negotiation(limits);
  return answer_to(negotiation, key, value);
}

TEST(Negotiation, DefaultsOfTheStandardHoldUntilThen) {
  const auto held = Negotiation(NegotiationLimits{}).parameters();
  EXPECT_EQ(held.digests, Digests{});
  EXPECT_EQ(held.receive_data_segment_bytes, 8192U);
  EXPECT_EQ(held.send_data_segment_bytes, 8192U);
  EXPECT_EQ(held.first_burst_bytes, 65536U);
  EXPECT_EQ(held.max_burst_bytes, 262144U);
  EXPECT_EQ(held.max_outstanding_r2t, 1);
  EXPECT_EQ(held.time2wait_s, 2);
  EXPECT_EQ(held.time2retain_s, 20);
  EXPECT_TRUE(held.initial_r2t);
  EXPECT_TRUE(held.immediate_data);
  EXPECT_EQ(held.protocol_level, 1);
  EXPECT_EQ(held.task_reporting, TaskReporting::rfc3720);
}

struct ListCase {
  DigestPolicy policy;
  std::string_view list;
  std::string_view answer;
};

TEST(Negotiation, DigestsAreTheFirstOfTheListThatMayBe) {
  for (const auto& [policy, list, answer] : {
           ListCase{DigestPolicy::permitted, "None", "None"},
           ListCase{DigestPolicy::permitted, "CRC32C", "CRC32C"},
           ListCase{DigestPolicy::permitted, "CRC32C,None", "CRC32C"},
           ListCase{DigestPolicy::permitted, "None,CRC32C", "None"},
           ListCase{DigestPolicy::permitted, "CRC64,SHA,CRC32C", "CRC32C"},
           ListCase{DigestPolicy::permitted, "CRC64", "Reject"},
           ListCase{DigestPolicy::permitted, "crc32c", "Reject"},
           ListCase{DigestPolicy::permitted, "", "Reject"},
           ListCase{DigestPolicy::permitted, ",", "Reject"},
           ListCase{DigestPolicy::refused, "CRC32C,None", "None"},
           ListCase{DigestPolicy::refused, "CRC32C", "Reject"},
           ListCase{DigestPolicy::required, "None,CRC32C", "CRC32C"},
           ListCase{DigestPolicy::required, "None", "Reject"},
       }) {
    for (const bool header : {true, false}) {
      Negotiation negotiation({.header_digest = policy, .data_digest = policy});
      const auto key = header ? "HeaderDigest" : "DataDigest";
      EXPECT_EQ(answer_to(negotiation, key, list), key + "="s + std::string(answer)) << list;
      const Digests digests = negotiation.parameters().digests;
      EXPECT_EQ(header ? digests.header : digests.data, answer == "CRC32C");
      EXPECT_FALSE(header ? digests.data : digests.header);
    }
  }
}

TEST(Negotiation, ARequiredDigestMustHaveBeenAgreedOn) {
  Negotiation negotiation(
      {.header_digest = DigestPolicy::required, .data_digest = DigestPolicy::required});
  EXPECT_EQ(negotiation.check_complete(), NegotiationFault::digest_required);
  EXPECT_EQ(answer_to(negotiation, "HeaderDigest", "CRC32C"), "HeaderDigest=CRC32C");
  EXPECT_EQ(negotiation.check_complete(), NegotiationFault::digest_required);
  EXPECT_EQ(answer_to(negotiation, "DataDigest", "CRC32C"), "DataDigest=CRC32C");
  EXPECT_EQ(negotiation.check_complete(), std::nullopt);
}

TEST(Negotiation, DiscoveryDoesNotNeedTheDigest) {
  Negotiation negotiation({.header_digest = DigestPolicy::required});
  negotiation.be_discovery();
  EXPECT_EQ(answer_to(negotiation, "HeaderDigest", "None"), "HeaderDigest=None");
  EXPECT_EQ(negotiation.check_complete(), std::nullopt);
}

TEST(Negotiation, InitialR2tIsOr) {
  EXPECT_EQ(answer_to("InitialR2T", "No", {.initial_r2t = false}), "InitialR2T=No");
  EXPECT_EQ(answer_to("InitialR2T", "Yes", {.initial_r2t = false}), "InitialR2T=Yes");
  EXPECT_EQ(answer_to("InitialR2T", "No", {.initial_r2t = true}), "InitialR2T=Yes");
  Negotiation negotiation({.initial_r2t = false});
  (void)answer_to(negotiation, "InitialR2T", "No");
  EXPECT_FALSE(negotiation.parameters().initial_r2t);
}

TEST(Negotiation, ImmediateDataIsAnd) {
  EXPECT_EQ(answer_to("ImmediateData", "Yes", {.immediate_data = true}), "ImmediateData=Yes");
  EXPECT_EQ(answer_to("ImmediateData", "No", {.immediate_data = true}), "ImmediateData=No");
  EXPECT_EQ(answer_to("ImmediateData", "Yes", {.immediate_data = false}), "ImmediateData=No");
  Negotiation negotiation({.immediate_data = false});
  (void)answer_to(negotiation, "ImmediateData", "Yes");
  EXPECT_FALSE(negotiation.parameters().immediate_data);
}

TEST(Negotiation, DataIsAlwaysInOrder) {
  for (const auto key : {"DataPDUInOrder", "DataSequenceInOrder"}) {
    EXPECT_EQ(answer_to(key, "No"), key + "=Yes"s);
    EXPECT_EQ(answer_to(key, "Yes"), key + "=Yes"s);
  }
}

TEST(Negotiation, BooleansAreYesAndNoOnly) {
  for (const auto key : {"InitialR2T", "ImmediateData", "DataPDUInOrder", "DataSequenceInOrder",
                         "IFMarker", "OFMarker"}) {
    for (const auto value : {"", "yes", "1", "Yes,No", "Reject", "Irrelevant", "?"}) {
      EXPECT_EQ(answer_to(key, value), key + "=Reject"s) << value;
    }
  }
}

struct NumberCase {
  std::string_view key;
  std::string_view offered;
  std::string_view answer;
};

TEST(Negotiation, NumbersAreNoMoreGenerousThanOurs) {
  const NegotiationLimits limits{.first_burst_bytes = 131072,
                                 .max_burst_bytes = 1048576,
                                 .max_outstanding_r2t = 4,
                                 .time2wait_s = 5,
                                 .time2retain_s = 10,
                                 .protocol_level = 1};
  for (const auto& [key, offered, answer] : {
           NumberCase{"MaxConnections", "1", "1"},
           NumberCase{"MaxConnections", "65535", "1"},
           NumberCase{"MaxBurstLength", "16776192", "1048576"},
           NumberCase{"MaxBurstLength", "512", "512"},
           NumberCase{"MaxBurstLength", "16777215", "1048576"},
           NumberCase{"MaxBurstLength", "0x1000", "4096"},
           NumberCase{"FirstBurstLength", "262144", "131072"},
           NumberCase{"FirstBurstLength", "512", "512"},
           NumberCase{"DefaultTime2Wait", "0", "5"},
           NumberCase{"DefaultTime2Wait", "3600", "3600"},
           NumberCase{"DefaultTime2Retain", "0", "0"},
           NumberCase{"DefaultTime2Retain", "3600", "10"},
           NumberCase{"MaxOutstandingR2T", "1", "1"},
           NumberCase{"MaxOutstandingR2T", "65535", "4"},
           NumberCase{"ErrorRecoveryLevel", "0", "0"},
           NumberCase{"ErrorRecoveryLevel", "2", "0"},
           NumberCase{"iSCSIProtocolLevel", "0", "0"},
           NumberCase{"iSCSIProtocolLevel", "31", "1"},
       }) {
    EXPECT_EQ(answer_to(key, offered, limits), std::string(key) + "=" + std::string(answer));
  }
}

TEST(Negotiation, NumbersOutOfRangeAreRejectedAndChangeNothing) {
  struct Case {
    std::string_view key;
    std::string_view least_minus_one;
    std::string_view most_plus_one;
  };
  for (const auto& [key, below, above] : {
           Case{"MaxConnections", "0", "65536"},
           Case{"MaxBurstLength", "511", "16777216"},
           Case{"FirstBurstLength", "511", "16777216"},
           Case{"DefaultTime2Wait", "-1", "3601"},
           Case{"DefaultTime2Retain", "-1", "3601"},
           Case{"MaxOutstandingR2T", "0", "65536"},
           Case{"ErrorRecoveryLevel", "-1", "3"},
           Case{"iSCSIProtocolLevel", "-1", "32"},
       }) {
    for (const std::string_view value :
         {below, above, std::string_view(""), std::string_view("many"), std::string_view("0x"),
          std::string_view("99999999999999999999"), std::string_view("1,2"),
          std::string_view("Reject"), std::string_view("1~2")}) {
      Negotiation negotiation(NegotiationLimits{});
      EXPECT_EQ(answer_to(negotiation, key, value), std::string(key) + "=Reject") << value;
      const auto held = negotiation.parameters();
      EXPECT_EQ(held.max_burst_bytes, 262144U);
      EXPECT_EQ(held.first_burst_bytes, 65536U);
      EXPECT_EQ(held.time2wait_s, 2);
      EXPECT_EQ(held.time2retain_s, 20);
      EXPECT_EQ(held.max_outstanding_r2t, 1);
    }
  }
}

TEST(Negotiation, ResultsAreWhatWasAnswered) {
  Negotiation negotiation({.first_burst_bytes = 131072, .max_burst_bytes = 1048576});
  (void)answer_to(negotiation, "FirstBurstLength", "262144");
  EXPECT_EQ(negotiation.parameters().first_burst_bytes, 131072U);
  (void)answer_to(negotiation, "MaxBurstLength", "524288");
  EXPECT_EQ(negotiation.parameters().max_burst_bytes, 524288U);
  EXPECT_EQ(negotiation.parameters().first_burst_bytes, 131072U);
  (void)answer_to(negotiation, "MaxOutstandingR2T", "3");
  EXPECT_EQ(negotiation.parameters().max_outstanding_r2t, 3);
}

TEST(Negotiation, TheFirstBurstIsNoLongerThanTheLongest) {
  Negotiation small{NegotiationLimits{}};
  (void)answer_to(small, "MaxBurstLength", "4096");
  EXPECT_EQ(small.parameters().first_burst_bytes, 4096U);

  // The longest burst may come behind the first one.
  Negotiation late({.first_burst_bytes = 1U << 20, .max_burst_bytes = 1U << 20});
  (void)answer_to(late, "FirstBurstLength", "524288");
  EXPECT_EQ(late.parameters().first_burst_bytes, 262144U);
  (void)answer_to(late, "MaxBurstLength", "1048576");
  EXPECT_EQ(late.parameters().first_burst_bytes, 524288U);
}

TEST(Negotiation, WithoutUnsolicitedDataTheFirstBurstIsIrrelevant) {
  Negotiation negotiation{NegotiationLimits{}};
  (void)answer_to(negotiation, "InitialR2T", "Yes");
  (void)answer_to(negotiation, "ImmediateData", "No");
  EXPECT_EQ(answer_to(negotiation, "FirstBurstLength", "65536"), "FirstBurstLength=Irrelevant");
}

TEST(Negotiation, TaskReporting) {
  EXPECT_EQ(answer_to("TaskReporting", "RFC3720"), "TaskReporting=RFC3720");
  EXPECT_EQ(answer_to("TaskReporting", "FastAbort,ResponseFence,RFC3720"),
            "TaskReporting=ResponseFence");
  EXPECT_EQ(answer_to("TaskReporting", "FastAbort,RFC3720", {.fast_abort = true}),
            "TaskReporting=FastAbort");
  EXPECT_EQ(answer_to("TaskReporting", "FastAbort"), "TaskReporting=Reject");
  EXPECT_EQ(answer_to("TaskReporting", "Whatever,"), "TaskReporting=Reject");
  Negotiation negotiation{NegotiationLimits{}};
  (void)answer_to(negotiation, "TaskReporting", "ResponseFence");
  EXPECT_EQ(negotiation.parameters().task_reporting, TaskReporting::response_fence);
}

// 13.25.
TEST(Negotiation, MarkersAreRefusedButUnderstood) {
  for (const auto key : {"IFMarker", "OFMarker"}) {
    EXPECT_EQ(answer_to(key, "No"), key + "=No"s);
    EXPECT_EQ(answer_to(key, "Yes"), key + "=No"s);
  }
  for (const auto key : {"IFMarkInt", "OFMarkInt"}) {
    EXPECT_EQ(answer_to(key, "2048~8192"), key + "=Reject"s);
  }
}

TEST(Negotiation, DeclarationsHaveNoAnswer) {
  Negotiation negotiation{NegotiationLimits{}};
  EXPECT_EQ(answer_to(negotiation, "MaxRecvDataSegmentLength", "16777215"), "");
  EXPECT_EQ(negotiation.parameters().send_data_segment_bytes, 16777215U);
  EXPECT_EQ(answer_to(negotiation, "InitiatorAlias", "a host"), "");
  EXPECT_EQ(negotiation.initiator_alias(), "a host");
  EXPECT_EQ(answer_to(negotiation, "X#NodeArchitecture", "Linux,6.1"), "");
}

TEST(Negotiation, BadDeclarationsEndIt) {
  for (const auto value : {"511", "0", "16777216", "", "-512", "8192,512", "Reject"}) {
    EXPECT_EQ(answer_to("MaxRecvDataSegmentLength", value),
              "fault: a declared value out of its range")
        << value;
  }
  EXPECT_EQ(answer_to("InitiatorAlias", std::string(255, 'a')), "");
  EXPECT_EQ(answer_to("InitiatorAlias", std::string(256, 'a')),
            "fault: a declared value out of its range");
}

TEST(Negotiation, WhatWeReceiveIsDeclaredOnce) {
  Negotiation negotiation({.receive_data_segment_bytes = 65536});
  EXPECT_EQ(negotiation.parameters().receive_data_segment_bytes, 8192U);
  TextWriter answer;
  negotiation.declare(answer);
  negotiation.declare(answer);
  EXPECT_EQ(answer.text(), "MaxRecvDataSegmentLength=65536\0"s);
  EXPECT_EQ(negotiation.parameters().receive_data_segment_bytes, 65536U);
}

TEST(Negotiation, KeysOfTargetsAreNotTheInitiators) {
  for (const auto key : {"TargetAlias", "TargetAddress", "TargetPortalGroupTag"}) {
    EXPECT_EQ(answer_to(key, "1"), "fault: a key that only targets send");
  }
}

TEST(Negotiation, UnknownKeysAreNotUnderstood) {
  for (const auto key : {"X-com.example.speed", "X#Whatever", "Whatever", "initialr2t",
                         "RDMAExtensions", "TargetRecvDataSegmentLength", "KRB_AP_REQ"}) {
    Negotiation negotiation{NegotiationLimits{}};
    EXPECT_EQ(answer_to(negotiation, key, "Yes"), key + "=NotUnderstood"s);
    // Nothing is kept of them.
    EXPECT_EQ(answer_to(negotiation, key, "Yes"), key + "=NotUnderstood"s);
  }
}

TEST(Negotiation, NoKeyComesTwice) {
  for (const auto key : {"HeaderDigest", "MaxBurstLength", "MaxRecvDataSegmentLength", "IFMarker",
                         "X#NodeArchitecture", "iSCSIProtocolLevel"}) {
    Negotiation negotiation{NegotiationLimits{}};
    EXPECT_FALSE(answer_to(negotiation, key, "1024").starts_with("fault"));
    EXPECT_EQ(answer_to(negotiation, key, "1024"), "fault: a key that came before");
  }
}

TEST(Negotiation, SomeKeysHaveNoSenseInADiscoverySession) {
  for (const auto key : {"MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength",
                         "FirstBurstLength", "MaxOutstandingR2T", "DataPDUInOrder",
                         "DataSequenceInOrder", "TaskReporting", "iSCSIProtocolLevel"}) {
    Negotiation negotiation{NegotiationLimits{}};
    negotiation.be_discovery();
    EXPECT_EQ(answer_to(negotiation, key, "1"), key + "=Irrelevant"s);
  }
  Negotiation negotiation{NegotiationLimits{}};
  negotiation.be_discovery();
  EXPECT_EQ(answer_to(negotiation, "ErrorRecoveryLevel", "2"), "ErrorRecoveryLevel=0");
  EXPECT_EQ(answer_to(negotiation, "DefaultTime2Wait", "2"), "DefaultTime2Wait=2");
  EXPECT_EQ(answer_to(negotiation, "DataDigest", "None"), "DataDigest=None");
}

TEST(Negotiation, InTheFullFeaturePhaseFewKeysAreLeft) {
  constexpr auto phase = NegotiationPhase::full_feature;
  Negotiation negotiation{NegotiationLimits{}};
  for (const auto key : {"HeaderDigest", "MaxBurstLength", "InitialR2T", "ErrorRecoveryLevel",
                         "TaskReporting", "IFMarker"}) {
    EXPECT_EQ(answer_to(negotiation, key, "None", phase), key + "=Reject"s);
  }
  EXPECT_EQ(answer_to(negotiation, "MaxRecvDataSegmentLength", "4096", phase), "");
  EXPECT_EQ(negotiation.parameters().send_data_segment_bytes, 4096U);
  EXPECT_EQ(answer_to(negotiation, "MaxRecvDataSegmentLength", "512", phase),
            "fault: a key that came before");
  negotiation.begin_text();
  EXPECT_EQ(answer_to(negotiation, "MaxRecvDataSegmentLength", "512", phase), "");
  EXPECT_EQ(negotiation.parameters().send_data_segment_bytes, 512U);
  EXPECT_EQ(answer_to(negotiation, "SendTargetsPlease", "All", phase),
            "SendTargetsPlease=NotUnderstood");
}

TEST(Negotiation, OperationalKeysAreKnownAsSuch) {
  EXPECT_TRUE(Negotiation::is_operational("MaxRecvDataSegmentLength"));
  EXPECT_TRUE(Negotiation::is_operational("IFMarker"));
  EXPECT_FALSE(Negotiation::is_operational("InitiatorAlias"));
  EXPECT_FALSE(Negotiation::is_operational("X#NodeArchitecture"));
  EXPECT_FALSE(Negotiation::is_operational("TargetAlias"));
  EXPECT_FALSE(Negotiation::is_operational("AuthMethod"));
  EXPECT_FALSE(Negotiation::is_operational("X-com.example"));
}

TEST(Negotiation, EveryFaultHasAText) {
  for (int fault = 0; fault <= static_cast<int>(NegotiationFault::bad_declaration); ++fault) {
    EXPECT_NE(text_of(static_cast<NegotiationFault>(fault)), "unknown fault");
  }
}

}  // namespace
}  // namespace protocol::iscsi
