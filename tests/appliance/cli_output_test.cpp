// forebayctl's output for scripts and in colours, and the rates of top.
#include "appliance/cli/output.h"
#include "appliance/cli/redaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "appliance/cli/listing.h"
#include "appliance/cli/status_tables.h"
#include "appliance/cli/table.h"
#include "appliance/cli/top.h"

namespace cli {
namespace {

namespace json = boost::json;

TEST(Yaml, IsInBlocks) {
  EXPECT_EQ(to_yaml(json::parse(
                R"({"a": 1, "b": "x: \"y\"\n", "c": [], "d": {}, "e": [1, {"f": null, "g": [true]}],
                                    "h": {"i": 1.5}})")),
            "a: 1\n"
            "b: \"x: \\\"y\\\"\\n\"\n"
            "c: []\n"
            "d: {}\n"
            "e:\n"
            "  - 1\n"
            "  -\n"
            "    f: null\n"
            "    g:\n"
            "      - true\n"
            "h:\n"
            "  i: 1.5E0\n");
  EXPECT_EQ(to_yaml(json::value("text")), "\"text\"\n");
  EXPECT_EQ(to_yaml(json::array{}), "[]\n");
}

TEST(Colours, TroubleIsRedAndHeadingsAreBold) {
  EXPECT_EQ(coloured("forebay n  HEALTHY  x\n! volume a: late\n\nVOLUME  SIZE\ndb01    1\n"),
            "forebay n  \033[32mHEALTHY\033[0m  x\n\033[31m! volume a: late\033[0m\n\n"
            "\033[1mVOLUME  SIZE\033[0m\ndb01    1\n");
  EXPECT_EQ(coloured("a DEGRADED"), "a \033[31mDEGRADED\033[0m");
  EXPECT_EQ(coloured(""), "");
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"A", "LONG"});
  EXPECT_TRUE(table.empty());
  table.add({"wide cell", "x"});
  table.add({"", "-"});
  EXPECT_EQ(table.text(), "\nA          LONG\nwide cell  x\n           -\n");
}

class Top : public testing::Test {
 protected:
  Top() {
    std::ifstream file(FOREBAY_GOLDEN "/status.json");
    before_ = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    after_ = before_;
  }
  json::object& volume() { return after_.at("volumes").at(0).as_object(); }

  json::value before_;
  json::value after_;
};

TEST_F(Top, CountsWhatHappenedInBetween) {
  volume()["reads"] = json::parse(
      R"({"count": 200, "bytes": 819200, "errors": 0, "latency_counts": [100, 98, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]})");
  volume()["cache_hits"] = 150;
  volume()["cache_misses"] = 50;
  auto& session = after_.at("sessions").at(0).as_object();
  session["read_commands"] = 820;
  session["bytes_written"] = 8192;
  const json::value rates = rates_between(before_, after_, 2);
  const auto& db01 = rates.at("volumes").at(0);
  EXPECT_EQ(db01.at("name").as_string(), "db01");
  EXPECT_EQ(db01.at("reads").at("per_second").as_double(), 100);
  EXPECT_EQ(db01.at("reads").at("bytes_per_second").as_double(), 409600);
  EXPECT_EQ(db01.at("reads").at("p50_us").as_double(), 50);
  EXPECT_NEAR(db01.at("reads").at("p99_us").as_double(), 100, 1);
  EXPECT_TRUE(db01.at("writes").at("p99_us").is_null()) << "nothing was written";
  EXPECT_EQ(db01.at("hit_ratio").as_double(), 0.75);
  EXPECT_TRUE(rates.at("volumes").at(1).at("hit_ratio").is_null());
  const auto& hosts = rates.at("hosts").as_array();
  const auto hyper1 = std::find_if(hosts.begin(), hosts.end(), [](const json::value& host) {
    return host.at("name").as_string() == "hyper1";
  });
  ASSERT_NE(hyper1, hosts.end());
  EXPECT_EQ(hyper1->at("reads_per_second").as_double(), 10);
  EXPECT_EQ(hyper1->at("bytes_written_per_second").as_double(), 4096);
  EXPECT_THAT(
      top_screen(rates),
      testing::ContainsRegex("db01 +100 +0 +400 KiB +0 B +50/- +100/- +75% +11 GiB +online\n"));
}

TEST_F(Top, WhatHasBegunAnewCountsFromNothing) {
  before_.at("sessions").at(0).as_object()["read_commands"] = 5000;
  before_.at("volumes").as_array().clear();
  const json::value rates = rates_between(before_, after_, 1);
  EXPECT_EQ(rates.at("hosts").at(1).at("reads_per_second").as_double(), 800);
  EXPECT_EQ(rates.at("volumes").as_array().size(), 3U);
}

TEST(Redaction, OfAConfigurationOnlyWhatIsSecretIsTakenOut) {
  Redaction redaction;
  const std::string yaml =
      "hosts:\n"
      "  a: {chap: {user: a, secret: \"file:/etc/a\", mutual_secret: 'hunter2-hunter2'}}\n"
      "  b:\n"
      "    dhchap:\n"
      "      key: |\n"
      "        DHHC-1:00:first\n"
      "        second-line\n"
      "      hash: sha256\n"
      "    tls_psk: [credential:b]\n"
      "# old password: letmein-letmein\n"
      "volumes: {}\n";
  const std::string out = redaction.of_configuration(yaml);
  for (const char* gone : {"hunter2", "DHHC", "second-line", "letmein"}) {
    EXPECT_EQ(out.find(gone), std::string::npos) << gone << "\n" << out;
  }
  for (const char* stays :
       {"user: a", "file:/etc/a", "hash: sha256", "[credential:b]", "volumes: {}"}) {
    EXPECT_NE(out.find(stays), std::string::npos) << stays << "\n" << out;
  }
  EXPECT_EQ(redaction.of_text("he said hunter2-hunter2."), "he said [REDACTED].");
  EXPECT_EQ(Redaction::references_in(yaml),
            (std::vector<std::string>{"file:/etc/a", "credential:b"}));
}

TEST(Redaction, KnowsASecretInEveryForm) {
  Redaction redaction;
  redaction.add("  tell-nobody\n");
  redaction.add("short");
  // Alone, and behind one and two other bytes.
  for (const char* form : {"tell-nobody", "74656c6c2d6e6f626f6479", "74656C6C2D6E6F626F6479",
                           "dGVsbC1ub2JvZHk=", "eHRlbGwtbm9ib2R5", "eHh0ZWxsLW5vYm9keQ=="}) {
    const std::string out = redaction.of_text(std::string("<") + form + ">");
    EXPECT_NE(out.find("[REDACTED]"), std::string::npos) << form;
  }
  EXPECT_EQ(redaction.of_text("short"), "short") << "too short to be told from other words";
}

TEST(StatusTables, HaveWhatHappensAndHowOldThePoolIs) {
  std::ifstream file(FOREBAY_GOLDEN "/status.json");
  const auto status = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  auto after = status;
  auto& volume = after.at("volumes").at(0).as_object();
  volume["reads"].at("count") = volume["reads"].at("count").to_number<std::uint64_t>() + 100;
  volume["consistent_time_ms"] = 1'000'000;
  const std::string table = volumes_overview(after, rates_between(status, after, 0.5));
  EXPECT_THAT(table, testing::ContainsRegex("db01 .*online +200 +0 +-/- +- +11 GiB\n"));
  EXPECT_THAT(table, testing::ContainsRegex("logs .*online +0 +0 +-/- +- +0 B\n"));
  EXPECT_THAT(volumes_overview(after, nullptr),
              testing::ContainsRegex("db01 .*online +- +- +- +- +11 GiB\n"))
      << "nobody has looked twice";
  EXPECT_THAT(caches_overview(after, 1'065'000), testing::ContainsRegex("pmem0 .* 1m 5s +0 +ok\n"));
  const std::string held = cached_volumes_table(after, 1'065'000);
  EXPECT_THAT(held, testing::ContainsRegex("db01 +pmem0 +write-back +11 GiB +1m 5s +- +-\n"));
  EXPECT_THAT(held, testing::ContainsRegex("logs +pmem0 +write-through +0 B +0s +- +-\n"));
  after.at("pools").at(0).at("disks").at(0).at("writes").at("errors") = 14;
  EXPECT_THAT(pools_overview(after), testing::HasSubstr("; 14 I/O errors\n"));
}

}  // namespace
}  // namespace cli
