#include "appliance/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "appliance/cli/control_client.h"
#include "appliance/cli/status_screen.h"

namespace cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

void note_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  ::sigaction(SIGINT, &action, nullptr);
}

Watched watch(const std::string& socket, const std::string& name, const std::string& ctrl_c,
              const LookAtProgress& look) {
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  while (interrupted == 0) {
    const auto status = get(socket, "/v1/status");
    if (!status) {
      fmt::print(stderr, "forebayctl: {}\n", status.error());
      return {.end = Watched::End::unknown, .status = {}};
    }
    const std::string left = look(status.value());
    if (is_terminal && left.empty()) fmt::print("\r\033[K");
    if (left.empty()) return {.end = Watched::End::over, .status = status.value()};
    if (is_terminal) {
      fmt::print("\r\033[K{}: {}   (Ctrl-C {})", name, left, ctrl_c);
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (is_terminal) fmt::print("\n");
  return {.end = Watched::End::interrupted, .status = {}};
}

std::string dirty_text(const boost::json::value& volume) {
  const auto seconds = volume.at("drain_seconds").to_number<std::int64_t>();
  return fmt::format(
      "{} left{}", size_text(volume.at("dirty_bytes").to_number<std::uint64_t>()),
      seconds < 0 ? std::string() : ", " + duration_text(static_cast<std::uint64_t>(seconds)));
}

}  // namespace cli
