// The configuration changes while hosts are connected: what was predicted is what they see, and who
// is not concerned sees nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <functional>
#include <set>
#include <thread>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using Events = std::set<std::string>;

constexpr const char* play = "nqn.2026-11.com.example:play";
constexpr const char* play_target = "iqn.2026-11.com.example:play";
constexpr const char* nqn_of_a = "nqn.2026-11.com.example:host-a";
constexpr const char* nqn_of_b = "nqn.2026-11.com.example:host-b";
constexpr const char* iqn_of_c = "iqn.2026-11.com.example:c";

SubsystemText& subsystem(ConfigText& config, const std::string& nqn) {
  return *std::ranges::find(config.subsystems, nqn, &SubsystemText::nqn);
}
TargetText& target(ConfigText& config, const std::string& iqn) {
  return *std::ranges::find(config.targets, iqn, &TargetText::iqn);
}
VolumeText& volume(ConfigText& config, const std::string& name) {
  return *std::ranges::find(config.volumes, name, &VolumeText::name);
}

// An NVMe host that wants to hear of its namespaces, and remembers what it heard.
class HearingHost {
 public:
  HearingHost(const client::Endpoint& endpoint, const char* nqn)
      : host_(endpoint, {.subsystem = play, .host_nqn = nqn}) {
    listen();
  }
  [[nodiscard]] bool connected() const { return host_.connected(); }
  [[nodiscard]] Host& host() { return host_; }

  // What it was told since the last call, as plans name it. What was told before the answer of a
  // later command is here by then.
  Events heard() {
    Events events;
    while (true) {
      if (!host_.controller->keep_alive()) return {"connections-end"};
      if (host_.controller->admin().in_flight() != 0) return events;
      const auto told = host_.controller->admin().await(event_);
      EXPECT_GOOD(told);
      if (!told) return {"error"};
      // Reading the log makes the next event possible.
      if (told.value().dw0() == 0x0c0302U) {
        events.insert("ana-changed");
        EXPECT_GOOD(host_.controller->read_log({.lid = 0x0c, .bytes = 4096}));
      } else {
        EXPECT_EQ(told.value().dw0(), 0x040002U);
        events.insert("namespace-attribute-changed");
        EXPECT_GOOD(host_.controller->read_log({.lid = 0x04, .bytes = 4096}));
      }
      listen();
    }
  }

 private:
  void listen() {
    if (!host_.connected()) return;
    const auto event = request_event(*host_.controller, attribute_notices | ana_change_notices);
    EXPECT_GOOD(event);
    if (event) event_ = event.value();
  }

  Host host_;
  std::uint16_t event_ = 0;
};

// The same over iSCSI, by unit attentions of LUN 0.
Events heard(iscsi::Session& session) {
  Events events;
  for (int i = 0; i < 16; ++i) {
    const auto done = session.execute(scsi::test_unit_ready());
    if (!done) return {"connections-end"};
    if (done.value().ok()) return events;
    const auto code = done.value().additional_sense();
    events.insert(code == 0x3f0e   ? "reported-luns-changed"
                  : code == 0x2a09 ? "capacity-changed"
                                   : fmt::format("{:04x}", code));
  }
  return {"no end"};
}

class Reload : public testing::Test {
 protected:
  Reload() : daemon_(workplace_, config()) {}

  ConfigText config() {
    ConfigText text = with_iscsi(file_config(workplace_.make_pool("pool")));
    text.hosts = {{.name = "a", .nqn = nqn_of_a},
                  {.name = "b", .nqn = nqn_of_b},
                  {.name = "c", .iqn = iqn_of_c}};
    text.volumes.push_back({.name = "p1", .pool = "disk", .size = "16MiB"});
    text.volumes.push_back({.name = "p2", .pool = "disk", .size = "16MiB"});
    // Both bystanders write at the end of their disk: not the same one.
    target(text, default_target).luns[0].volume = "prey";
    text.subsystems.push_back(
        {.nqn = play, .hosts = "[a, b]", .namespaces = {{.nsid = 1, .volume = "p1"}}});
    text.targets.push_back(
        {.iqn = play_target, .hosts = "[c]", .luns = {{.lun = 0, .volume = "p2"}}});
    return text;
  }

  Outcome ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAYCTL);
    arguments.insert(arguments.end(), {"--socket", daemon_.config().control_socket});
    return run({.arguments = std::move(arguments)});
  }
  std::string written(const ConfigText& next) {
    write_file(workplace_.path("next.yaml"), next.yaml());
    return workplace_.path("next.yaml");
  }
  boost::json::value plan(const ConfigText& next, int exit_code = 2) {
    const Outcome planned = ctl({"plan", written(next), "-o", "json"});
    EXPECT_EQ(planned.exit.code, exit_code) << planned.output;
    boost::system::error_code error;
    auto json = boost::json::parse(planned.output, error);
    EXPECT_FALSE(error) << planned.output;
    return json;
  }
  // And from then on it is the daemon's own.
  Outcome apply(const ConfigText& next, const std::vector<std::string>& more = {}) {
    // The service manager's socket holds few messages that nobody has read.
    daemon_.notify().forget();
    std::vector<std::string> arguments{"apply", written(next)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Outcome outcome = ctl(std::move(arguments));
    if (outcome.exit.code == 0) daemon_.config() = next;
    return outcome;
  }
  void apply_well(const ConfigText& next, const std::vector<std::string>& more = {}) {
    const Outcome outcome = apply(next, more);
    EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  }
  std::string hash() { return std::string(daemon_.status().at("config_hash").as_string()); }

  static Events predicted(const boost::json::value& plan, const std::string& name) {
    Events events;
    if (!plan.is_object()) return events;
    for (const auto& host : plan.at("hosts").as_array()) {
      if (host.at("name").as_string() != boost::json::string_view(name)) continue;
      for (const auto& event : host.at("events").as_array()) {
        events.insert(std::string(event.as_string()));
      }
    }
    return events;
  }

  [[nodiscard]] std::unique_ptr<iscsi::Session> session_of_c(const std::string& secret = {}) {
    iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()), play_target);
    options.initiator = iqn_of_c;
    if (!secret.empty()) options.chap = {.user = "c", .secret = secret};
    return open_session(options);
  }

  Workplace workplace_;
  Daemon daemon_;
};

struct Step {
  const char* what;
  std::function<void(ConfigText&)> change;
  // Who must be named; empty: nobody.
  std::vector<std::string> disconnect = {};
};

TEST_F(Reload, HostsSeeWhatWasPredictedAndNobodyElseAnything) {
  ASSERT_TRUE(daemon_.start());
  Bystander nvme_bystander(daemon_.endpoint());
  InitiatorBystander iscsi_bystander(iscsi_endpoint(daemon_.config()));
  HearingHost a(daemon_.endpoint(), nqn_of_a);
  auto b = std::make_unique<HearingHost>(daemon_.endpoint(), nqn_of_b);
  const auto c = session_of_c();
  ASSERT_TRUE(a.connected() && b->connected() && c != nullptr);
  write(*a.host().queue, 1, 7, pattern(4096, 7), 4096);
  (void)a.heard();
  (void)b->heard();

  const std::string second_pool = workplace_.make_pool("second");
  const std::uint16_t second_port = workplace_.free_port();
  const std::vector<Step> steps{
      {"a volume and its namespace",
       [](ConfigText& next) {
         next.volumes.push_back({.name = "w1", .pool = "disk", .size = "8MiB"});
         subsystem(next, play).namespaces.push_back({.nsid = 2, .volume = "w1"});
       }},
      {"a volume grows", [](ConfigText& next) { volume(next, "w1").size = "12MiB"; }},
      {"a namespace is masked",
       [](ConfigText& next) { subsystem(next, play).namespaces[1].hosts = "[a]"; },
       {"b"}},
      {"and shown again", [](ConfigText& next) { subsystem(next, play).namespaces[1].hosts = ""; }},
      {"a LUN",
       [](ConfigText& next) {
         target(next, play_target).luns.push_back({.lun = 1, .volume = "w1"});
       }},
      {"the volume of a LUN grows", [](ConfigText& next) { volume(next, "p2").size = "20MiB"; }},
      {"a listener",
       [&](ConfigText& next) {
         next.listeners.push_back({.name = "lo2", .port = second_port});
         subsystem(next, play).listeners = "[lo, lo2]";
       }},
      {"a listener's options",
       [](ConfigText& next) { next.listeners.back().options = "max_r2t: 2"; }},
      {"another host",
       [](ConfigText& next) {
         next.hosts.push_back({.name = "d", .nqn = "nqn.2026-11.com.example:host-d"});
         subsystem(next, play).hosts = "[a, b, d]";
       }},
      {"any host", [](ConfigText& next) { subsystem(next, play).hosts = ""; }},
      {"only some hosts", [](ConfigText& next) { subsystem(next, play).hosts = "[a, b]"; }},
      {"a pool with a volume",
       [&](ConfigText& next) {
         next.pools.push_back({.name = "second", .directory = second_pool});
         next.volumes.push_back({.name = "s1", .pool = "second", .size = "8MiB"});
       }},
      {"a subsystem and a target",
       [](ConfigText& next) {
         next.subsystems.push_back(
             {.nqn = "nqn.2026-11.com.example:new", .namespaces = {{.nsid = 1, .volume = "s1"}}});
         next.targets.push_back(
             {.iqn = "iqn.2026-11.com.example:new", .luns = {{.lun = 0, .volume = "s1"}}});
       }},
      {"a LUN goes", [](ConfigText& next) { target(next, play_target).luns.pop_back(); }, {"c"}},
      {"a namespace goes",
       [](ConfigText& next) { subsystem(next, play).namespaces.pop_back(); },
       {"a", "b"}},
      {"subsystem, target, volume and pool go",
       [](ConfigText& next) {
         next.subsystems.pop_back();
         next.targets.pop_back();
         std::erase_if(next.volumes, [](const auto& one) { return one.pool == "second"; });
         next.pools.pop_back();
       }},
      {"the log's level", [](ConfigText& next) { next.log_level = "debug"; }},
      {"a listener goes",
       [](ConfigText& next) {
         subsystem(next, play).listeners = "[lo]";
         next.listeners.pop_back();
       }},
      {"a host goes", [](ConfigText& next) { subsystem(next, play).hosts = "[a]"; }, {"b"}},
  };
  for (const Step& step : steps) {
    SCOPED_TRACE(step.what);
    ConfigText next = daemon_.config();
    step.change(next);
    const auto planned = plan(next, step.disconnect.empty() ? 2 : 3);
    std::vector<std::string> more;
    if (!step.disconnect.empty()) {
      const std::string before = hash();
      EXPECT_EQ(apply(next).exit.code, 3);
      EXPECT_EQ(hash(), before);
      EXPECT_TRUE(a.heard().empty()) << "nothing has changed";
      for (const auto& host : step.disconnect) {
        more.insert(more.end(), {"--disconnect", host});
      }
    }
    apply_well(next, more);
    EXPECT_EQ(a.heard(), predicted(planned, "a"));
    EXPECT_EQ(b->heard(), predicted(planned, "b"));
    EXPECT_EQ(heard(*c), predicted(planned, "c"));
    nvme_bystander.await_rounds(1);
    iscsi_bystander.await_rounds(1);
    if (HasFailure()) break;
  }
  EXPECT_EQ(ctl({"plan", written(daemon_.config())}).exit.code, 0) << "what runs is the file";
  EXPECT_TRUE(read(*a.host().queue, 1, 7, 1, 4096) == pattern(4096, 7));
  const auto refused = client::Controller::attach(
      {.endpoint = daemon_.endpoint(), .subsystem_nqn = play, .host_nqn = nqn_of_b});
  EXPECT_FALSE(refused.has_value()) << "it has been taken out";
  nvme_bystander.expect_undisturbed();
  iscsi_bystander.expect_undisturbed();
}

TEST_F(Reload, AVolumeThatIsTakenOutAndNamedAgainHasItsData) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  const ConfigText with_p1 = daemon_.config();
  ConfigText without = with_p1;
  subsystem(without, play).namespaces.clear();
  std::erase_if(without.volumes, [](const auto& one) { return one.name == "p1"; });
  for (std::uint64_t round = 1; round <= 3; ++round) {
    {
      Host host(daemon_.endpoint(), {.subsystem = play, .host_nqn = nqn_of_a});
      ASSERT_TRUE(host.connected());
      if (round > 1) {
        EXPECT_TRUE(read(*host.queue, 1, 3, 1, 4096) == pattern(4096, round - 1));
      }
      write(*host.queue, 1, 3, pattern(4096, round), 4096);
      const Outcome unnamed = apply(without);
      EXPECT_EQ(unnamed.exit.code, 3);
      EXPECT_NE(unnamed.output.find("p1 is in use: last write "), std::string::npos)
          << unnamed.output;
      apply_well(without, {"--disconnect", "a"});
      EXPECT_NE(status_of(*host.queue, client::io::read(1, 3, 1, 4096)), 0) << "it is gone";
    }
    apply_well(with_p1);
  }
  bystander.expect_undisturbed();
}

TEST_F(Reload, AFileThatIsWrongChangesNothing) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  const std::string before = hash();
  struct Row {
    std::string text;
    std::string reason;
  };
  ConfigText moved = daemon_.config();
  moved.node = "other";
  ConfigText smaller = daemon_.config();
  volume(smaller, "p1").size = "8MiB";
  ConfigText missing = daemon_.config();
  missing.pools.push_back({.name = "gone", .directory = workplace_.path("none")});
  ConfigText no_device = daemon_.config();
  no_device.caches.push_back({.name = "absent", .path = workplace_.path("no-device")});
  const std::vector<Row> rows{
      {"node: [", "next.yaml"},
      {daemon_.config().yaml() + "nonsense: 1\n", "unknown key"},
      {moved.yaml(), "taken at the start of the daemon"},
      {smaller.yaml(), "shrinking is refused"},
      {no_device.yaml(), "cache_devices.absent.path"},
      {missing.yaml(), "pools.gone.directory"},
  };
  for (const Row& row : rows) {
    write_file(workplace_.path("next.yaml"), row.text);
    daemon_.notify().forget();
    for (const char* command : {"plan", "apply"}) {
      const Outcome refused = ctl({command, workplace_.path("next.yaml")});
      EXPECT_EQ(refused.exit.code, 1) << refused.output;
      EXPECT_NE(refused.output.find(row.reason), std::string::npos) << refused.output;
    }
    EXPECT_EQ(hash(), before);
  }
  EXPECT_EQ(ctl({"plan", workplace_.path("no such file")}).exit.code, 1);
  const auto last = daemon_.status().at("last_reload");
  EXPECT_EQ(last.at("result").as_string(), "refused");
  EXPECT_NE(last.at("reason").as_string().find("pools.gone.directory"), std::string::npos);
  // A file of 5 MiB is none.
  write_file(workplace_.path("next.yaml"), std::string(5 << 20, '#'));
  EXPECT_EQ(ctl({"apply", workplace_.path("next.yaml")}).exit.code, 1);
  bystander.expect_undisturbed();
}

TEST_F(Reload, TheAuditHasWhoFromWhereAndWhatRanBeforeAndAfter) {
  daemon_.config().caches = {{.name = "front", .path = workplace_.make_cache("cache", "16MiB")}};
  volume(daemon_.config(), "p1").cache = "device: front, mode: write-back";
  ASSERT_TRUE(daemon_.start());
  const ConfigText with_p1 = daemon_.config();
  const std::string first = hash();
  ConfigText next = with_p1;
  subsystem(next, play).namespaces.clear();
  const auto hold = std::make_unique<Host>(daemon_.endpoint(),
                                           HostOptions{.subsystem = play, .host_nqn = nqn_of_a});
  EXPECT_EQ(apply(next).exit.code, 3);
  EXPECT_TRUE(daemon_.await_log({"audit by=\"root (uid 0)\"", "result=refused",
                                 "a would lose a disk; apply it with --disconnect"}));
  apply_well(next, {"--disconnect", "a"});
  const std::string second = hash();
  EXPECT_TRUE(daemon_.await_log({"audit by=\"root (uid 0)\" from=\"control socket\" result=done",
                                 fmt::format("before={} after={}", first, second),
                                 "POST /v1/apply?", "disconnect=a"}));

  write_file(daemon_.config_path(), with_p1.yaml());
  daemon_.process().signal(SIGHUP);
  EXPECT_TRUE(daemon_.await_log({"audit by=\"SIGHUP\" from=\"signal\" result=done",
                                 fmt::format("before={} after={}", second, first), "reload"}));
  write_file(daemon_.config_path(), "broken: [");
  daemon_.process().signal(SIGHUP);
  EXPECT_TRUE(daemon_.await_log({"audit by=\"SIGHUP\"", "result=refused",
                                 fmt::format("before={0} after={0}", first), "reason="}));

  EXPECT_EQ(ctl({"mode", "p1", "write-through"}).exit.code, 0);
  EXPECT_TRUE(daemon_.await_log({"audit by=\"root (uid 0)\" from=\"control socket\" result=done",
                                 fmt::format("before={0} after={0}+", first), "/p1/mode"}));
  EXPECT_EQ(ctl({"mode", "p1", "--clear"}).exit.code, 0);
  EXPECT_TRUE(daemon_.await_log(
      {"result=done", fmt::format("before={}+", first), fmt::format("after={} ", first)}));
  EXPECT_EQ(ctl({"give-up-lost", "p1"}).exit.code, 1);
  EXPECT_TRUE(daemon_.await_log({"audit by=\"root (uid 0)\"", "result=refused", "/give-up-lost"}));
  const Outcome told = ctl({"events"});
  EXPECT_NE(told.output.find(fmt::format("config {} -> {}", first, second)), std::string::npos)
      << told.output;
}

TEST_F(Reload, SighupTakesOverTheFileOrSaysWhyNot) {
  ASSERT_TRUE(daemon_.start());
  const std::string before = hash();
  daemon_.notify().forget();
  volume(daemon_.config(), "p1").size = "24MiB";
  write_file(daemon_.config_path(), daemon_.config().yaml());
  daemon_.process().signal(SIGHUP);
  EXPECT_TRUE(daemon_.await_status([&](const auto& status) {
    return status.at("config_hash").as_string() != boost::json::string_view(before);
  }));
  EXPECT_TRUE(daemon_.notify().await("RELOADING=1", daemon_.process(), start_time_out));
  EXPECT_TRUE(daemon_.notify().await("READY=1", daemon_.process(), start_time_out));
  const auto status = daemon_.status();
  EXPECT_EQ(status.at("config_applied_by").as_string(), "SIGHUP");
  EXPECT_EQ(status.at("last_reload").at("result").as_string(), "applied");

  write_file(daemon_.config_path(), "broken: [");
  daemon_.process().signal(SIGHUP);
  EXPECT_TRUE(daemon_.await_status(
      [](const auto& now) { return now.at("last_reload").at("result").as_string() == "refused"; }));
  EXPECT_TRUE(daemon_.await_log({"refused", "nothing has changed"}));
  const Outcome reload = ctl({"reload"});
  EXPECT_EQ(reload.exit.code, 1) << reload.output;
  const Outcome screen = ctl({"status"});
  EXPECT_NE(screen.output.find("- config: the last change, "), std::string::npos) << screen.output;
}

TEST_F(Reload, AStartWithABrokenFileServesWhatWasAppliedLast) {
  ASSERT_TRUE(daemon_.start());
  {
    Host host(daemon_.endpoint(), {.subsystem = play, .host_nqn = nqn_of_a});
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 5, pattern(4096, 5), 4096);
  }
  const ConfigText good = daemon_.config();
  const std::string before = hash();
  daemon_.stop();
  daemon_.config().node = "[";  // no name
  ASSERT_TRUE(daemon_.start());
  const auto status = daemon_.status();
  EXPECT_EQ(status.at("config_hash").as_string(), boost::json::string_view(before));
  EXPECT_TRUE(status.at("config_is_copy").as_bool());
  EXPECT_FALSE(status.at("healthy").as_bool());
  EXPECT_EQ(status.at("config_note").as_string().find("last applied copy of "), 0U);
  EXPECT_TRUE(daemon_.await_log({"config: last applied copy of", daemon_.config_path()}));
  const Outcome screen = ctl({"status"});
  EXPECT_NE(screen.output.find("last applied copy of "), std::string::npos) << screen.output;
  {
    Host host(daemon_.endpoint(), {.subsystem = play, .host_nqn = nqn_of_a});
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 1, 5, 1, 4096) == pattern(4096, 5));
  }
  // Mended, and read again.
  daemon_.config() = good;
  write_file(daemon_.config_path(), good.yaml());
  const Outcome reload = ctl({"reload"});
  EXPECT_EQ(reload.exit.code, 0) << reload.output;
  EXPECT_TRUE(daemon_.status().at("healthy").as_bool());
}

TEST_F(Reload, WhatNobodyConfirmsIsTakenBack) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  HearingHost a(daemon_.endpoint(), nqn_of_a);
  ASSERT_TRUE(a.connected());
  (void)a.heard();
  const ConfigText before = daemon_.config();
  const std::string old_hash = hash();
  ConfigText next = before;
  next.volumes.push_back({.name = "w1", .pool = "disk", .size = "8MiB"});
  subsystem(next, play).namespaces.push_back({.nsid = 2, .volume = "w1"});
  const Outcome applied = ctl({"apply", written(next), "--confirm-within", "1s"});
  EXPECT_EQ(applied.exit.code, 0) << applied.output;
  EXPECT_NE(applied.output.find("forebayctl confirm"), std::string::npos) << applied.output;
  EXPECT_TRUE(daemon_.await_log({"applied by=nobody has confirmed"}, start_time_out));
  EXPECT_EQ(hash(), old_hash);
  EXPECT_EQ(a.heard(), Events{"namespace-attribute-changed"});
  const auto spaces = a.host().controller->active_namespaces();
  ASSERT_GOOD(spaces);
  EXPECT_EQ(spaces.value(), std::vector<std::uint32_t>{1}) << "it is gone again";

  EXPECT_EQ(ctl({"confirm"}).exit.code, 1) << "there is nothing to confirm";
  EXPECT_EQ(ctl({"apply", written(next), "--confirm-within", "1h"}).exit.code, 0);
  EXPECT_NE(daemon_.status().at("config_note").as_string().find("forebayctl confirm"),
            std::string::npos);
  EXPECT_EQ(apply(before).exit.code, 1) << "the one before waits";
  EXPECT_EQ(ctl({"confirm"}).exit.code, 0);
  EXPECT_EQ(a.heard(), Events{"namespace-attribute-changed"});
  apply_well(before, {"--disconnect", "a"});
  bystander.expect_undisturbed();
}

TEST_F(Reload, SeveralAtOnceComeOneAfterTheOther) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  std::vector<std::thread> operators;
  std::atomic<int> well{0};
  for (int i = 0; i < 4; ++i) {
    ConfigText next = daemon_.config();
    next.hosts.push_back(
        {.name = fmt::format("x{}", i), .nqn = fmt::format("nqn.2026-11.com.example:x{}", i)});
    const std::string file = workplace_.path(fmt::format("next{}.yaml", i));
    write_file(file, next.yaml());
    operators.emplace_back([this, file, &well] {
      const Outcome outcome = ctl({"apply", file});
      well += outcome.exit.code == 0 ? 1 : 0;
      EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
    });
  }
  for (auto& one : operators) one.join();
  EXPECT_EQ(well, 4);
  bystander.expect_undisturbed();
}

TEST_F(Reload, AReloadDuringAReloadWaitsItsTurn) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  // The first of them has much to do.
  for (int i = 0; i < 4; ++i) {
    daemon_.config().volumes.push_back(
        {.name = fmt::format("r{}", i), .pool = "disk", .size = "4MiB"});
  }
  write_file(daemon_.config_path(), daemon_.config().yaml());
  // A manager that does not listen holds up who tells it.
  std::atomic<bool> is_over{false};
  std::thread manager([this, &is_over] {
    while (!is_over) (void)daemon_.notify().await("", daemon_.process(), Milliseconds{50});
  });
  std::vector<std::thread> operators;
  std::atomic<int> well{0};
  for (int i = 0; i < 3; ++i) {
    daemon_.process().signal(SIGHUP);
    operators.emplace_back([this, &well] {
      const Outcome outcome = ctl({"reload"});
      well += outcome.exit.code == 0 ? 1 : 0;
      EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
    });
  }
  for (auto& one : operators) one.join();
  is_over = true;
  manager.join();
  EXPECT_EQ(well, 3);
  const auto status = daemon_.status();
  EXPECT_EQ(status.at("config_hash"), status.at("config_disk_hash"));
  EXPECT_EQ(status.at("last_reload").at("reason").as_string(), "");
  EXPECT_EQ(named(status, "volumes", "r3").at("state").as_string(), "online");
  EXPECT_EQ(ctl({"plan", written(daemon_.config())}).exit.code, 0) << "what runs is the file";
  bystander.expect_undisturbed();
}

TEST_F(Reload, SecretsWithNewContentHoldForTheNextLogin) {
  const std::string file = workplace_.path("secret");
  write_file(file, "first-secret-of-c");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  daemon_.config().hosts[2].chap = fmt::format("user: c, secret: \"file:{}\"", file);
  ASSERT_TRUE(daemon_.start());
  const auto logged_in = session_of_c("first-secret-of-c");
  ASSERT_NE(logged_in, nullptr);
  EXPECT_EQ(ctl({"plan", written(daemon_.config())}).exit.code, 0);
  write_file(file, "second-secret-of-c");
  apply_well(daemon_.config());
  EXPECT_TRUE(heard(*logged_in).empty()) << "who is in stays in";
  EXPECT_GOOD(logged_in->ping());
  iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()), play_target);
  options.initiator = iqn_of_c;
  options.isid[5] = 9;
  options.chap = {.user = "c", .secret = "first-secret-of-c"};
  EXPECT_FALSE(iscsi::Session::open(options).has_value());
  options.chap = {.user = "c", .secret = "second-secret-of-c"};
  EXPECT_GOOD(iscsi::Session::open(options));
}

TEST_F(Reload, ACacheComesChangesAndGoesUnderItsVolume) {
  daemon_.config().caches = {{.name = "front", .path = workplace_.make_cache("cache", "64MiB")}};
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(daemon_.endpoint());
  Host host(daemon_.endpoint(), {.subsystem = play, .host_nqn = nqn_of_a});
  ASSERT_TRUE(host.connected());
  for (const char* cache :
       {"device: front, mode: write-back", "device: front, mode: write-through",
        "device: front, mode: write-through, guaranteed: 8MiB, maximum: 16MiB",
        "device: front, dirty_low: 10%, dirty_high: 20%, max_dirty_age: 1s", ""}) {
    SCOPED_TRACE(cache);
    ConfigText next = daemon_.config();
    volume(next, "p1").cache = cache;
    if (*cache == '\0') {
      const Outcome drained = ctl({"drain", "p1"});
      EXPECT_EQ(drained.exit.code, 0) << drained.output;
    }
    apply_well(next);
    const auto shown = named(daemon_.status(), "volumes", "p1");
    EXPECT_EQ(shown.at("cache").as_string(), *cache == '\0' ? "" : "front");
    write_and_read_back(*host.queue, 1, 40, 8, 4096, 3);
    if (HasFailure()) break;
  }
  bystander.expect_undisturbed();
}

}  // namespace
}  // namespace end_to_end
