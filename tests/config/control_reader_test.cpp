// The port of the API in the configuration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/identity.h"
#include "tests/config/complaints.h"

namespace config {
namespace {

TEST(ControlReader, ThePortIsTaken) {
  const ParseOutcome outcome =
      parse_text(std::string(heading) +
                     "control: {listen: [10.0.0.5:9931, \"[fd00:0::5]:9932\", \"*:9933\"], "
                     "certificate: \"file:/c.pem\", key: \"credential:k\"}\n",
                 "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const Control& control = outcome.config->control;
  std::vector<std::string> texts;
  for (const auto& endpoint : control.listen) texts.push_back(endpoint.value.text);
  EXPECT_THAT(texts, testing::ElementsAre("10.0.0.5:9931", "[fd00::5]:9932", "*:9933"));
  EXPECT_TRUE(control.has_tls);
  EXPECT_EQ(control.certificate->value.name, "/c.pem");
  EXPECT_EQ(control.key->value.source, SecretRef::Source::credential);
}

TEST(ControlReader, WhatWouldOpenTooMuchIsRefused) {
  const std::string tls = ", certificate: \"file:/c\", key: \"file:/k\"";
  const std::vector<Case> cases{
      {"control: {listen: [127.0.0.1:1, \"[::1]:2\"], tls: none}\n", {}},
      {"control: {listen: [127.0.0.1:1, 10.0.0.5:2], tls: none}\n",
       {"f.yaml:3:33: control.listen[1]: is no loopback address: with tls: none everybody on the "
        "way could read the tokens; remove it, or use TLS."}},
      {"control: {listen: [10.0.0.5:2], certificate: \"file:/c\"}\n",
       {"f.yaml:3:11: control.listen: needs key, for TLS; write key: file:/PATH or key: "
        "credential:NAME."}},
      {"control: {listen: [127.0.0.1:2], tls: none, key: \"file:/k\"}\n",
       {"f.yaml:3:45: control.key: is of TLS, and tls is none; remove one of them."}},
      {"control: {tls: none}\n",
       {"f.yaml:3:11: control.tls: is of the port, and there is none; add listen, or remove "
        "this."}},
      {"metrics: {address: \"*\", port: 9931}\ncontrol: {listen: [127.0.0.1:9931], tls: none}\n",
       {"f.yaml:4:20: control.listen[0]: 127.0.0.1 port 9931 is taken by metrics (line 3, *); use "
        "another address or port."}},
      {"control: {listen: [], tls: none}\n",
       {"f.yaml:3:19: control.listen: is not a list of 1 to 16 addresses with ports; write them in "
        "brackets, for example [\"10.0.0.5:9931\"]."}},
  };
  expect_complaints(cases);
}

TEST(ControlReader, AnAddressNeedsItsPort) {
  for (const char* const text :
       {"", "10.0.0.5", ":1", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:1x",
        "fd00::5:1", "[10.0.0.5]:1", "store1:9931", "[::1]"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

TEST(ControlReader, TheStatusPageIsOnTheMetricsPortWhereOnlyThisMachineReachesIt) {
  const auto has_page = [](const std::string& metrics) {
    return parse_text(std::string(heading) + "metrics: " + metrics + "\n", "f.yaml")
        .config->metrics->status_page;
  };
  EXPECT_TRUE(has_page("{}"));
  EXPECT_TRUE(has_page("{address: \"::1\"}"));
  EXPECT_FALSE(has_page("{address: 10.0.0.5}"));
  EXPECT_FALSE(has_page("{address: \"*\"}"));
  EXPECT_TRUE(has_page("{address: 10.0.0.5, status_page: true}"));
  EXPECT_FALSE(has_page("{status_page: false}"));
}

}  // namespace
}  // namespace config
