// The security stage: CHAP in one direction and in both, and every way to fail.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "protocol/auth/binary_text.h"
#include "protocol/auth/chap.h"
#include "protocol/iscsi/login.h"
#include "tests/protocol/iscsi/login_bench.h"

namespace protocol::iscsi {
namespace {

using auth::ChapAlgorithm;
using auth::ChapFault;

constexpr std::string_view initiator_secret = "initiator secret";
constexpr std::string_view target_secret = "target secret...";

class LoginChapTest : public LoginBench {
 protected:
  LoginChapTest() {
    auth::ChapCredentials credentials;
    credentials.initiator = {"host", std::string(initiator_secret)};
    credentials.target = auth::ChapAccount{"array", std::string(target_secret)};
    policy.admission.chap = credentials;
  }

  // Up to our challenge.
  void get_challenge(ChapAlgorithm algorithm = ChapAlgorithm::sha256) {
    auto step = send(to_operational, names("AuthMethod=CHAP,None"));
    ASSERT_EQ(step.next, LoginNext::await_request);
    ASSERT_FALSE(step.response.transit);
    ASSERT_EQ(pairs_of(step.text), "TargetPortalGroupTag=1 AuthMethod=CHAP");
    const auto number = std::to_string(static_cast<int>(algorithm));
    step = send(in_security, "CHAP_A=" + number);
    ASSERT_EQ(step.next, LoginNext::await_request);
    ASSERT_FALSE(step.response.transit);
    ASSERT_EQ(pairs_of(step.text),
              "CHAP_A=" + number + " CHAP_I=66 CHAP_C=" + auth::to_hex(fixed_challenge().bytes));
  }

  static auth::ChapDigest right_response(ChapAlgorithm algorithm = ChapAlgorithm::sha256) {
    return *auth::chap_response(algorithm, 66, initiator_secret, fixed_challenge().bytes);
  }
  static std::string right_answer(ChapAlgorithm algorithm = ChapAlgorithm::sha256) {
    return "CHAP_N=host CHAP_R=" + auth::to_hex(right_response(algorithm).bytes());
  }

  void expect_chap_refusal(const LoginStep& step, ChapFault fault) {
    expect_refusal(step, LoginStatus::authentication_failure, LoginFault::bad_chap);
    EXPECT_TRUE(step.text.empty());
    ASSERT_TRUE(login().chap_fault().has_value());
    EXPECT_EQ(*login().chap_fault(), fault) << text_of(*login().chap_fault());
  }
};

TEST_F(LoginChapTest, EveryAlgorithm) {
  for (const auto algorithm :
       {ChapAlgorithm::md5, ChapAlgorithm::sha1, ChapAlgorithm::sha256, ChapAlgorithm::sha3_256}) {
    Login login(limits, policy, fixed_challenge());
    const auto take = [&login](const LoginRequest& request, const std::string& pairs) {
      return login.take(request, text_bytes(text_from(pairs)));
    };
    (void)take(to_operational, names("AuthMethod=CHAP"));
    (void)take(in_security, "CHAP_A=" + std::to_string(static_cast<int>(algorithm)));
    const auto step = take(to_operational, right_answer(algorithm));
    EXPECT_EQ(step.next, LoginNext::await_request);
    EXPECT_TRUE(step.response.transit);
    EXPECT_EQ(step.response.next_stage, LoginStage::operational);
    EXPECT_TRUE(step.text.empty());
    EXPECT_EQ(take(to_full_feature, "HeaderDigest=None").next, LoginNext::wants_session);
    EXPECT_EQ(login.proof(), Login::Proof::chap);
  }
}

TEST_F(LoginChapTest, AlgorithmsAreAListInTheInitiatorsOrder) {
  (void)send(to_operational, names("AuthMethod=CHAP"));
  const auto step = send(in_security, "CHAP_A=99,8,5");
  EXPECT_TRUE(pairs_of(step.text).starts_with("CHAP_A=8 "));
}

TEST_F(LoginChapTest, TheResponseMayBeBase64) {
  get_challenge();
  const auto step =
      send(to_operational, "CHAP_R=" + auth::to_base64(right_response().bytes()) + " CHAP_N=host");
  EXPECT_TRUE(step.response.transit);
}

TEST_F(LoginChapTest, MutualChap) {
  get_challenge();
  const std::array theirs{std::byte{1}, std::byte{2}, std::byte{3}};
  const auto step = send(to_operational, right_answer() + " CHAP_I=0xff CHAP_C=0bAQID");
  EXPECT_TRUE(step.response.transit);
  const auto ours = auth::chap_response(ChapAlgorithm::sha256, 255, target_secret, theirs);
  EXPECT_EQ(pairs_of(step.text), "CHAP_N=array CHAP_R=" + auth::to_hex(ours->bytes()));
  EXPECT_EQ(login().proof(), Login::Proof::mutual_chap);
}

TEST_F(LoginChapTest, TheLastStepMayLeadStraightToTheFullFeaturePhase) {
  get_challenge();
  EXPECT_EQ(send(leaving(LoginStage::security, LoginStage::full_feature), right_answer()).next,
            LoginNext::wants_session);
}

TEST_F(LoginChapTest, TheStageIsLeftWhenTheInitiatorLikes) {
  get_challenge();
  EXPECT_FALSE(send(in_security, right_answer()).response.transit);
  EXPECT_TRUE(send(to_operational, "").response.transit);
}

TEST_F(LoginChapTest, NobodyLeavesWithoutProof) {
  get_challenge();
  for (int i = 0; i < 3; ++i) {
    const auto step = send(leaving(LoginStage::security, LoginStage::full_feature), "");
    EXPECT_EQ(step.next, LoginNext::await_request);
    EXPECT_FALSE(step.response.transit);
  }
}

TEST_F(LoginChapTest, SkippingTheSecurityStage) {
  expect_refusal(send(to_full_feature, names()), LoginStatus::authentication_failure,
                 LoginFault::auth_required);
}

TEST_F(LoginChapTest, LeavingTheSecurityStageWithoutAWord) {
  expect_refusal(send(to_operational, names()), LoginStatus::authentication_failure,
                 LoginFault::auth_required);
}

TEST_F(LoginChapTest, NoneIsNotEnough) {
  expect_refusal(send(to_operational, names("AuthMethod=None")),
                 LoginStatus::authentication_failure, LoginFault::no_common_auth_method);
}

TEST_F(LoginChapTest, WhereNothingIsDemandedChapAloneIsNotKnown) {
  policy.admission.chap.reset();
  expect_refusal(send(to_operational, names("AuthMethod=CHAP")),
                 LoginStatus::authentication_failure, LoginFault::no_common_auth_method);
}

TEST_F(LoginChapTest, WhereNothingIsDemandedNoneIsChosen) {
  policy.admission.chap.reset();
  const auto step = send(to_operational, names("AuthMethod=CHAP,None"));
  EXPECT_TRUE(step.response.transit);
  EXPECT_EQ(pairs_of(step.text), "TargetPortalGroupTag=1 AuthMethod=None");
}

TEST_F(LoginChapTest, UnknownMethods) {
  expect_refusal(send(to_operational, names("AuthMethod=KRB5,SRP")),
                 LoginStatus::authentication_failure, LoginFault::no_common_auth_method);
}

TEST_F(LoginChapTest, AMethodIsChosenOnce) {
  (void)send(in_security, names("AuthMethod=CHAP"));
  expect_refusal(send(in_security, "AuthMethod=CHAP"), LoginStatus::initiator_error,
                 LoginFault::bad_negotiation);
}

// As libiscsi's suite asks: "56" begins with a known digit.
TEST_F(LoginChapTest, BadAlgorithms) {
  struct Case {
    std::string_view list;
    ChapFault fault;
  };
  for (const auto& [list, fault] : {
           Case{"56", ChapFault::no_common_algorithm},
           Case{"0", ChapFault::no_common_algorithm},
           Case{"261", ChapFault::no_common_algorithm},
           Case{"", ChapFault::bad_value},
           Case{"5,", ChapFault::bad_value},
           Case{"MD5", ChapFault::bad_value},
       }) {
    Login login(limits, policy, fixed_challenge());
    (void)login.take(in_security, text_bytes(text_from(names("AuthMethod=CHAP"))));
    const auto step = login.take(in_security, text_bytes(text_from("CHAP_A=" + std::string(list))));
    EXPECT_EQ(step.response.status, LoginStatus::authentication_failure) << list;
    EXPECT_EQ(login.chap_fault(), fault) << list;
  }
}

TEST_F(LoginChapTest, WrongNameAndWrongSecret) {
  get_challenge();
  const auto wrong =
      auth::chap_response(ChapAlgorithm::sha256, 66, target_secret, fixed_challenge().bytes);
  expect_chap_refusal(send(to_operational, "CHAP_N=host CHAP_R=" + auth::to_hex(wrong->bytes())),
                      ChapFault::wrong_response);
}

TEST_F(LoginChapTest, WrongName) {
  get_challenge();
  expect_chap_refusal(send(to_operational, "CHAP_N=hos" + right_answer().substr(11)),
                      ChapFault::wrong_name);
}

TEST_F(LoginChapTest, ANameThatLooksLikeANumberIsAName) {
  policy.admission.chap->initiator.name = "0xhost";
  get_challenge();
  EXPECT_TRUE(send(to_operational, "CHAP_N=0xhost" + right_answer().substr(11)).response.transit);
}

TEST_F(LoginChapTest, BadResponses) {
  for (const std::string_view value : {"", "0x", "0xzz", "nothing", "0b", "0b===="}) {
    Login login(limits, policy, fixed_challenge());
    (void)login.take(in_security, text_bytes(text_from(names("AuthMethod=CHAP"))));
    (void)login.take(in_security, text_bytes(text_from("CHAP_A=7")));
    const auto pairs = "CHAP_N=host CHAP_R=" + std::string(value);
    EXPECT_EQ(login.take(to_operational, text_bytes(text_from(pairs))).next, LoginNext::close);
    EXPECT_EQ(login.chap_fault(), ChapFault::bad_value) << value;
  }
}

// A good response with something in front of it.
TEST_F(LoginChapTest, AnOversizeResponse) {
  get_challenge();
  expect_chap_refusal(send(to_operational, "CHAP_N=host CHAP_R=0bb3ZlcnNpemUK" +
                                               auth::to_base64(right_response().bytes()).substr(2)),
                      ChapFault::wrong_response);
}

TEST_F(LoginChapTest, NameWithoutResponse) {
  get_challenge();
  expect_chap_refusal(send(to_operational, "CHAP_N=host"), ChapFault::bad_value);
}

TEST_F(LoginChapTest, ChallengeWithoutIdentifier) {
  get_challenge();
  expect_chap_refusal(send(to_operational, right_answer() + " CHAP_C=0x01"), ChapFault::bad_value);
}

TEST_F(LoginChapTest, IdentifiersHaveOneByte) {
  get_challenge();
  expect_chap_refusal(send(to_operational, right_answer() + " CHAP_I=256 CHAP_C=0x01"),
                      ChapFault::bad_value);
}

TEST_F(LoginChapTest, TheLongestChallengeIsAnswered) {
  get_challenge();
  const auto longest = auth::to_hex(Bytes(auth::longest_challenge_bytes, std::byte{1}));
  EXPECT_EQ(send(to_operational, right_answer() + " CHAP_I=1 CHAP_C=" + longest).next,
            LoginNext::await_request);
}

TEST_F(LoginChapTest, OurOwnChallengeGivenBack) {
  get_challenge();
  expect_chap_refusal(send(to_operational, right_answer() + " CHAP_I=66 CHAP_C=" +
                                               auth::to_hex(fixed_challenge().bytes)),
                      ChapFault::reflected_challenge);
}

TEST_F(LoginChapTest, MutualChapWithoutAnAccountOfOurs) {
  policy.admission.chap->target.reset();
  get_challenge();
  expect_chap_refusal(send(to_operational, right_answer() + " CHAP_I=1 CHAP_C=0x01"),
                      ChapFault::no_target_account);
}

TEST_F(LoginChapTest, KeysOutOfSequence) {
  for (const std::string_view first :
       {"CHAP_A=7", "CHAP_N=host", "CHAP_R=0x00", "CHAP_I=1", "CHAP_C=0x00"}) {
    Login login(limits, policy, fixed_challenge());
    const auto pairs = names(first);
    EXPECT_EQ(login.take(in_security, text_bytes(text_from(pairs))).next, LoginNext::close);
    EXPECT_EQ(login.chap_fault(), ChapFault::out_of_sequence) << first;
  }
}

TEST_F(LoginChapTest, NoSecondTryAndNoSecondChallenge) {
  get_challenge();
  expect_chap_refusal(send(in_security, "CHAP_A=7"), ChapFault::out_of_sequence);
}

TEST_F(LoginChapTest, AResponseAfterItWasAccepted) {
  get_challenge();
  (void)send(in_security, right_answer());
  expect_chap_refusal(send(in_security, right_answer()), ChapFault::out_of_sequence);
}

TEST_F(LoginChapTest, UnknownChapKeysAreNotUnderstood) {
  (void)send(in_security, names("AuthMethod=CHAP"));
  EXPECT_EQ(pairs_of(send(in_security, "CHAP_X=1").text), "CHAP_X=NotUnderstood");
}

TEST_F(LoginChapTest, TheSecretIsNeverInAnAnswer) {
  get_challenge();
  const auto step = send(to_operational, right_answer() + " CHAP_I=1 CHAP_C=0x0102");
  EXPECT_EQ(pairs_of(step.text).find(target_secret), std::string::npos);
}

}  // namespace
}  // namespace protocol::iscsi
