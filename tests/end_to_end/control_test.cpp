// forebayctl's reports and the events of the real daemon, by its socket; and clients of that socket
// that are not as they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <regex>
#include <string>
#include <vector>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using testing::HasSubstr;

constexpr const char* host_nqn =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr const char* host_iqn = "iqn.1993-08.org.example:01:5a7c1e9f2b";

// dbhost1 may use the subsystem, hyper1 the target; nobody else.
ConfigText closed(ConfigText config) {
  config = with_iscsi(std::move(config));
  config.hosts = {{.name = "dbhost1", .nqn = host_nqn}, {.name = "hyper1", .iqn = host_iqn}};
  config.subsystems.front().hosts = "[dbhost1]";
  config.targets.pop_back();  // the prey is everybody's
  config.targets.front().hosts = "[hyper1]";
  return config;
}

Outcome ctl(Daemon& daemon, std::vector<std::string> arguments, bool as_nobody = false) {
  arguments.insert(arguments.begin(), FOREBAYCTL);
  arguments.insert(arguments.end(), {"--socket", daemon.config().control_socket});
  return run({.arguments = std::move(arguments), .as_nobody = as_nobody});
}

boost::json::value json_of(Daemon& daemon, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  const Outcome outcome = ctl(daemon, std::move(arguments));
  boost::system::error_code error;
  auto value = boost::json::parse(outcome.output, error);
  EXPECT_FALSE(error.failed()) << outcome.output;
  return error.failed() ? boost::json::value() : value;
}

// What stands behind `option` in the line that has `word`.
std::string argument_of(const std::string& text, const std::string& word,
                        const std::string& option) {
  std::smatch found;
  const std::regex wanted(word + ".*" + option + "[ =]([^ \n]+)");
  EXPECT_TRUE(std::regex_search(text, found, wanted)) << option << " in\n" << text;
  return found.empty() ? std::string() : found[1].str();
}

std::vector<std::string> event_names(const boost::json::value& answer) {
  std::vector<std::string> names;
  for (const auto& event : answer.at("events").as_array()) {
    names.emplace_back(event.at("name").as_string().c_str());
  }
  return names;
}

TEST(Control, EachReportIsForPeopleAndForScripts) {
  Workplace workplace;
  Daemon daemon(workplace, closed(memory_config()));
  ASSERT_TRUE(daemon.start());
  const std::vector<std::vector<std::string>> reports{{"status"},
                                                      {"volumes"},
                                                      {"hosts"},
                                                      {"pools"},
                                                      {"cache"},
                                                      {"events"},
                                                      {"doctor"},
                                                      {"tasks"},
                                                      {"overrides"},
                                                      {"lost", "big"},
                                                      {"top", "-n", "1", "--interval", "0.1"},
                                                      {"explain", "big"},
                                                      {"explain", "mem"},
                                                      {"explain", "lo"},
                                                      {"explain", "dbhost1"},
                                                      {"connect-line", "dbhost1"}};
  for (const auto& report : reports) {
    SCOPED_TRACE(report.front() + " " + report.back());
    const Outcome screen = ctl(daemon, report);
    EXPECT_EQ(screen.exit.code, 0) << screen.output;
    EXPECT_GT(screen.output.size(), 10U);
    EXPECT_EQ(screen.output.find('\033'), std::string::npos) << "no colours: this is no terminal";
    EXPECT_FALSE(json_of(daemon, report).is_null());
    auto as_yaml = report;
    as_yaml.insert(as_yaml.end(), {"-o", "yaml"});
    EXPECT_THAT(ctl(daemon, as_yaml).output, HasSubstr(":")) << "blocks of keys";
  }
  EXPECT_EQ(ctl(daemon, {"explain", "none"}).exit.code, 1);
  EXPECT_EQ(ctl(daemon, {"connect-line", "stranger"}).exit.code, 1);
  EXPECT_EQ(json_of(daemon, {"volumes"}).at("volumes").at(0).at("name").as_string(), "big");
}

TEST(Control, WhatConnectLinePrintsConnects) {
  Workplace workplace;
  Daemon daemon(workplace, closed(memory_config()));
  ASSERT_TRUE(daemon.start());
  const std::string nvme = ctl(daemon, {"connect-line", "dbhost1"}).output;
  const std::string iscsi_lines = ctl(daemon, {"connect-line", "hyper1"}).output;
  const auto port = [](const std::string& text) {
    return static_cast<std::uint16_t>(std::stoul(text));
  };
  Host host({.host = argument_of(nvme, "nvme connect", "--traddr"),
             .port = port(argument_of(nvme, "nvme connect", "--trsvcid"))},
            {.subsystem = argument_of(nvme, "nvme connect", "--nqn"),
             .host_nqn = argument_of(nvme, "nvme connect", "--hostnqn")});
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);

  const std::string portal = argument_of(iscsi_lines, "iscsiadm", "--portal");
  const std::size_t colon = portal.rfind(':');
  iscsi::LoginOptions login =
      to_target({.host = portal.substr(0, colon), .port = port(portal.substr(colon + 1))},
                argument_of(iscsi_lines, "iscsiadm", "--targetname"));
  login.initiator = argument_of(iscsi_lines, "is to say", "InitiatorName");
  const auto session = open_session(login);
  ASSERT_NE(session, nullptr);
  EXPECT_THAT(iscsi_lines, HasSubstr("node.startup --value automatic"));
  EXPECT_THAT(nvme, HasSubstr("/etc/nvme/discovery.conf\n"));

  const auto events = json_of(daemon, {"events"});
  std::vector<std::string> connected;
  for (const auto& event : events.at("events").as_array()) {
    if (event.at("name").as_string() != "host.connected") continue;
    connected.emplace_back(event.at("subject").as_string().c_str());
  }
  EXPECT_THAT(connected, testing::ElementsAre(host_nqn, host_iqn));
  const std::string hosts = ctl(daemon, {"hosts"}).output;
  EXPECT_THAT(hosts, testing::ContainsRegex("dbhost1 +nvme-tcp +1:big 2:small +1 of 1 +1 "));
  EXPECT_THAT(hosts, testing::ContainsRegex("hyper1 +iscsi +0:big 1:small +1 of 1 +1 "));
  const auto top = json_of(daemon, {"top", "-n", "1", "--interval", "0.1"});
  EXPECT_EQ(top.at("hosts").as_array().size(), 2U);
  const auto big = named(daemon.status(), "volumes", "big");
  EXPECT_EQ(big.at("writes").at("bytes").to_number<std::uint64_t>(), 8U * 4096);
}

TEST(Control, ChangesAreEventsWithWhoHasMadeThem) {
  Workplace workplace;
  Daemon daemon(workplace, closed(file_config(workplace.make_pool("pool"))));
  ASSERT_TRUE(daemon.start());
  Process follower({.arguments = {FOREBAYCTL, "events", "--follow", "-o", "json", "--socket",
                                  daemon.config().control_socket}});
  ASSERT_TRUE(follower.await_output(
      [](const std::string& text) { return text.find("daemon.started") != std::string::npos; },
      Milliseconds{30'000}));
  {
    Host host(daemon.endpoint(), {.host_nqn = host_nqn});
    ASSERT_TRUE(host.connected());
    EXPECT_FALSE(Controller::attach({.endpoint = daemon.endpoint(),
                                     .subsystem_nqn = default_subsystem,
                                     .host_nqn = "nqn.2014-08.org.example:stranger"}));
  }
  EXPECT_EQ(ctl(daemon, {"volume", "grow", "big", "128MiB"}).exit.code, 0);
  EXPECT_EQ(ctl(daemon, {"volume", "grow", "big", "1MiB"}).exit.code, 1);
  const auto all_came = [](const std::string& text) {
    for (const char* name :
         {"host.connected", "host.refused", "host.disconnected", "change.done", "change.refused"}) {
      if (text.find(name) == std::string::npos) return false;
    }
    return true;
  };
  EXPECT_TRUE(follower.await_output(all_came, Milliseconds{30'000})) << follower.output();
  const auto answer = json_of(daemon, {"events"});
  EXPECT_THAT(event_names(answer), testing::IsSupersetOf({"daemon.started", "change.done"}));
  const auto& last = answer.at("events").as_array().back();
  EXPECT_EQ(last.at("name").as_string(), "change.refused");
  EXPECT_THAT(last.at("subject").as_string().c_str(), HasSubstr("(uid 0)"));
  EXPECT_THAT(last.at("text").as_string().c_str(),
              HasSubstr("POST /v1/volumes/big/grow {\"size_bytes\":1048576}: "));
  EXPECT_TRUE(daemon.await_log({"audit by=\"root (uid 0)\"", "/grow", "result=done"}));
  EXPECT_TRUE(daemon.await_log({"audit by=\"root (uid 0)\"", "result=refused", "shrinking"}));
  EXPECT_THAT(ctl(daemon, {"explain", "dbhost1"}).output, HasSubstr("not connected"));
  daemon.stop();
  const auto ended = follower.await_exit(Milliseconds{30'000});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 1);
  EXPECT_THAT(follower.output(), HasSubstr("daemon.stopping"));
}

TEST(Control, WithoutADaemonEachCommandSaysSoInOneLine) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  const std::vector<std::vector<std::string>> commands{{"status"},
                                                       {"volumes"},
                                                       {"hosts"},
                                                       {"pools"},
                                                       {"cache"},
                                                       {"events"},
                                                       {"events", "-f"},
                                                       {"top"},
                                                       {"explain", "big"},
                                                       {"connect-line", "a"},
                                                       {"tasks"},
                                                       {"lost", "big"},
                                                       {"overrides"},
                                                       {"reload"},
                                                       {"confirm"},
                                                       {"mode", "big", "read-only"},
                                                       {"scrub", "big"},
                                                       {"flush", "big"},
                                                       {"drain", "big"},
                                                       {"retire", "front"},
                                                       {"token", "list"},
                                                       {"give-up-lost", "big"},
                                                       {"write-protection", "big", "on"},
                                                       {"volume", "grow", "big", "1GiB"}};
  for (const auto& command : commands) {
    const Outcome outcome = ctl(daemon, command);
    EXPECT_EQ(outcome.exit.code, 1) << command.front();
    EXPECT_THAT(outcome.output, HasSubstr("is forebayd running?")) << command.front();
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1);
  }
  write_file(daemon.config_path(), daemon.config().yaml());
  const Outcome valid = ctl(daemon, {"doctor", "--config", daemon.config_path()});
  EXPECT_EQ(valid.exit.code, 2) << valid.output;
  EXPECT_THAT(valid.output, HasSubstr("is valid"));
  write_file(daemon.config_path(), daemon.config().yaml() + "\nvolums: {}\n");
  EXPECT_THAT(ctl(daemon, {"doctor", "--config", daemon.config_path()}).output,
              HasSubstr("did you mean"));
}

TEST(Control, AnotherUserIsRefused) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  ASSERT_EQ(::chmod(workplace.directory().c_str(), 0755), 0);
  for (const auto& command :
       std::vector<std::vector<std::string>>{{"status"}, {"volume", "grow", "big", "128MiB"}}) {
    const Outcome refused = ctl(daemon, command, /*as_nobody=*/true);
    EXPECT_EQ(refused.exit.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("permission denied; use sudo, or join the group"));
  }
  EXPECT_EQ(named(daemon.status(), "volumes", "big").at("size_bytes").to_number<std::uint64_t>(),
            64U << 20);
}

// A client of the control socket that says `text`, and then nothing.
class SilentClient {
 public:
  SilentClient(const std::string& path, const std::string& text)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_GT(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), 0);
  }
  SilentClient(const SilentClient&) = delete;
  SilentClient& operator=(const SilentClient&) = delete;
  ~SilentClient() { ::close(fd_); }

  // Until the daemon closes.
  std::string answer() {
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(fd_, piece, sizeof(piece), 0)) > 0;) {
      text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  const int fd_;
};

TEST(Control, ClientsThatHangOrSendTooMuchHoldUpNobody) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  const std::string& socket = daemon.config().control_socket;
  {
    std::vector<std::unique_ptr<SilentClient>> hanging;
    for (int i = 0; i < 30; ++i) {
      hanging.push_back(std::make_unique<SilentClient>(socket, "GET /v1/sta"));
      hanging.push_back(std::make_unique<SilentClient>(
          socket, "POST /v1/volumes/big/grow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"));
    }
    EXPECT_EQ(ctl(daemon, {"status"}).exit.code, 0) << "with 60 that hang";
  }
  SilentClient large(socket,
                     "POST /v1/volumes/big/grow HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 99999999\r\n\r\n");
  EXPECT_THAT(large.answer(), HasSubstr(" 413 "));
  SilentClient header(socket, "GET /v1/status HTTP/1.1\r\nX: " + std::string(32 << 10, 'x'));
  EXPECT_THAT(header.answer(), HasSubstr(" 431 "));
  EXPECT_EQ(ctl(daemon, {"status"}).exit.code, 0);
}

}  // namespace
}  // namespace end_to_end
