// forebayd as a test runs it: configuration, start, readiness, status, end.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/end_to_end/harness/config_text.h"
#include "tests/end_to_end/harness/notify_socket.h"
#include "tests/end_to_end/harness/process.h"
#include "tests/end_to_end/harness/process_usage.h"
#include "tests/end_to_end/harness/workplace.h"

namespace end_to_end {

// Generous: a sanitizer build on a busy machine may be ten times slower than usual.
constexpr Milliseconds start_time_out{60'000};
// What the product promises for SIGTERM.
constexpr Milliseconds stop_time_out{10'000};
// Within which everything is as it was before an attack.
constexpr Milliseconds recovery_time_out{60'000};

// One daemon at a time, started as often as the test likes. At the end of the test, when its hosts
// are gone, a daemon that still runs must have nothing left of them, and is then stopped in order,
// which is checked too: whatever a test did to it, it must have survived.
class Daemon {
 public:
  // Fills in what every configuration needs and the test has not set: a listener "lo" on a free
  // port, the control socket.
  Daemon(Workplace& workplace, ConfigText config);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // The configuration of the next start.
  [[nodiscard]] ConfigText& config() { return config_; }
  [[nodiscard]] client::Endpoint endpoint(std::size_t listener = 0) const {
    return config_.endpoint(listener);
  }
  // NAME=VALUE for the next start.
  std::vector<std::string> environment;
  // Where it remembers volumes: the workplace, if not set otherwise.
  std::string state_directory;
  bool without_io_uring = false;
  bool as_nobody = false;

  // Writes the file and starts the program; ready() follows.
  void launch();
  // Waits for READY=1. False (and a test failure with its output) when it ends before.
  bool ready(Milliseconds time_out = start_time_out);
  // And until no pool is being opened any more: on a busy machine that may take longer than the
  // daemon waits for it.
  bool start() {
    launch();
    return ready() && settled();
  }
  // SIGTERM; a test failure when it does not end with code 0 in time.
  void stop();
  // Writes what config() says now, sends SIGHUP, and waits until that is served.
  void reload();
  // SIGKILL, awaited.
  void kill();

  [[nodiscard]] Process& process() { return *process_; }
  [[nodiscard]] NotifySocket& notify() { return notify_; }
  [[nodiscard]] Usage usage() const { return usage_of(process_->pid()); }
  [[nodiscard]] std::string log() const { return process_->output(); }
  // Waits for a line of the log that has all of `words`; a test failure when it does not come.
  bool await_log(const std::vector<std::string>& words,
                 Milliseconds time_out = Milliseconds{10'000});

  // Within a minute nothing is left of hosts that are gone: not a connection, not a timer.
  void expect_nothing_left();

  // What `forebayctl status --json` prints; null and a test failure when it prints none.
  [[nodiscard]] boost::json::value status();
  // Asks again and again until `holds`; false on time-out.
  bool await_status(const std::function<bool(const boost::json::value&)>& holds,
                    Milliseconds time_out = Milliseconds{20'000});
  // Waits for an event of that name about that subject; a test failure when it does not come.
  bool await_event(const std::string& name, const std::string& subject);
  [[nodiscard]] const std::string& config_path() const { return config_path_; }

 private:
  bool settled();

  Workplace& workplace_;
  ConfigText config_;
  std::string config_path_;
  NotifySocket notify_;
  std::unique_ptr<Process> process_;
  bool expected_to_run_ = false;
};

// A volume of each block size in a memory pool, one subsystem, NSID 1 (4096) and 2 (512).
[[nodiscard]] ConfigText memory_config();
// The same over the file pool in `directory`.
[[nodiscard]] ConfigText file_config(const std::string& directory);

// The element of a list of status ("volumes") whose "name" is `name`; fails the test when there is
// none.
[[nodiscard]] boost::json::object named(const boost::json::value& status, std::string_view list,
                                        std::string_view name);
// FOREBAY_LONG is set: `usual` becomes `longer`.
[[nodiscard]] int rounds(int usual, int longer);

}  // namespace end_to_end
