// forebayd: the storage target. Reads one YAML file, serves it, ends on SIGTERM.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

#include "config/message.h"
#include "config/transfer_memory.h"
#include "target/applied_copy.h"
#include "target/assembly.h"
#include "target/config_file.h"
#include "target/daemon.h"
#include "target/reactor/log.h"
#include "target/secrets.h"
#include "target/termination_watch.h"
#include "target/troubles.h"

namespace {

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

target::LogLevel log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::error:
      return target::LogLevel::error;
    case config::LogLevel::warn:
      return target::LogLevel::warn;
    case config::LogLevel::info:
      return target::LogLevel::info;
    case config::LogLevel::debug:
      return target::LogLevel::debug;
  }
  return target::LogLevel::info;
}

// What of the file this machine cannot serve as it is now: warnings, because disks may come and
// files may be checked elsewhere. Reads only.
void warn_of_this_machine(const config::Config& config) {
  engine::MemoryBudget memory(config.memory.value, config::least_transfer_memory(config));
  for (const auto& finding :
       engine::Engine::inspect(target::pool_specs(config), target::volume_specs(config),
                               {.caches = target::cache_specs(config), .memory = &memory})) {
    const auto message = target::trouble_of(config, finding, config::Severity::warning);
    fmt::print(stderr, "{}\n", config::format(message));
  }
  const target::Secrets secrets(config, config::Severity::warning);
  for (const auto& message : secrets.messages()) {
    fmt::print(stderr, "{}\n", config::format(message));
  }
}

// Hands SIGHUP on to the daemon, while there is one.
class Hangup {
 public:
  void reaches(target::Daemon* daemon) {
    const std::lock_guard lock(mutex_);
    daemon_ = daemon;
  }
  void operator()() {
    const std::lock_guard lock(mutex_);
    if (daemon_ != nullptr) daemon_->reload("SIGHUP");
  }

 private:
  std::mutex mutex_;
  target::Daemon* daemon_ = nullptr;  // guarded by mutex_
};

int serve(target::BootConfig boot, const std::string& path) {
  Hangup hangup;
  target::TerminationWatch watch([&hangup] { hangup(); });
  target::open_log(target::LogSink::automatic, log_level(boot.config->log_level));
  target::Daemon daemon(
      *boot.config, {.text = std::move(boot.text), .file = path, .status = std::move(boot.status)});
  hangup.reaches(&daemon);
  const auto started = daemon.start();
  if (!started) target::log_error("{}", started.error());
  if (started) watch.await_termination();
  hangup.reaches(nullptr);
  if (!daemon.stop()) {
    target::flush_log();
    std::_Exit(exit_failed);
  }
  return started ? exit_ok : exit_failed;
}

}  // namespace

// What nobody catches ends the process, and says so.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  CLI::App app("Serves volumes over NVMe/TCP and iSCSI.", "forebayd");
  app.set_version_flag("--version", FOREBAY_VERSION);
  std::string path;
  bool check_only = false;
  app.add_option("file", path, "The configuration")->required();
  app.add_flag("--check", check_only, "Only say whether the file is valid");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }

  auto boot = target::boot_config(path, check_only ? std::string() : target::state_directory());
  for (const auto& message : boot.file.outcome.messages) {
    fmt::print(stderr, "{}\n", config::format(message));
  }
  if (!boot.config) return exit_failed;
  if (check_only) {
    warn_of_this_machine(*boot.config);
    fmt::print("{}: valid\n", path);
    return exit_ok;
  }
  return serve(std::move(boot), path);
}
