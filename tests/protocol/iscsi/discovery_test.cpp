// SendTargets: what may be asked where, and the answer's form.
#include "protocol/iscsi/discovery.h"

#include <gtest/gtest.h>

namespace protocol::iscsi {
namespace {

using Scope = SendTargets::Scope;
using namespace std::string_view_literals;

TEST(Discovery, AllIsForDiscoverySessions) {
  EXPECT_EQ(parse_send_targets("All", SessionType::discovery)->scope, Scope::all);
  EXPECT_EQ(parse_send_targets("All", SessionType::normal)->scope, Scope::session);
}

TEST(Discovery, AnEmptyValueMeansTheSessionsTarget) {
  EXPECT_EQ(parse_send_targets("", SessionType::normal)->scope, Scope::session);
  EXPECT_FALSE(parse_send_targets("", SessionType::discovery).has_value());
}

TEST(Discovery, ANameIsNormalised) {
  const auto asked = parse_send_targets("iqn.2001-04.com.Example:Disk", SessionType::discovery);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->scope, Scope::named);
  EXPECT_EQ(asked->name, "iqn.2001-04.com.example:disk");
  EXPECT_EQ(parse_send_targets("eui.02004567A425678D", SessionType::normal)->name,
            "eui.02004567a425678d");
}

TEST(Discovery, AnythingElseIsNoRequest) {
  for (const auto value : {"all", "Alle", "A", "*", "iqn.", "All,All"}) {
    EXPECT_FALSE(parse_send_targets(value, SessionType::discovery).has_value()) << value;
    EXPECT_FALSE(parse_send_targets(value, SessionType::normal).has_value()) << value;
  }
}

TEST(Discovery, AnswerGolden) {
  TextWriter answer;
  add_target(answer, "iqn.2001-04.com.example:a");
  add_address(answer, {.host = "192.0.2.1", .port = 3260, .portal_group = 1});
  add_address(answer, {.host = "2001:db8::1", .port = 3261, .portal_group = 65535});
  add_target(answer, "iqn.2001-04.com.example:b");
  add_address(answer, {.host = "192.0.2.1"});
  EXPECT_EQ(answer.text(),
            "TargetName=iqn.2001-04.com.example:a\0"
            "TargetAddress=192.0.2.1:3260,1\0"
            "TargetAddress=[2001:db8::1]:3261,65535\0"
            "TargetName=iqn.2001-04.com.example:b\0"
            "TargetAddress=192.0.2.1:3260,1\0"sv);
}

TEST(Discovery, ARedirectionHasNoPortalGroup) {
  EXPECT_EQ(redirect_text_of({.host = "192.0.2.1", .port = 3260}), "192.0.2.1:3260");
  EXPECT_EQ(redirect_text_of({.host = "2001:db8::1", .port = 3260}), "[2001:db8::1]:3260");
}

}  // namespace
}  // namespace protocol::iscsi
