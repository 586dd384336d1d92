#include "tests/end_to_end/harness/daemon.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/end_to_end/harness/holdings.h"

namespace end_to_end {
namespace {

bool any_line(const std::string& text, const std::vector<std::string>& words) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (std::all_of(words.begin(), words.end(), [&line](const std::string& word) {
          return line.find(word) != std::string::npos;
        })) {
      return true;
    }
  }
  return false;
}

// The last of a log that may be long.
std::string tail(const std::string& text) {
  constexpr std::size_t most = 6000;
  return text.size() <= most ? text : "..." + text.substr(text.size() - most);
}

}  // namespace

Daemon::Daemon(Workplace& workplace, ConfigText config)
    : state_directory(workplace.directory()),
      workplace_(workplace),
      config_(std::move(config)),
      config_path_(workplace.path("forebay.yaml")),
      notify_(workplace.path("notify")) {
  if (config_.listeners.empty()) config_.listeners.emplace_back();
  for (ListenerText& listener : config_.listeners) {
    if (listener.port == 0) listener.port = workplace.free_port();
  }
  if (config_.control_socket.empty()) config_.control_socket = workplace.path("control");
}

Daemon::~Daemon() {
  if (process_ == nullptr) return;
  if (expected_to_run_) {
    if (process_->running()) expect_nothing_left();
    stop();
  }
  if (testing::Test::HasFailure()) std::cerr << "forebayd said:\n" << tail(log()) << "\n";
}

void Daemon::launch() {
  write_file(config_path_, config_.yaml());
  notify_.forget();
  std::vector<std::string> variables = environment;
  variables.push_back("NOTIFY_SOCKET=" + notify_.path());
  variables.push_back("STATE_DIRECTORY=" + state_directory);
  process_ = std::make_unique<Process>(Started{.arguments = {FOREBAYD, config_path_},
                                               .environment = std::move(variables),
                                               .without_io_uring = without_io_uring,
                                               .as_nobody = as_nobody});
  expected_to_run_ = true;
}

bool Daemon::ready(Milliseconds time_out) {
  if (notify_.await("READY=1", *process_, time_out)) return true;
  const auto exit = process_->await_exit(Milliseconds{0});
  expected_to_run_ = !exit;
  ADD_FAILURE() << "forebayd is not ready: " << (exit ? exit->describe() : "it still runs");
  return false;
}

bool Daemon::settled() {
  const bool on_disk = std::any_of(config_.pools.begin(), config_.pools.end(),
                                   [](const PoolText& pool) { return !pool.directory.empty(); });
  return !on_disk || await_status(
                         [](const boost::json::value& now) {
                           for (const auto& volume : now.at("volumes").as_array()) {
                             const auto& reason = volume.at("reason").as_string();
                             if (reason.find("opening since") != std::string::npos) return false;
                           }
                           return true;
                         },
                         start_time_out);
}

void Daemon::stop() {
  expected_to_run_ = false;
  if (const auto before = process_->await_exit(Milliseconds{0})) {
    ADD_FAILURE() << "forebayd ended by itself: " << before->describe() << "\n" << tail(log());
    return;
  }
  process_->signal(SIGTERM);
  const auto exit = process_->await_exit(stop_time_out);
  if (!exit) {
    ADD_FAILURE() << "forebayd still runs " << stop_time_out.count() << " ms after SIGTERM\n"
                  << tail(log());
    return kill();
  }
  EXPECT_EQ(exit->describe(), "exit code 0") << tail(log());
}

void Daemon::expect_nothing_left() {
  await_status([](const auto& now) { return holdings_of(now) == Holdings{}; }, recovery_time_out);
}

void Daemon::reload() {
  write_file(config_path(), config().yaml());
  const auto before = status().at("last_reload").at("time_ms");
  process_->signal(SIGHUP);
  ASSERT_TRUE(await_status([&](const auto& now) {
    return now.at("last_reload").at("time_ms") != before &&
           now.at("last_reload").at("result").as_string() == "applied";
  })) << log();
}

void Daemon::kill() {
  expected_to_run_ = false;
  process_->signal(SIGKILL);
  EXPECT_TRUE(process_->await_exit(Milliseconds{60'000}));
}

bool Daemon::await_log(const std::vector<std::string>& words, Milliseconds time_out) {
  const bool came = process_->await_output(
      [&words](const std::string& text) { return any_line(text, words); }, time_out);
  if (!came) {
    std::string wanted;
    for (const std::string& word : words) wanted += " \"" + word + "\"";
    ADD_FAILURE() << "no line of the log has all of" << wanted << "\n" << tail(log());
  }
  return came;
}

boost::json::value Daemon::status() {
  const Outcome asked =
      run({.arguments = {FOREBAYCTL, "status", "--socket", config_.control_socket, "--json"}});
  boost::system::error_code error;
  auto value = boost::json::parse(asked.output, error);
  EXPECT_FALSE(error.failed()) << "forebayctl status printed:\n" << asked.output;
  return error.failed() ? boost::json::value() : value;
}

bool Daemon::await_event(const std::string& name, const std::string& subject) {
  const auto deadline = SteadyClock::now() + Milliseconds{20'000};
  for (;;) {
    const Outcome asked = run({.arguments = {FOREBAYCTL, "events", "-n", "0", "-o", "json",
                                             "--socket", config_.control_socket}});
    boost::system::error_code error;
    const auto answer = boost::json::parse(asked.output, error);
    if (!error && answer.is_object()) {
      for (const auto& event : answer.at("events").as_array()) {
        if (event.at("name").as_string() == boost::json::string_view(name) &&
            event.at("subject").as_string() == boost::json::string_view(subject)) {
          return true;
        }
      }
    }
    if (SteadyClock::now() > deadline) {
      ADD_FAILURE() << "no event " << name << " of " << subject << " in " << asked.output;
      return false;
    }
    std::this_thread::sleep_for(Milliseconds{20});  // the events can only be asked for
  }
}

bool Daemon::await_status(const std::function<bool(const boost::json::value&)>& holds,
                          Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    const auto now = status();
    if (now.is_object() && holds(now)) return true;
    if (SteadyClock::now() > deadline) {
      ADD_FAILURE() << "the status does not become what it should: " << now;
      return false;
    }
    std::this_thread::sleep_for(Milliseconds{20});  // the status can only be asked for
  }
}

namespace {

ConfigText two_volumes(PoolText pool) {
  ConfigText config;
  config.volumes = {{.name = "big", .pool = pool.name, .size = "64MiB", .block_size = 4096},
                    {.name = "small", .pool = pool.name, .size = "64MiB", .block_size = 512}};
  config.pools.push_back(std::move(pool));
  SubsystemText subsystem;
  subsystem.namespaces = {{.nsid = 1, .volume = "big"}, {.nsid = 2, .volume = "small"}};
  config.subsystems.push_back(std::move(subsystem));
  return config;
}

}  // namespace

ConfigText memory_config() { return two_volumes({.name = "mem"}); }

ConfigText file_config(const std::string& directory) {
  return two_volumes({.name = "disk", .directory = directory});
}

boost::json::object named(const boost::json::value& status, std::string_view list,
                          std::string_view name) {
  if (status.is_object()) {
    for (const auto& item : status.at(list).as_array()) {
      if (item.at("name").as_string() == name) return item.as_object();
    }
  }
  ADD_FAILURE() << "the status names no " << name << " among " << list;
  return {};
}

int rounds(int usual, int longer) {
  const char* wanted = std::getenv("FOREBAY_LONG");
  return wanted != nullptr && *wanted != '\0' ? longer : usual;
}

}  // namespace end_to_end
