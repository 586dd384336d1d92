// forebayd: the storage target. Reads one YAML file, serves it, ends on SIGTERM.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "config/parse.h"
#include "engine/foundation/crc32c.h"
#include "target/daemon.h"
#include "target/reactor/log.h"

namespace {

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;

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

// Names the content, for status: two files with one hash are the same configuration.
std::string content_hash(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return fmt::format("{:08x}", engine::crc32c(std::as_bytes(std::span(content))));
}

// Signals are taken by sigwait in the main thread, so every other thread is started with them
// blocked.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

int serve(config::Config config, const std::string& path) {
  const sigset_t signals = block_signals();
  target::open_log(target::LogSink::automatic, log_level(config.log_level));
  target::Daemon daemon(std::move(config), content_hash(path));
  const auto started = daemon.start();
  if (!started) target::log_error("{}", started.error());
  int received = 0;
  while (started && received != SIGTERM && received != SIGINT) {
    sigwait(&signals, &received);
    if (received == SIGHUP)
      target::log_warn("this version does not reload: restart to apply {}", path);
  }
  if (!daemon.stop()) {
    target::flush_log();
    std::_Exit(exit_failed);
  }
  return started ? exit_ok : exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Serves volumes over NVMe/TCP.", "forebayd");
  app.set_version_flag("--version", FOREBAY_VERSION);
  std::string path;
  bool check_only = false;
  app.add_option("file", path, "The configuration")->required();
  app.add_flag("--check", check_only, "Only say whether the file is valid");
  CLI11_PARSE(app, argc, argv);

  auto outcome = config::parse_file(path);
  for (const auto& message : outcome.messages) fmt::print(stderr, "{}\n", config::format(message));
  if (!outcome.config) return exit_failed;
  if (check_only) {
    fmt::print("{}: valid\n", path);
    return exit_ok;
  }
  return serve(std::move(*outcome.config), path);
}
