// What forebayctl makes of one status of a daemon, as it is printed: tests/appliance/golden has the
// status and each screen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "appliance/cli/connect_line.h"
#include "appliance/cli/doctor.h"
#include "appliance/cli/events_command.h"
#include "appliance/cli/explain.h"
#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/status_screen.h"

namespace cli {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

constexpr std::uint64_t now = 1'796'000'000'000;

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}
json::value status() { return json::parse(file_text(FOREBAY_GOLDEN "/status.json")); }

json::value events() {
  return json::parse(R"({"began_ms": 1, "last_id": 3, "has_gap": true, "events": [
    {"id": 1, "time_ms": 1795999000000, "name": "daemon.started", "severity": "info", "subject": "", "text": "store1 is served"},
    {"id": 2, "time_ms": 1795999748000, "name": "volume.degraded", "severity": "warning", "subject": "vm01", "text": "backing I/O error"},
    {"id": 3, "time_ms": 1795999760000, "name": "host.lost", "severity": "warning", "subject": "iqn.1993-08.org.debian:01:5a7c1e9f2b", "text": "nop time-out"}]})");
}

// What `forebayctl status` makes of two looks.
json::value rates() {
  const auto side = [](double per_second, const json::value& p99_us) {
    return json::object{{"per_second", per_second}, {"p99_us", p99_us}};
  };
  return json::object{{"volumes", json::array{json::object{{"name", "db01"},
                                                           {"reads", side(41'240, 310)},
                                                           {"writes", side(18'910, 95)},
                                                           {"hit_ratio", 0.93}},
                                              json::object{{"name", "logs"},
                                                           {"reads", side(0, nullptr)},
                                                           {"writes", side(6'080, 4'200)},
                                                           {"hit_ratio", nullptr}},
                                              json::object{{"name", "vm01"},
                                                           {"reads", side(800, 9'800)},
                                                           {"writes", side(310, 92)},
                                                           {"hit_ratio", 0.71}}}}};
}

std::string connect_lines_of(const std::string& host) {
  const json::value now_status = status();
  std::vector<ConnectLines> all;
  for (const HostView& view : views_of(now_status, host)) {
    all.push_back(connect_lines(now_status, view, {"10.10.1.5", "fd00:2::5"}));
  }
  return connect_screen(all);
}

struct Screen {
  const char* name;
  std::string (*make)();
};

class CliScreens : public testing::TestWithParam<Screen> {};

TEST_P(CliScreens, AreAsTheyWere) {
  const std::string made = GetParam().make();
  const std::string path = std::string(FOREBAY_GOLDEN "/cli_") + GetParam().name + ".txt";
  EXPECT_EQ(made, file_text(path)) << path;
}

INSTANTIATE_TEST_SUITE_P(
    Of, CliScreens,
    testing::Values(
        Screen{"status", [] { return status_screen(status(), rates(), now); }},
        Screen{"volumes",
               [] {
                 return volumes_table(status()) + states_table(status(), "volumes", "VOLUME", now);
               }},
        Screen{"hosts",
               [] {
                 return hosts_table(status()) + paths_table(status()) + listeners_table(status()) +
                        targets_table(status()) + sessions_table(status());
               }},
        Screen{
            "pools",
            [] { return pools_table(status()) + members_table(status()) + disks_table(status()); }},
        Screen{"cache",
               [] { return caches_table(status()) + cached_volumes_table(status(), now); }},
        Screen{"events", [] { return events_screen(events(), 0); }},
        Screen{"explain_volume",
               [] { return explanation_screen(explain(status(), "vm01"), events(), now); }},
        Screen{"explain_host",
               [] { return explanation_screen(explain(status(), "hyper1"), events(), now); }},
        Screen{"doctor", [] { return doctor_screen(diagnose(status(), now)); }},
        Screen{"connect_nvme", [] { return connect_lines_of("dbhost1"); }},
        Screen{"connect_iscsi", [] { return connect_lines_of("hyper1"); }}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Doctor, SaysWhenTheCertificateEnds) {
  constexpr std::uint64_t day = 24ULL * 3600 * 1000;
  const auto said = [&](std::uint64_t end_ms) {
    json::value changed = status();
    changed.as_object()["certificate_end_ms"] = end_ms;
    std::vector<Diagnosis> found;
    for (const Diagnosis& one : diagnose(changed, now)) {
      if (one.about == "certificate") found.push_back(one);
    }
    return found;
  };
  EXPECT_TRUE(said(0).empty()) << "the API shows none";
  struct Row {
    std::uint64_t end_ms;
    Diagnosis::Verdict verdict;
    const char* text;
  };
  for (const Row& row :
       {Row{now + 22 * day, Diagnosis::Verdict::ok, "ends on"},
        Row{now + 20 * day, Diagnosis::Verdict::hint, "in 20 days; put a new one in its place"},
        Row{now + day, Diagnosis::Verdict::hint, "in 1 day; put a new one in its place"},
        Row{now, Diagnosis::Verdict::bad, "ended on"}}) {
    const auto found = said(row.end_ms);
    ASSERT_EQ(found.size(), 1U) << row.text;
    EXPECT_EQ(found[0].verdict, row.verdict) << row.text;
    EXPECT_THAT(found[0].text, HasSubstr(row.text));
  }
}

TEST(Explain, EachKindSaysWhatIsWrongWithIt) {
  json::value changed = status();
  auto& volume = changed.at("volumes").at(0).as_object();
  for (const char* state : {"degraded", "late", "cache-missing", "failed", "refused"}) {
    volume["state"] = state;
    const auto all = explain(changed, "db01");
    ASSERT_EQ(all.size(), 1U);
    EXPECT_FALSE(all[0].is_well) << state;
    EXPECT_FALSE(all[0].next.empty()) << state;
  }
  volume["state"] = "online";
  EXPECT_TRUE(explain(changed, "db01")[0].is_well);
  EXPECT_FALSE(explain(changed, "bulk")[0].is_well) << "it is filling";
  EXPECT_FALSE(explain(changed, "fast")[0].is_well) << "a disk is slow";
  EXPECT_TRUE(explain(changed, "pmem0")[0].is_well);
  changed.at("caches").at(0).as_object()["reason"] = "it could not be written";
  EXPECT_EQ(explain(changed, "pmem0")[0].state, "failed");
  EXPECT_FALSE(explain(changed, "pmem0")[0].is_well);
  EXPECT_THAT(status_screen(changed, nullptr, now),
              HasSubstr("! cache pmem0: it could not be written  (forebayctl explain pmem0)\n"));
  EXPECT_FALSE(explain(changed, "scsi-b")[0].is_well);
  EXPECT_TRUE(explain(changed, "dbhost1")[0].is_well);
  EXPECT_TRUE(explain(changed, "dbhost2")[0].is_well) << "it may be off";
  EXPECT_TRUE(explain(changed, "none").empty());
}

TEST(HostView, WhoIsAdmittedWithoutANameIsFoundByItsOwn) {
  json::value changed = status();
  EXPECT_TRUE(views_of(changed, "nqn.x").empty());
  changed.at("subsystems").at(0).as_object()["allow_any_host"] = true;
  const auto views = views_of(changed, "nqn.x");
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].paths.size(), 2U);
  ASSERT_EQ(views[0].volumes.size(), 1U) << "the second namespace names its hosts";
  EXPECT_EQ(views[0].volumes[0].volume, "db01");
  EXPECT_TRUE(views_of(changed, "stranger").empty());
}

TEST(ConnectLine, AListenerOnEveryAddressIsReachedByEachOfThem) {
  json::value changed = status();
  changed.at("listeners").at(0).as_object()["address"] = "*:4420";
  const HostView host = views_of(changed, "dbhost2").at(0);
  const auto lines = connect_lines(changed, host, {"192.0.2.1", "192.0.2.2"}).now;
  EXPECT_THAT(lines, testing::Contains(HasSubstr("--traddr=192.0.2.1 --trsvcid=4420")));
  EXPECT_THAT(lines, testing::Contains(HasSubstr("--traddr=192.0.2.2 --trsvcid=4420")));
  EXPECT_THAT(connect_lines(changed, host, {}).now,
              testing::Contains(HasSubstr("--traddr=127.0.0.1 --trsvcid=4420")));
}

TEST(ConnectLine, TlsIsUsedWhereTheHostHasAKeyOrThereIsNoOtherWay) {
  json::value changed = status();
  auto& listener = changed.at("listeners").at(0).as_object();
  const auto lines_now = [&changed] {
    return connect_lines(changed, views_of(changed, "dbhost1").at(0), {}).now;
  };
  const auto inserts = HasSubstr("nvme check-tls-key --insert --keyring=.nvme --identity=1");
  listener["tls"] = "permitted";
  EXPECT_THAT(lines_now(), testing::Not(testing::Contains(HasSubstr("--tls"))));
  for (auto& known : changed.at("known_hosts").as_array()) {
    known.as_object()["tls_keys"] = json::array{"dbhost1-psk"};
  }
  EXPECT_THAT(lines_now(), testing::Contains(HasSubstr(" --tls --keyring=.nvme")));
  EXPECT_THAT(lines_now(), testing::Contains(inserts));
  listener["tls"] = "required";
  for (auto& known : changed.at("known_hosts").as_array()) {
    known.as_object()["tls_keys"] = json::array{};
  }
  EXPECT_THAT(lines_now(), testing::Contains(HasSubstr(" --tls --keyring=.nvme")));
}

TEST(ConnectLine, DiscoveryInsideTlsHasKeysOfItsOwn) {
  json::value changed = status();
  const auto lines_of = [&changed] {
    return connect_lines(changed, views_of(changed, "dbhost1").at(0), {"10.10.1.5"});
  };
  const auto inserts_for = [](const std::string& nqn) {
    return testing::Contains(testing::AllOf(HasSubstr("nvme check-tls-key --insert"),
                                            HasSubstr(" --subsysnqn=" + nqn + " ")));
  };
  const std::string own_nqn =
      "nqn.2014-08.org.nvmexpress:uuid:2c1b7d4e-6f0a-8b35-9d27-41e8a05c6f13";
  const auto keeps_keys = testing::Contains(HasSubstr("nvme tls-key --export"));
  EXPECT_THAT(lines_of().now, testing::Not(testing::Contains(HasSubstr("check-tls-key"))));
  EXPECT_THAT(lines_of().at_boot, testing::Not(keeps_keys));

  changed.at("listeners").at(2).as_object()["tls"] = "required";
  const ConnectLines lines = lines_of();
  EXPECT_THAT(lines.now, inserts_for("nqn.2014-08.org.nvmexpress.discovery"));
  EXPECT_THAT(lines.now, inserts_for(own_nqn));
  EXPECT_THAT(lines.now, testing::Not(inserts_for("nqn.2026-11.com.example:store1.db")));
  EXPECT_THAT(lines.at_boot, testing::Contains(testing::AllOf(
                                 HasSubstr("--trsvcid=8009"), HasSubstr(" --tls --keyring=.nvme"),
                                 HasSubstr("/etc/nvme/discovery.conf"))));
  EXPECT_THAT(lines.at_boot, testing::Contains("install -m 0600 /dev/null /etc/nvme/tls-keys"));
  EXPECT_THAT(lines.at_boot, keeps_keys);
}

TEST(ConnectLine, AHostThatHasToProveItselfIsGivenItsKeys) {
  json::value changed = status();
  const auto lines_with = [&changed](const char* dhchap) {
    for (auto& known : changed.at("known_hosts").as_array()) known.as_object()["dhchap"] = dhchap;
    const auto lines = connect_lines(changed, views_of(changed, "dbhost1").at(0), {});
    EXPECT_EQ(testing::Value(lines.at_boot, testing::Contains(HasSubstr("nvme config --scan"))),
              dhchap != std::string_view("none"));
    return lines.now;
  };
  const auto any = [](const char* what) { return testing::Contains(HasSubstr(what)); };
  EXPECT_THAT(lines_with("none"), testing::Not(any("dhchap")));
  EXPECT_THAT(lines_with("one-way"), any(" --dhchap-secret=HOST_KEY"));
  EXPECT_THAT(lines_with("one-way"), testing::Not(any("TARGET_KEY")));
  EXPECT_THAT(lines_with("mutual"),
              any(" --dhchap-secret=HOST_KEY --dhchap-ctrl-secret=TARGET_KEY"));
}

TEST(ConnectLine, AHostWhoseProofMakesTheKeyForTlsSaysSo) {
  json::value changed = status();
  for (auto& known : changed.at("known_hosts").as_array()) {
    known.as_object()["dhchap"] = "one-way";
    known.as_object()["concat"] = "required";
  }
  const auto lines = connect_lines(changed, views_of(changed, "dbhost1").at(0), {});
  EXPECT_THAT(lines.now, testing::Contains(HasSubstr(" --concat --dhchap-secret=HOST_KEY")));
}

TEST(ConnectLine, AHostWithoutASecretOfItsOwnProvesTheTargets) {
  json::value changed = status();
  changed.at("known_hosts").at(2).as_object()["chap_user"] = "";
  const auto lines_now = [&changed] {
    return connect_lines(changed, views_of(changed, "hyper1").at(0), {}).now;
  };
  EXPECT_THAT(lines_now(), testing::Not(testing::Contains(HasSubstr("node.session.auth"))));
  changed.at("targets").at(0).as_object()["chap_user"] = "lab";
  EXPECT_THAT(lines_now(), testing::Contains(HasSubstr("node.session.auth.username --value lab")));
  EXPECT_THAT(lines_now(), testing::Not(testing::Contains(HasSubstr("username_in"))));
}

TEST(ConnectLine, WithoutDiscoveryItSaysSo) {
  json::value changed = status();
  for (auto& listener : changed.at("listeners").as_array()) {
    listener.as_object()["discovery"] = "none";
  }
  const HostView host = views_of(changed, "dbhost1").at(0);
  const ConnectLines lines = connect_lines(changed, host, {});
  EXPECT_TRUE(lines.at_boot.empty());
  EXPECT_THAT(lines.notes, testing::Contains(HasSubstr("no listener of this host answers")));
}

TEST(StatusTables, AreOnTheScreenThatTheReadmeShows) {
  EXPECT_THAT(file_text(FOREBAY_GOLDEN "/../../../README.md"),
              HasSubstr("$ forebayctl status\n" + file_text(FOREBAY_GOLDEN "/cli_status.txt")));
}

// docs/iscsi.md shows it, and a guest is tested with what stands there.
TEST(ConnectLine, TheRuleForAResizeIsTheOneOfThePage) {
  EXPECT_THAT(file_text(FOREBAY_GOLDEN "/../../../docs/iscsi.md"), HasSubstr(resize_rule));
}

TEST(Doctor, ADaemonWithNothingAmissGetsNoWordAgainstIt) {
  json::value changed = status();
  changed.at("pools").as_array().clear();
  changed.at("volumes").as_array().clear();
  changed.at("caches").as_array().clear();
  changed.at("hosts").as_array().clear();
  changed.at("sessions").as_array().clear();
  changed.at("listeners").as_array().pop_back();
  for (const Diagnosis& one : diagnose(changed, now)) {
    EXPECT_EQ(one.verdict, Diagnosis::Verdict::ok) << one.about << ": " << one.text;
  }
}

}  // namespace
}  // namespace cli
