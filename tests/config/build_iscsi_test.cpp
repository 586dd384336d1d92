// Initiators and targets: their names, what they refer to, and what belongs to the other protocol.
#include <gtest/gtest.h>

#include "config/build.h"
#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Lines 3 to 7.
const std::string things =
    "listeners: {l: {protocol: iscsi, address: 10.0.0.1}, m: {protocol: nvme-tcp, address: "
    "10.0.0.1}}\n"
    "pools: {p: {kind: file, directory: /p}}\n"
    "volumes: {v: {pool: p, size: 1GiB}, w: {pool: p, size: 1GiB}}\n"
    "hosts: {i: {iqn: iqn.2026-11.com.example:i}, j: {iqn: iqn.2026-11.com.example:j}, m: {nqn: "
    "nqn.2026-11.com.example:n}}\n"
    "targets:\n";
const std::string target = "targets.iqn.2026-11.com.example:t";

std::vector<std::string> complaints_about_target(std::string_view keys) {
  return complaints(things + "  iqn.2026-11.com.example:t: {" + std::string(keys) + "}\n");
}

TEST(BuildIscsi, NamesOfHostsAreUniqueWhateverTheirCase) {
  expect_complaints({
      {"hosts:\n  a: {iqn: iqn.2026-11.com.example:h}\n  b: {iqn: iqn.2026-11.com.EXAMPLE:H}\n",
       {"f.yaml:5:12: hosts.b.iqn: is the iqn of host \"a\" already; give each host its own."}},
      {"hosts: {a: {iqn: store1}}\n",
       {"f.yaml:3:18: hosts.a.iqn: \"store1\" is not an iSCSI name; write "
        "iqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example iqn.2026-11.com.example:store1.vm."}},
  });
}

TEST(BuildIscsi, WhatBelongsToInitiatorsNeedsAnIqn) {
  expect_complaints({
      {"hosts:\n  a:\n    nqn: nqn.2026-11.com.example:h\n    networks: [10.0.0.0/8]\n"
       "    chap: {user: u, secret: 'file:/s'}\n",
       {"f.yaml:6:5: hosts.a.networks: is of iSCSI, and there is no iqn; add it, or remove this.",
        "f.yaml:7:5: hosts.a.chap: is of iSCSI, and there is no iqn; add it, or remove this."}},
      {"hosts:\n  a:\n    nqn: nqn.2026-11.com.example:h\n    iqn: iqn.2026-11.com.example:h\n"
       "    networks: [10.0.0.0/8]\n",
       {"f.yaml:7:5: hosts.a.networks: is checked by iSCSI alone, and this host has an nqn too; "
        "give the nqn an entry of its own."}},
      {"hosts:\n  a:\n    nqn: nqn.2026-11.com.example:h\n    iqn: iqn.2026-11.com.example:h\n"
       "    chap: {user: u, secret: 'file:/s'}\n",
       {}},
  });
}

TEST(BuildIscsi, NetworksAreAList) {
  expect_complaints({
      {"hosts: {a: {iqn: iqn.2026-11.com.example:h, networks: 10.0.0.0/8}}\n",
       {"f.yaml:3:55: hosts.a.networks: is not a list of networks; write them in brackets, for "
        "example [10.0.0.0/8]."}},
      {"hosts: {a: {iqn: iqn.2026-11.com.example:h, networks: []}}\n",
       {"f.yaml:3:55: hosts.a.networks: is not a list of networks; write them in brackets, for "
        "example [10.0.0.0/8]."}},
      {"hosts: {a: {iqn: iqn.2026-11.com.example:h, networks: [10.0.0.0/8, 10.0.0.0/8, 10.0.0.1/8, "
       "[a]]}}\n",
       {"f.yaml:3:68: hosts.a.networks[1]: \"10.0.0.0/8\" is named twice; remove one.",
        "f.yaml:3:80: hosts.a.networks[2]: \"10.0.0.1/8\" has bits behind its prefix; write "
        "10.0.0.0/8.",
        "f.yaml:3:92: hosts.a.networks[3]: is a list; write one value."}},
  });
}

TEST(BuildIscsi, ATargetsNameIsOne) {
  EXPECT_THAT(complaints(things + "  store1: {listeners: [l], hosts: [i]}\n"),
              ElementsAre("f.yaml:8:3: targets.store1: \"store1\" is not an iSCSI name; write "
                          "iqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example "
                          "iqn.2026-11.com.example:store1.vm."));
  EXPECT_THAT(complaints(things + "  iqn.2026-11.com.example:t: {listeners: [l], hosts: [i]}\n" +
                         "  IQN.2026-11.com.example:T: {listeners: [l], hosts: [i]}\n"),
              ElementsAre("f.yaml:9:3: targets.IQN.2026-11.com.example:T: is the target of line 8 "
                          "already, because capital letters do not count; remove one."));
}

TEST(BuildIscsi, ATargetArrives) {
  const ParseOutcome outcome =
      parse_text(std::string(heading) + things +
                     "  iqn.2026-11.com.example:T: {alias: A b, listeners: [l], hosts: [i, j],\n"
                     "    luns: {0: {volume: v}, 16383: {volume: w, hosts: [j]}}}\n",
                 "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const Target& made = outcome.config->targets.at("iqn.2026-11.com.example:t");
  EXPECT_EQ(made.iqn, "iqn.2026-11.com.example:t");
  EXPECT_EQ(made.alias, "A b");
  EXPECT_EQ(made.hosts.size(), 2U);
  EXPECT_FALSE(made.allow_any_host);
  EXPECT_EQ(made.luns.at(0).volume.value, "v");
  EXPECT_FALSE(made.luns.at(0).hosts.has_value());
  EXPECT_EQ(made.luns.at(16383).number, 16383U);
  EXPECT_EQ(made.luns.at(16383).hosts->at(0).value, "j");
}

TEST(BuildIscsi, ListenersAreOfTheOwnersProtocol) {
  EXPECT_THAT(complaints_about_target("listeners: [m], hosts: [i]"),
              ElementsAre("f.yaml:8:43: " + target +
                          ".listeners[0]: listener \"m\" is of protocol nvme-tcp; name one of "
                          "iscsi."));
  EXPECT_THAT(
      complaints(things +
                 "subsystems:\n  nqn.2026-11.com.example:s: {listeners: [l], hosts: [m]}\n"),
      ElementsAre("f.yaml:9:43: subsystems.nqn.2026-11.com.example:s.listeners[0]: listener \"l\" "
                  "is of protocol iscsi; name one of nvme-tcp."));
}

TEST(BuildIscsi, HostsHaveANameOfTheOwnersProtocol) {
  EXPECT_THAT(complaints_about_target("listeners: [l], hosts: [i, m]"),
              ElementsAre("f.yaml:8:58: " + target +
                          ".hosts[1]: host \"m\" has no iqn; add it to the host, or remove it "
                          "here."));
  EXPECT_THAT(
      complaints(things +
                 "subsystems:\n  nqn.2026-11.com.example:s: {listeners: [m], hosts: [i]}\n"),
      ElementsAre("f.yaml:9:55: subsystems.nqn.2026-11.com.example:s.hosts[0]: host \"i\" has no "
                  "nqn; add it to the host, or remove it here."));
  EXPECT_THAT(complaints_about_target(
                  "listeners: [l], allow_any_host: true, luns: {0: {volume: v, hosts: [m]}}"),
              ElementsAre("f.yaml:8:99: " + target +
                          ".luns.0.hosts[0]: host \"m\" has no iqn; add it to the host, or remove "
                          "it here."));
}

TEST(BuildIscsi, LunsAreNumbersAndVolumesThatThereAre) {
  EXPECT_THAT(
      complaints_about_target("listeners: [l], hosts: [i], luns: {0: {volume: v}, 1: {volume: v}, "
                              "16384: {volume: w}, a: {volume: x}}"),
      ElementsAre(
          "f.yaml:8:94: " + target +
              ".luns.1.volume: volume \"v\" is LUN 0 of this target already; remove one.",
          "f.yaml:8:98: " + target +
              ".luns.16384: LUN \"16384\" is not a whole number from 0 to 16383.",
          "f.yaml:8:118: " + target + ".luns.a: LUN \"a\" is not a whole number from 0 to 16383."));
  EXPECT_THAT(
      complaints_about_target("listeners: [l], hosts: [i], luns: {0: {volume: x}}"),
      ElementsAre("f.yaml:8:78: " + target + ".luns.0.volume: no volume \"x\"; known: v, w."));
  EXPECT_THAT(
      complaints_about_target("listeners: [l], hosts: [i], luns: {0: {volume: v, hosts: [j]}}"),
      ElementsAre("f.yaml:8:89: " + target +
                  ".luns.0.hosts[0]: host \"j\" may not connect to this target; add it to the "
                  "target's hosts, or remove it here."));
}

TEST(BuildIscsi, AVolumeMayBeANamespaceAndALun) {
  EXPECT_THAT(
      complaints(things + "  iqn.2026-11.com.example:t: {listeners: [l], hosts: [i], luns: {0: "
                          "{volume: v}}}\n"
                          "  iqn.2026-11.com.example:u: {listeners: [l], hosts: [i], luns: {0: "
                          "{volume: v}}}\n"
                          "subsystems:\n  nqn.2026-11.com.example:s: {listeners: [m], hosts: [m], "
                          "namespaces: {1: {volume: v}}}\n"),
      IsEmpty());
}

TEST(BuildIscsi, ATargetHasNoMorePortalGroupsThanItsPortsCanBe) {
  const auto with = [](int groups) {
    std::string listeners = "listeners:\n";
    std::string names;
    for (int i = 1; i <= groups; ++i) {
      listeners += "  l" + std::to_string(i) + ": {protocol: iscsi, address: 10.0.0." +
                   std::to_string(i) + ", portal_group: " + std::to_string(i) + "}\n";
      names += (names.empty() ? "l" : ", l") + std::to_string(i);
    }
    return complaints(listeners + "targets: {\"iqn.2026-11.com.example:t\": {listeners: [" + names +
                      "], allow_any_host: true}}\n");
  };
  EXPECT_THAT(with(64), IsEmpty());
  const auto told = with(65);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0], testing::HasSubstr("listeners[64]: is of another portal group than 64 "));
}

TEST(BuildIscsi, AnybodyOnEveryAddressIsWarnedOfUnlessItProvesItself) {
  const std::string begin =
      "listeners: {l: {protocol: iscsi, address: \"*\"}}\ntargets:\n  iqn.2026-11.com.example:t: "
      "{listeners: [l], allow_any_host: true";
  EXPECT_THAT(complaints(begin + "}\n"),
              ElementsAre("f.yaml:5:63: warning: " + target +
                          ".allow_any_host: on listener \"l\" (*) whoever reaches any address of "
                          "this machine may read and write; name the hosts, or give the listener "
                          "one address."));
  EXPECT_THAT(complaints(begin + ", chap: {user: u, secret: 'file:/s'}}\n"), IsEmpty());
}

}  // namespace
}  // namespace config
