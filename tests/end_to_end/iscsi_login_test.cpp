// Login and discovery from outside: who gets in, with what, and what the others are told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using iscsi::Keys;
using iscsi::LoginStatus;

// RFC 7143, 11.13.5.
constexpr LoginStatus success{0, 0};
constexpr LoginStatus initiator_error{2, 0};
constexpr LoginStatus authentication_failed{2, 1};
constexpr LoginStatus authorization_failed{2, 2};
constexpr LoginStatus not_found{2, 3};
constexpr LoginStatus unsupported_version{2, 5};
constexpr LoginStatus missing_parameter{2, 7};
constexpr LoginStatus no_such_session{2, 0x0a};

// Only these get in: "alice" proves herself both ways, "bob" one way, "carol" needs no CHAP.
ConfigText guarded(Workplace& workplace) {
  const auto secret = [&workplace](const char* name, const char* text) {
    const std::string path = workplace.path(name);
    write_file(path, text);
    ::chmod(path.c_str(), 0600);
    return "\"file:" + path + "\"";
  };
  ConfigText config = with_iscsi(memory_config());
  config.hosts = {
      {.name = "alice",
       .iqn = "iqn.2026-11.com.example:alice",
       .chap = fmt::format("user: alice, secret: {}, mutual_user: store, mutual_secret: {}",
                           secret("alice", "alices secret # of 30 letters\n"),
                           secret("store", "the target's own secret"))},
      {.name = "bob",
       .iqn = "iqn.2026-11.com.example:bob",
       .chap = fmt::format("user: bob, secret: {}", secret("bob", "bobs-secret-of-21-lett"))},
      {.name = "carol", .iqn = "iqn.2026-11.com.example:carol"}};
  config.targets[0].hosts = "[alice, bob, carol]";
  config.targets[0].luns[1].hosts = "[bob]";
  return config;
}

class IscsiLogin : public testing::Test {
 protected:
  IscsiLogin() : daemon_(workplace_, guarded(workplace_)) {}
  void SetUp() override { ASSERT_TRUE(daemon_.start()); }

  [[nodiscard]] iscsi::LoginOptions as(const std::string& who,
                                       const std::string& target = default_target) {
    iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()), target);
    options.initiator = "iqn.2026-11.com.example:" + who;
    return options;
  }
  [[nodiscard]] LoginStatus status_of_login(const iscsi::LoginOptions& options) {
    auto connection = iscsi::Connection::connect(options.endpoint);
    EXPECT_GOOD(connection);
    if (!connection) return {0xff, 0xff};
    const auto login = iscsi::log_in(*connection.value(), options);
    EXPECT_GOOD(login);
    if (!login) return {0xff, 0xff};
    if (!login.value().status.ok()) {
      EXPECT_GOOD(connection.value()->await_end());
    }
    return login.value().status;
  }

  Workplace workplace_;
  Daemon daemon_;
};

const iscsi::Chap alice{"alice", "alices secret # of 30 letters", "store",
                        "the target's own secret"};
const iscsi::Chap bob{"bob", "bobs-secret-of-21-lett"};

TEST_F(IscsiLogin, OnlyWhoIsKnownAndProvesItGetsIn) {
  iscsi::LoginOptions options = as("alice");
  options.chap = alice;
  EXPECT_EQ(status_of_login(options).text(), success.text());
  options.chap->mutual_secret.clear();
  EXPECT_EQ(status_of_login(options).text(), success.text()) << "she need not ask the target";
  options.chap->secret = "alices secret # of 30 letterz";
  EXPECT_EQ(status_of_login(options).text(), authentication_failed.text());
  options.chap = bob;
  EXPECT_EQ(status_of_login(options).text(), authentication_failed.text()) << "another's name";
  options.chap.reset();
  EXPECT_EQ(status_of_login(options).text(), authentication_failed.text()) << "no proof at all";

  options = as("bob");
  options.chap = bob;
  EXPECT_EQ(status_of_login(options).text(), success.text());
  EXPECT_EQ(status_of_login(as("carol")).text(), success.text());
  // Who may not know a target is not told that it is there.
  EXPECT_THAT(status_of_login(as("mallory")).text(),
              testing::AnyOf(authorization_failed.text(), not_found.text()));
  EXPECT_EQ(status_of_login(as("carol", "iqn.2026-11.com.example:nothing")).text(),
            not_found.text());
}

TEST_F(IscsiLogin, NamesAreComparedAfterLowering) {
  iscsi::LoginOptions options = as("carol", "IQN.2026-11.com.EXAMPLE:store");
  options.initiator = "iqn.2026-11.com.example:CAROL";
  EXPECT_EQ(status_of_login(options).text(), success.text());
}

TEST_F(IscsiLogin, ATargetThatMustProveItselfDoes) {
  iscsi::LoginOptions options = as("alice");
  options.chap = alice;
  options.chap->mutual_secret = "what she expects instead";
  auto session = iscsi::Session::open(options);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().text, "the target did not prove itself");
}

TEST_F(IscsiLogin, EachSeesTheLunsItMay) {
  for (const auto& [who, chap, count] : {std::tuple{"bob", std::optional(bob), 2U},
                                         std::tuple{"carol", std::optional<iscsi::Chap>(), 1U}}) {
    iscsi::LoginOptions options = as(who);
    options.chap = chap;
    const auto session = open_session(options);
    ASSERT_TRUE(session);
    const Bytes list = execute(*session, scsi::report_luns()).data;
    ASSERT_GE(list.size(), 16U);
    EXPECT_EQ(client::get_big(list, 0, 4), count * 8) << who;
  }
}

TEST_F(IscsiLogin, DiscoveryNamesWhatTheInitiatorMayUse) {
  for (const auto& [who, expected] : {std::pair{"carol", true}, std::pair{"mallory", false}}) {
    auto session = iscsi::Session::open(as(who, ""));
    ASSERT_GOOD(session);
    const auto keys = session.value()->send_targets();
    ASSERT_GOOD(keys);
    EXPECT_EQ(std::ranges::count(keys.value(),
                                 std::pair<std::string, std::string>("TargetName", default_target)),
              expected ? 1 : 0)
        << who;
    // The prey is for everybody.
    EXPECT_EQ(std::ranges::count(keys.value(),
                                 std::pair<std::string, std::string>("TargetName", prey_target)),
              1);
    EXPECT_EQ(iscsi::value_of(keys.value(), "TargetAddress"),
              iscsi_endpoint(daemon_.config()).text() + ",1");
    EXPECT_GOOD(session.value()->log_out());
  }
}

// One request of a login, and what the target says to it; nullopt: it has ended the connection.
std::optional<iscsi::LoginResponse> answer_to(const client::Endpoint& portal,
                                              const iscsi::LoginRequest& request,
                                              const Keys& keys) {
  auto connection = iscsi::Connection::connect(portal);
  EXPECT_GOOD(connection);
  if (!connection) return std::nullopt;
  EXPECT_GOOD(connection.value()->send(iscsi::to_pdu(request, iscsi::to_text(keys))));
  const auto pdu = connection.value()->receive();
  if (!pdu) return std::nullopt;
  const auto response = iscsi::parse_login_response(pdu.value(), request);
  EXPECT_GOOD(response);
  if (!response) return std::nullopt;
  return response.value();
}

const Keys names{{"InitiatorName", "iqn.2026-11.com.example:carol"},
                 {"TargetName", default_target},
                 {"SessionType", "Normal"}};

TEST_F(IscsiLogin, WrongRequestsAreToldWhatIsWrong) {
  const auto portal = iscsi_endpoint(daemon_.config());
  const auto status = [&](const iscsi::LoginRequest& request, const Keys& keys) {
    const auto response = answer_to(portal, request, keys);
    return response ? response->status.text() : std::string("closed");
  };
  iscsi::LoginRequest plain;
  EXPECT_EQ(status(plain, {{"TargetName", default_target}, {"SessionType", "Normal"}}),
            missing_parameter.text());
  EXPECT_EQ(status(plain, {{"InitiatorName", "iqn.2026-11.com.example:carol"}}),
            missing_parameter.text())
      << "a normal session without TargetName";
  iscsi::LoginRequest newer;
  newer.version_min = newer.version_max = 1;
  EXPECT_EQ(status(newer, names), unsupported_version.text());
  iscsi::LoginRequest old_session;
  old_session.session_handle = 0x7fff;
  EXPECT_EQ(status(old_session, names), no_such_session.text());
  iscsi::LoginRequest reserved_stage;
  reserved_stage.current_stage = 2;
  EXPECT_EQ(status(reserved_stage, names), initiator_error.text());
  iscsi::LoginRequest backwards;
  backwards.next_stage = iscsi::security_stage;
  EXPECT_EQ(status(backwards, names), initiator_error.text());
  Keys nonsense = names;
  nonsense[0].second = "no name at all";
  EXPECT_EQ(status(plain, nonsense), initiator_error.text());
}

TEST_F(IscsiLogin, KeysAreAnsweredAsTheStandardSays) {
  iscsi::LoginOptions options = as("carol");
  options.more_keys = {{"X-com.example.unheard", "of"},
                       {"Surprise", "1"},
                       {"IFMarker", "No"},
                       {"OFMarker", "No"},
                       {"TaskReporting", "RFC3720"},
                       {"iSCSIProtocolLevel", "1"}};
  const auto session = open_session(options);
  ASSERT_TRUE(session);
  const Keys& answered = session->login().answered;
  EXPECT_EQ(iscsi::value_of(answered, "X-com.example.unheard"), "NotUnderstood");
  EXPECT_EQ(iscsi::value_of(answered, "Surprise"), "NotUnderstood");
  // RFC 7143, 13.25: obsolete, to be answered so that no marker is used.
  for (const char* key : {"IFMarker", "OFMarker"}) {
    EXPECT_THAT(iscsi::value_of(answered, key).value_or("none"),
                testing::AnyOf("No", "Reject", "NotUnderstood"))
        << key;
  }
  EXPECT_EQ(iscsi::value_of(answered, "TaskReporting"), "RFC3720");
  EXPECT_EQ(iscsi::value_of(answered, "TargetPortalGroupTag"), "1");
}

// Section 6.3.5: the same initiator name, ISID and portal group: the old session ends first.
TEST_F(IscsiLogin, ReinstatementEndsTheOldSession) {
  const auto old = open_session(as("carol"));
  ASSERT_TRUE(old);
  iscsi::LoginOptions other = as("carol");
  other.isid[5] = 2;
  const auto beside = open_session(other);
  ASSERT_TRUE(beside);
  const auto back = open_session(as("carol"));
  ASSERT_TRUE(back);
  EXPECT_GOOD(old->raw().await_end());
  execute(*back, scsi::test_unit_ready());
  execute(*beside, scsi::test_unit_ready());
}

TEST_F(IscsiLogin, LogoutEndsTheConnection) {
  const auto session = open_session(as("carol"));
  ASSERT_TRUE(session);
  const auto answered = session->log_out();
  ASSERT_GOOD(answered);
  EXPECT_EQ(answered.value(), 0);
  const auto end = session->raw().await_end();
  ASSERT_GOOD(end);
  EXPECT_EQ(end.value(), client::Ending::closed);
}

}  // namespace
}  // namespace end_to_end
