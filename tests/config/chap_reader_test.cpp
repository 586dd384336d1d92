// What hosts, targets and discovery have to prove.
#include "config/chap_reader.h"

#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> complaints_about(std::string_view chap) {
  return complaints("hosts:\n  h:\n    iqn: iqn.2026-11.com.example:h\n    chap: {" +
                    std::string(chap) + "}\n");
}

TEST(ChapReader, SecretsAreReferences) {
  EXPECT_THAT(complaints_about("user: u, secret: \"file:/s/u\""), IsEmpty());
  EXPECT_THAT(
      complaints_about("user: u, secret: opensesame123"),
      ElementsAre("f.yaml:6:29: hosts.h.chap.secret: is no place of a secret, which never "
                  "stands in this file itself; write file:/PATH, or credential:NAME for one "
                  "of $CREDENTIALS_DIRECTORY."));
  EXPECT_THAT(complaints_about("user: u, secret: 'credential:a/b'"),
              ElementsAre("f.yaml:6:29: hosts.h.chap.secret: no credential has such a name; write "
                          "credential:NAME as in LoadCredential=NAME:PATH of the unit."));
  EXPECT_THAT(complaints_about("user: u, secret: 'file:s'"),
              ElementsAre("f.yaml:6:29: hosts.h.chap.secret: \"s\" is not an absolute path; begin "
                          "with \"/\"."));
  EXPECT_THAT(complaints_about("user: 5, secret: 'file:/s'"),
              ElementsAre("f.yaml:6:18: hosts.h.chap.user: 5 is a number; write \"5\" in quotes."));
}

TEST(ChapReader, BothKeysAreNeeded) {
  EXPECT_THAT(complaints_about(""),
              ElementsAre("f.yaml:6:5: hosts.h.chap: \"user\" is missing; add user: NAME.",
                          "f.yaml:6:5: hosts.h.chap: \"secret\" is missing; add secret: "
                          "file:/PATH, or credential:NAME."));
  EXPECT_THAT(complaints_about("name: u, secret: 'file:/s'"),
              ElementsAre("f.yaml:6:5: hosts.h.chap: \"user\" is missing; add user: NAME.",
                          "f.yaml:6:12: hosts.h.chap.name: unknown key; known: user, secret, "
                          "mutual_user, mutual_secret."));
}

TEST(ChapReader, MutualIsAllOrNothing) {
  const std::string one = "user: u, secret: 'file:/s', ";
  EXPECT_THAT(complaints_about(one + "mutual_user: t, mutual_secret: 'file:/t'"), IsEmpty());
  EXPECT_THAT(complaints_about(one + "mutual_user: t"),
              ElementsAre("f.yaml:6:40: hosts.h.chap.mutual_user: needs mutual_secret, with which "
                          "the target proves itself; add it."));
  EXPECT_THAT(complaints_about(one + "mutual_secret: 'file:/t'"),
              ElementsAre("f.yaml:6:40: hosts.h.chap.mutual_secret: needs mutual_user, the name "
                          "that the target says; add it."));
}

// RFC 7143, section 12.1.3.
TEST(ChapReader, TheDirectionsHaveDifferentSecrets) {
  EXPECT_THAT(
      complaints_about("user: u, secret: 'file:/s', mutual_user: t, mutual_secret: 'file://s/'"),
      ElementsAre("f.yaml:6:71: hosts.h.chap.mutual_secret: is the secret of the other direction; "
                  "make another."));
  EXPECT_THAT(complaints_about("user: u, secret: 'file:/s', mutual_user: t, mutual_secret: "
                               "'credential:s'"),
              IsEmpty());
}

TEST(ChapReader, TargetsAndDiscoveryHaveTheSame) {
  expect_complaints({
      {"iscsi: {discovery_chap: {user: d}}\n",
       {"f.yaml:3:9: iscsi.discovery_chap: \"secret\" is missing; add secret: file:/PATH, or "
        "credential:NAME."}},
      {"listeners: {l: {protocol: iscsi, address: 10.0.0.1}}\ntargets:\n"
       "  iqn.2026-11.com.example:t: {listeners: [l], allow_any_host: true, chap: {user: d}}\n",
       {"f.yaml:5:69: targets.iqn.2026-11.com.example:t.chap: \"secret\" is missing; add secret: "
        "file:/PATH, or credential:NAME."}},
  });
}

}  // namespace
}  // namespace config
