#include "appliance/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "appliance/cli/control_client.h"
#include "appliance/cli/status_screen.h"

namespace cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

std::optional<std::uint64_t> seconds_of(const boost::json::value& volume) {
  const auto seconds = volume.at("drain_seconds").to_number<std::int64_t>();
  return seconds < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(seconds));
}

}  // namespace

void note_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  ::sigaction(SIGINT, &action, nullptr);
}

bool is_interrupted() { return interrupted != 0; }

Watched watch(const std::string& socket, const std::string& name, const std::string& ctrl_c,
              bool is_quiet, const LookAtProgress& look) {
  const bool is_terminal = !is_quiet && ::isatty(STDOUT_FILENO) == 1;
  while (interrupted == 0) {
    const auto status = get(socket, "/v1/status");
    if (!status) return {.end = Watched::End::unknown, .status = {}, .error = status.error()};
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

std::string left_text(std::uint64_t bytes, std::optional<std::uint64_t> seconds) {
  if (!seconds || bytes == 0) return size_text(bytes) + " left";
  return fmt::format("{}, about {} left", size_text(bytes), duration_text(*seconds));
}

std::string drain_text(const boost::json::value& volume) {
  const auto bytes = volume.at("drain_bytes").to_number<std::uint64_t>();
  const auto seconds = seconds_of(volume);
  std::string left = left_text(bytes, seconds);
  // It may be the backing's, or the cache's: one word here, the reason there.
  if (!seconds && volume.at("state").as_string() != "online") {
    left += "; it does not get on: forebayctl status says why";
  }
  return left;
}

// They go on beside each other: it takes as long as the last.
std::string retirement_text(const boost::json::value& status, const std::string& device) {
  std::uint64_t volumes = 0;
  std::uint64_t dirty = 0;
  std::optional<std::uint64_t> longest = 0;
  for (const auto& volume : status.at("volumes").as_array()) {
    if (volume.at("cache").as_string() != boost::json::string_view(device)) continue;
    ++volumes;
    dirty += volume.at("dirty_bytes").to_number<std::uint64_t>();
    const auto seconds = seconds_of(volume);
    longest = longest && seconds ? std::optional(std::max(*longest, *seconds)) : std::nullopt;
  }
  return fmt::format("{} of {} volume{}", left_text(dirty, longest), volumes,
                     volumes == 1 ? "" : "s");
}

}  // namespace cli
