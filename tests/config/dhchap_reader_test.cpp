// What NVMe hosts have to prove.
#include "config/dhchap_reader.h"

#include <gtest/gtest.h>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string file_with(std::string_view dhchap,
                      std::string_view identity = "nqn: nqn.2026-11.com.a:h") {
  return "hosts:\n  h:\n    " + std::string(identity) + "\n    dhchap: {" + std::string(dhchap) +
         "}\n";
}
std::vector<std::string> complaints_of(std::string_view dhchap) {
  return complaints(file_with(dhchap));
}

TEST(DhchapReader, WhatIsWrittenArrives) {
  const auto outcome = parse_text(
      std::string(heading) +
          file_with("key: 'file:/k', controller_key: 'credential:c', hash: [sha512, sha256], "
                    "dhgroup: ffdhe3072, required: false, concat: none, previous: {key: "
                    "'file:/old', until: "
                    "\"2026-12-31T23:59:59Z\"}"),
      "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const Dhchap& dhchap = *outcome.config->hosts.at("h").dhchap;
  EXPECT_EQ(dhchap.keys.key.value.name, "/k");
  EXPECT_EQ(dhchap.keys.controller_key->value.name, "c");
  ASSERT_EQ(dhchap.hashes.size(), 2U);
  EXPECT_EQ(dhchap.hashes[0].value, "sha512");
  ASSERT_EQ(dhchap.groups.size(), 1U);
  EXPECT_EQ(dhchap.groups[0].value, "ffdhe3072");
  EXPECT_FALSE(dhchap.required);
  EXPECT_FALSE(dhchap.discovery);
  EXPECT_EQ(dhchap.concat, Concat::none);
  ASSERT_TRUE(dhchap.previous.has_value());
  EXPECT_EQ(dhchap.previous->keys.key.value.name, "/old");
  EXPECT_EQ(dhchap.previous->until.value.time_since_epoch().count(), 1'798'761'599);
}

TEST(DhchapReader, AKeyIsEnough) { EXPECT_THAT(complaints_of("key: 'file:/k'"), IsEmpty()); }

TEST(DhchapReader, WhatIsWrongIsNamed) {
  EXPECT_THAT(complaints_of(""),
              ElementsAre("f.yaml:6:5: hosts.h.dhchap: \"key\" is missing; add key: file:/PATH, or "
                          "credential:NAME."));
  EXPECT_THAT(complaints_of("key: 'file:/k', hash: sha1"),
              ElementsAre("f.yaml:6:36: hosts.h.dhchap.hash: \"sha1\" is none of sha256, sha384, "
                          "sha512."));
  EXPECT_THAT(
      complaints_of("key: 'file:/k', required: false, discovery: true"),
      ElementsAre("f.yaml:6:47: hosts.h.dhchap.discovery: asks at discovery for what is not "
                  "required (required: false); remove one of them."));
  EXPECT_THAT(complaints_of("key: 'file:/k', discovery: true"), IsEmpty());
  EXPECT_THAT(complaints_of("key: 'file:/k', concat: none"), IsEmpty());
  EXPECT_THAT(complaints_of("key: 'file:/k', required: false, concat: permitted"), IsEmpty());
  EXPECT_THAT(
      complaints_of("key: 'file:/k', required: false, concat: required"),
      ElementsAre("f.yaml:6:47: hosts.h.dhchap.concat: makes keys by a proof that is not required "
                  "(required: false); remove one of them."));
  EXPECT_THAT(complaints_of("key: 'file:/k', dhgroup: []"),
              ElementsAre("f.yaml:6:30: hosts.h.dhchap.dhgroup: is an empty list, so no host could "
                          "be let in; remove it for all of them, or name some."));
  EXPECT_THAT(complaints_of("key: 'file:/k', controller_key: 'file:/k'"),
              ElementsAre("f.yaml:6:46: hosts.h.dhchap.controller_key: is the key of the other "
                          "direction; make another."));
  for (const std::string moment : {"tomorrow", "2026-02-30T00:00:00Z", "2026-12-31T24:00:00Z",
                                   "2026-12-31 23:59:59Z", "2026-12-31T23:59:59+"}) {
    EXPECT_THAT(
        complaints_of("key: 'file:/k', previous: {key: 'file:/o', until: \"" + moment + "\"}"),
        ElementsAre("f.yaml:6:64: hosts.h.dhchap.previous.until: \"" + moment +
                    "\" is no time; write one of UTC, for example \"2027-01-31T00:00:00Z\"."));
  }
}

TEST(DhchapReader, IsOfNvmeAlone) {
  EXPECT_THAT(complaints(file_with("key: 'file:/k'", "iqn: iqn.2026-11.com.example:h")),
              ElementsAre("f.yaml:6:5: hosts.h.dhchap: is of NVMe, and there is no nqn; add it, or "
                          "remove this."));
}

}  // namespace
}  // namespace config
