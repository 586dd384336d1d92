// What operators change beside the configuration file: it outlives the daemon, is listed with who
// and when, and goes when somebody says so. And two who change the configuration at once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/hung_disk.h"

namespace end_to_end {
namespace {

using testing::HasSubstr;

// What the daemon answers, as it comes.
std::string cli_post(const std::string& socket_path, const std::string& target,
                     const std::string& body) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", target,
      body.size(), body);
  EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  for (ssize_t got = 0; (got = ::recv(fd, piece, sizeof(piece), 0)) > 0;) {
    answer.append(piece, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return answer;
}

class Overridden : public testing::Test {
 protected:
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.path = workplace.make_cache("cache", "24MiB")}};
    for (VolumeText& volume : config.volumes) volume.cache = "device: front, max_dirty_age: 1h";
    return config;
  }
  Outcome ask(std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = std::move(words)});
  }
  boost::json::value json_of(std::vector<std::string> words, int exit_code = 0) {
    words.insert(words.end(), {"-o", "json"});
    const Outcome outcome = ask(std::move(words));
    EXPECT_EQ(outcome.exit.code, exit_code) << outcome.output;
    boost::system::error_code error;
    auto value = boost::json::parse(outcome.output, error);
    EXPECT_FALSE(error.failed()) << outcome.output;
    return error.failed() ? boost::json::value() : value;
  }
  void do_well(std::vector<std::string> words, const std::string& said = {}) {
    const Outcome done = ask(std::move(words));
    EXPECT_EQ(done.exit.code, 0) << done.output;
    EXPECT_THAT(done.output, HasSubstr(said));
  }
  std::string mode_of(const char* volume) {
    return std::string(named(daemon.status(), "volumes", volume).at("cache_mode").as_string());
  }
  std::size_t count() { return daemon.status().at("overrides").as_array().size(); }
  std::string hash() { return std::string(daemon.status().at("config_hash").as_string()); }
  bool has_event(const std::string& name, const std::string& subject) {
    const auto answer = json_of({"events", "-n", "0"});
    return std::ranges::any_of(answer.at("events").as_array(), [&](const auto& event) {
      return event.at("name").as_string() == boost::json::string_view(name) &&
             event.at("subject").as_string() == boost::json::string_view(subject);
    });
  }
  std::string written(const ConfigText& next, const std::string& name = "next.yaml") {
    write_file(workplace.path(name), next.yaml());
    return workplace.path(name);
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
};

TEST_F(Overridden, AModeOutlivesARestartAndAKill) {
  ASSERT_TRUE(daemon.start());
  do_well({"mode", "big", "write-through"}, "also after a restart");
  daemon.stop();
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(mode_of("big"), "write-through");
  do_well({"mode", "small", "write-around"});
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(mode_of("big"), "write-through");
  EXPECT_EQ(mode_of("small"), "write-around");
  const auto status = daemon.status();
  ASSERT_EQ(status.at("overrides").as_array().size(), 2U);
  const auto& first = status.at("overrides").at(0);
  EXPECT_EQ(first.at("kind").as_string(), "mode");
  EXPECT_EQ(first.at("subject").as_string(), "big");
  EXPECT_EQ(first.at("file_value").as_string(), "write-back");
  EXPECT_EQ(first.at("by").as_string(), "root");
  EXPECT_GT(first.at("since_ms").to_number<std::uint64_t>(), 1'700'000'000'000U);
  EXPECT_THAT(ask({"status"}).output, HasSubstr("2 overrides\n"));
  do_well({"overrides"}, "mode of big is write-through (the file says write-back), by root since ");

  do_well({"mode", "big", "--clear"}, "as the file says");
  EXPECT_EQ(mode_of("big"), "write-back");
  do_well({"overrides", "--clear", "small"}, "as the file says");
  EXPECT_EQ(mode_of("small"), "write-back");
  EXPECT_EQ(ask({"overrides", "--clear", "small"}).exit.code, 1) << "there is none any more";
  EXPECT_EQ(count(), 0U);
  EXPECT_TRUE(has_event("override.cleared", "big"));
  do_well({"mode", "big", "read-only"});
  EXPECT_TRUE(has_event("override.set", "big"));
  do_well({"mode", "big", "write-back"}, "as the file says");
  EXPECT_EQ(count(), 0U) << "what the file says is no override";
  do_well({"mode", "big", "read-only"});
  do_well({"overrides", "--all"});
  EXPECT_EQ(count(), 0U);
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(mode_of("big"), "write-back");
}

TEST_F(Overridden, AnApplyKeepsThemUnlessItSaysOtherwise) {
  ASSERT_TRUE(daemon.start());
  do_well({"mode", "big", "write-through"});
  do_well({"mode", "small", "write-around"});
  ConfigText next = daemon.config();
  next.hosts.push_back({.name = "x", .nqn = "nqn.2026-11.com.example:x"});
  const Outcome plan = ask({"plan", written(next)});
  EXPECT_EQ(plan.exit.code, 2);
  EXPECT_THAT(plan.output, HasSubstr("override: mode of big is write-through (the file says "
                                     "write-back), by root since "));
  EXPECT_THAT(plan.output, HasSubstr("stays (apply --drop-overrides drops it)"));
  do_well({"apply", written(next)}, "stays (apply --drop-overrides drops it)");
  EXPECT_EQ(mode_of("big"), "write-through");
  EXPECT_EQ(count(), 2U);
  // What the file says itself is none any more.
  for (VolumeText& volume : next.volumes) {
    if (volume.name == "small") volume.cache += ", mode: write-around";
  }
  do_well({"apply", written(next)});
  EXPECT_EQ(mode_of("small"), "write-around");
  EXPECT_EQ(count(), 1U);
  // Dropped, unless nobody confirms that.
  do_well({"apply", written(next), "--drop-overrides", "--confirm-within", "1s"}, "goes with this");
  EXPECT_EQ(mode_of("big"), "write-back");
  EXPECT_TRUE(daemon.await_log({"applied by=nobody has confirmed"}, start_time_out));
  EXPECT_EQ(mode_of("big"), "write-through");
  EXPECT_EQ(count(), 1U);
  do_well({"apply", written(next), "--drop-overrides"}, "cache.mode: write-through -> write-back");
  EXPECT_EQ(mode_of("big"), "write-back");
  EXPECT_EQ(count(), 0U);
}

// Killed while it writes them, again and again: each start finds what was answered, or what was
// asked for at that moment.
TEST_F(Overridden, AKillInTheMiddleOfWritingLosesNothingThatWasAnswered) {
  ASSERT_TRUE(daemon.start());
  for (int round = 0; round < rounds(3, 20); ++round) {
    std::string answered = mode_of("big");
    std::string asked = answered;
    std::thread operators([&] {
      for (int i = 0;; ++i) {
        asked = i % 2 == 0 ? "write-through" : "write-around";
        if (ask({"mode", "big", asked}).exit.code != 0) return;
        answered = asked;
      }
    });
    EXPECT_TRUE(daemon.await_status(
        [](const auto& status) { return !status.at("overrides").as_array().empty(); }));
    daemon.kill();
    operators.join();
    ASSERT_TRUE(daemon.start());
    EXPECT_THAT(mode_of("big"), testing::AnyOf(answered, asked));
    EXPECT_EQ(daemon.status().at("overrides_note").as_string(), "");
  }
}

TEST_F(Overridden, ADamagedFileIsSaidAndTheConfigurationHolds) {
  ASSERT_TRUE(daemon.start());
  do_well({"mode", "big", "write-through"});
  daemon.stop();
  write_file(workplace.path("overrides"), "# forebay overrides 1\nmode\tbig\twrite-thr");
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(mode_of("big"), "write-back");
  EXPECT_TRUE(daemon.status().at("healthy").as_bool());
  EXPECT_THAT(ask({"status"}).output, HasSubstr("overrides is damaged and ignored"));
  EXPECT_TRUE(daemon.await_log({"overrides is damaged and ignored"}));
  EXPECT_TRUE(has_event("override.damaged", ""));
}

TEST_F(Overridden, ADrainThatWasCutOffGoesOn) {
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(64 * 4096, 1), 4096));
  }
  write_file(hung, "");
  Process draining(
      {.arguments = {FOREBAYCTL, "drain", "big", "--socket", daemon.config().control_socket}});
  EXPECT_TRUE(daemon.await_status([](const auto& status) {
    const auto& all = status.at("overrides").as_array();
    return all.size() == 1 && all[0].at("kind").as_string() == "drain";
  }));
  // On the disk, too: the reloader writes it in its turn.
  const auto deadline = SteadyClock::now() + start_time_out;
  while (!std::filesystem::exists(workplace.path("overrides")) && SteadyClock::now() < deadline) {
    std::this_thread::yield();
  }
  daemon.kill();
  EXPECT_TRUE(draining.await_exit(start_time_out));
  std::filesystem::remove(hung);
  ASSERT_TRUE(daemon.start());
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return named(status, "volumes", "big").at("dirty_bytes").to_number<int>() == 0 &&
           status.at("overrides").as_array().empty();
  })) << "nobody has asked again";
}

// Begun as a task, as `forebayctl drain` begins it; and cancelled by each way that there is.
TEST_F(Overridden, ADrainIsOneByWhicheverRouteItBegins) {
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(64 * 4096, 1), 4096));
  }
  write_file(hung, "");
  const auto begin = [&] {
    const auto answer =
        cli_post(daemon.config().control_socket, "/v1/tasks", R"({"kind":"drain","object":"big"})");
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
    const auto status = daemon.status();
    const auto& all = status.at("overrides").as_array();
    EXPECT_EQ(all.size(), 1U) << "before it is answered";
    if (all.size() == 1) {
      EXPECT_EQ(all[0].at("kind").as_string(), "drain");
      EXPECT_EQ(all[0].at("subject").as_string(), "big");
      EXPECT_EQ(all[0].at("by").as_string(), "root");
    }
  };
  const auto state_of = [&](const char* task) {
    return std::string(json_of({"tasks", "show", task}).at("state").as_string());
  };
  begin();
  do_well({"tasks", "cancel", "1"});
  EXPECT_EQ(count(), 0U);
  EXPECT_EQ(state_of("1"), "cancelled");
  EXPECT_TRUE(has_event("override.cleared", "big"));
  begin();
  do_well({"overrides", "--clear", "big"});
  EXPECT_EQ(count(), 0U);
  EXPECT_EQ(state_of("2"), "cancelled") << "and not done";
  std::filesystem::remove(hung);
  begin();
  EXPECT_TRUE(daemon.await_status([](const auto& status) {
    return status.at("overrides").as_array().empty();
  })) << "it is drained";
}

TEST_F(Overridden, OfTwoWritersAtOnceOneWinsAndOneIsTold) {
  ASSERT_TRUE(daemon.start());
  const std::string before = hash();
  std::vector<Outcome> outcomes(2);
  std::vector<std::thread> operators;
  for (std::size_t i = 0; i < 2; ++i) {
    ConfigText next = daemon.config();
    next.hosts.push_back(
        {.name = fmt::format("x{}", i), .nqn = fmt::format("nqn.2026-11.com.example:x{}", i)});
    const std::string file = written(next, fmt::format("next{}.yaml", i));
    operators.emplace_back([this, &outcomes, i, file, before] {
      outcomes[i] = ask({"apply", file, "--if-match", before});
    });
  }
  for (auto& one : operators) one.join();
  EXPECT_EQ(outcomes[0].exit.code + outcomes[1].exit.code, 1);
  const Outcome& told = outcomes[0].exit.code == 0 ? outcomes[1] : outcomes[0];
  EXPECT_THAT(told.output,
              HasSubstr("nothing has changed: " + hash() + " runs, which root has applied at "));
  EXPECT_THAT(told.output, HasSubstr("and not " + before));
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"mode", "big", "read-only"}, {"overrides", "--all"}, {"confirm"}, {"reload"}}) {
    auto stale = words;
    stale.insert(stale.end(), {"--if-match", before});
    const auto refused = json_of(stale, 1);
    EXPECT_FALSE(refused.at("done").as_bool());
    EXPECT_THAT(refused.at("message").as_string().c_str(), HasSubstr("nothing has changed"));
  }
  EXPECT_EQ(mode_of("big"), "write-back");
  do_well({"mode", "big", "read-only", "--if-match", hash()});
}

TEST_F(Overridden, WhatIsAppliedIsThePlanThatWasShown) {
  ASSERT_TRUE(daemon.start());
  ConfigText next = daemon.config();
  next.hosts.push_back({.name = "x", .nqn = "nqn.2026-11.com.example:x"});
  const std::string file = written(next);
  const auto plan = json_of({"plan", file}, 2);
  const std::string shown(plan.at("plan_hash").as_string());
  EXPECT_EQ(json_of({"plan", file}, 2).at("plan_hash").as_string(),
            boost::json::string_view(shown));
  do_well({"mode", "big", "write-through"});
  const auto other = json_of({"apply", file, "--plan-hash", shown}, 1);
  EXPECT_THAT(other.at("message").as_string().c_str(), HasSubstr("and not " + shown));
  const std::string again(json_of({"plan", file}, 2).at("plan_hash").as_string());
  next.hosts.push_back({.name = "y", .nqn = "nqn.2026-11.com.example:y"});
  written(next);
  EXPECT_EQ(ask({"apply", file, "--plan-hash", again}).exit.code, 1) << "another file";
  next.hosts.pop_back();
  written(next);
  const auto applied = json_of({"apply", file, "--plan-hash", again});
  EXPECT_TRUE(applied.at("done").as_bool());
  EXPECT_EQ(applied.at("message").as_string(), "applied");
}

// Each command that changes something: the same members, whether it was done or not.
TEST_F(Overridden, ResultsHaveOneShape) {
  daemon.config().volumes.back().cache.clear();
  ASSERT_TRUE(daemon.start());
  const std::string file = written(daemon.config());
  const std::string nil = "00000000-0000-0000-0000-000000000000";
  struct Row {
    std::vector<std::string> words;
    const char* command;
    bool done;
  };
  for (const Row& row :
       std::vector<Row>{{{"mode", "big", "write-through"}, "mode", true},
                        {{"mode", "big"}, "mode", false},
                        {{"overrides", "--all"}, "overrides --clear", true},
                        {{"drain", "big"}, "drain", true},
                        {{"drain", "none"}, "drain", false},
                        {{"detach", "big"}, "detach", true},
                        {{"attach", "big", "--cache", "front"}, "attach", true},
                        {{"attach", "big", "--cache", "none"}, "attach", false},
                        {{"retire", "none"}, "retire", false},
                        {{"volume", "grow", "big", "128MiB"}, "volume grow", true},
                        {{"volume", "grow", "big", "1MiB"}, "volume grow", false},
                        {{"volume", "destroy", "big", "--uuid", nil}, "volume destroy", false},
                        {{"volume", "rename", "big", "new", "--uuid", nil}, "volume rename", false},
                        {{"abandon", "big", "--cache", nil}, "abandon", false},
                        {{"give-up-lost", "none"}, "give-up-lost", false},
                        {{"write-protection", "big", "off"}, "write-protection", true},
                        {{"write-protection", "none", "on"}, "write-protection", false},
                        {{"pool", "add-member", "disk", "/none"}, "pool add-member", false},
                        {{"apply", "/none"}, "apply", false},
                        {{"confirm"}, "confirm", false},
                        {{"reload"}, "reload", true}}) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(row.words, " ")));
    const auto result = json_of(row.words, row.done ? 0 : 1);
    if (!result.is_object()) continue;
    EXPECT_EQ(result.at("command").as_string(), row.command);
    EXPECT_EQ(result.at("done").as_bool(), row.done);
    EXPECT_FALSE(result.at("message").as_string().empty());
    EXPECT_TRUE(result.at("name").is_string());
    EXPECT_EQ(result.as_object().size(), 5U);
  }
}

std::string base64(const std::string& text) {
  const Outcome coded =
      run({.arguments = {"/bin/sh", "-c", "printf %s \"$0\" | base64 -w0", text}});
  EXPECT_EQ(coded.exit.code, 0);
  return coded.output.substr(0, coded.output.find('='));
}

// A canary in each place where a secret may be: none of it is in the bundle, in any form.
TEST_F(Overridden, ASupportBundleHasNoSecret) {
  const std::string in_file = "canary-of-the-file-7Q";
  const std::string in_yaml = "canary-of-the-yaml-8R";
  const std::string in_environment = "canary-of-the-environment-9S";
  const std::string path = workplace.path("secret");
  write_file(path, in_file + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  daemon.config().hosts = {{.name = "c",
                            .iqn = "iqn.2026-11.com.example:c",
                            .chap = fmt::format("user: c, secret: \"file:{}\"", path)}};
  daemon.config().metrics_port = workplace.free_port();
  ASSERT_TRUE(daemon.start());
  do_well({"mode", "big", "write-through"});
  // Somebody has written it where it does not belong, and as the name of what is logged.
  write_file(daemon.config_path(), daemon.config().yaml() + "\n# secret: " + in_yaml + "\n");
  (void)ask({"volume", "grow", in_file, "1GiB"});
  (void)ask({"volume", "grow", base64(in_yaml), "1GiB"});
  const std::vector<std::string> canaries{in_file, in_yaml, in_environment};
  for (const bool is_up : {true, false}) {
    if (!is_up) daemon.stop();
    const std::string bundle = workplace.path(is_up ? "up.tar.gz" : "down.tar.gz");
    const Outcome made =
        run({.arguments = {FOREBAYCTL, "support-bundle", bundle, "--config", daemon.config_path(),
                           "--socket", daemon.config().control_socket},
             .environment = {"FOREBAY_TOKEN=" + in_environment}},
            Milliseconds{120'000});
    ASSERT_EQ(made.exit.code, 0) << made.output;
    EXPECT_THAT(made.output, HasSubstr("secrets taken out"));
    const auto mode = std::filesystem::status(bundle).permissions();
    EXPECT_EQ(mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
              std::filesystem::perms::none);
    const std::string all = run({.arguments = {"/bin/tar", "-xzOf", bundle}}).output;
    EXPECT_THAT(all, HasSubstr("apiVersion: forebay/v1"));
    EXPECT_THAT(all, HasSubstr("file:" + path)) << "where it is is no secret";
    EXPECT_THAT(all, HasSubstr("[REDACTED]"));
    for (const std::string& canary : canaries) {
      std::string hex;
      for (const char c : canary) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
      EXPECT_EQ(all.find(canary), std::string::npos) << canary;
      EXPECT_EQ(all.find(hex), std::string::npos) << canary;
      EXPECT_EQ(all.find(base64(canary)), std::string::npos) << canary;
    }
    if (is_up) {
      EXPECT_THAT(all, HasSubstr("forebay_overrides 1"));
      EXPECT_THAT(all, HasSubstr("\"kind\":\"mode\""));
      EXPECT_THAT(all, HasSubstr("daemon.started"));
    } else {
      EXPECT_THAT(all, HasSubstr("status.json: not there: "));
    }
  }
}

}  // namespace
}  // namespace end_to_end
