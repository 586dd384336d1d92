#include "appliance/cli/volume_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "appliance/cli/control_client.h"
#include "appliance/cli/status_screen.h"
#include "config/values.h"

namespace cli {
namespace {

// False: it was not done, and stderr says why.
bool ask(const std::string& socket, const std::string& name, const std::string& what,
         const boost::json::object& how) {
  // It stands in a path: what a name cannot contain would make another one of it.
  if (name.find_first_of("/?# %\r\n") != std::string::npos) {
    fmt::print(stderr, "forebayctl: there is no volume {}\n", name);
    return false;
  }
  const auto done = post(socket, "/v1/volumes/" + name + "/" + what, how);
  if (!done) fmt::print(stderr, "forebayctl: {}\n", done.error());
  return static_cast<bool>(done);
}

volatile std::sig_atomic_t interrupted = 0;

boost::json::value status_of(const boost::json::value& status, const std::string& volume) {
  for (const auto& one : status.at("volumes").as_array()) {
    if (one.at("name").as_string() == boost::json::string_view(volume)) return one;
  }
  return {};
}

std::string progress_of(const boost::json::value& volume) {
  const auto seconds = volume.at("drain_seconds").to_number<std::int64_t>();
  return fmt::format(
      "{} left{}", size_text(volume.at("dirty_bytes").to_number<std::uint64_t>()),
      seconds < 0 ? std::string() : ", " + duration_text(static_cast<std::uint64_t>(seconds)));
}

}  // namespace

int volume_grow(const std::string& socket, const std::string& name, const std::string& size) {
  const auto bytes = config::parse_size(size);
  if (!bytes) {
    fmt::print(stderr, "forebayctl: {}\n", bytes.error().text);
    return 1;
  }
  if (!ask(socket, name, "grow", {{"size_bytes", bytes.value().value}})) return 1;
  fmt::print(
      "volume {0} is now {1}; its hosts have been told. Write size: {1} into the configuration.\n",
      name, config::size_text(bytes.value()));
  return 0;
}

int volume_mode(const std::string& socket, const std::string& name, const std::string& mode) {
  if (!ask(socket, name, "mode", {{"mode", mode}})) return 1;
  fmt::print(
      "volume {0}: its cache is {1} until the daemon starts again. To keep it, write mode: {1} "
      "into the configuration.\n",
      name, mode);
  return 0;
}

int volume_drain(const std::string& socket, const std::string& name) {
  if (!ask(socket, name, "drain", {{"cancel", false}})) return 1;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  while (interrupted == 0) {
    const auto status = get(socket, "/v1/status");
    if (!status) {
      fmt::print(stderr, "forebayctl: {}\n", status.error());
      return 1;
    }
    const auto volume = status_of(status.value(), name);
    if (!volume.at("draining").as_bool()) {
      fmt::print("{}volume {}: its pool has everything that was acknowledged when this began.\n",
                 is_terminal ? "\r\033[K" : "", name);
      return 0;
    }
    if (is_terminal) {
      fmt::print("\r\033[K{}: {}   (Ctrl-C cancels)", name, progress_of(volume));
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (!ask(socket, name, "drain", {{"cancel", true}})) return 1;
  fmt::print("\nvolume {}: cancelled; what is left is written to its pool in its own time.\n",
             name);
  return 1;
}

int volume_abandon(const std::string& socket, const std::string& name, const std::string& cache) {
  const auto before = get(socket, "/v1/status");
  if (!ask(socket, name, "abandon", {{"cache", cache}})) return 1;
  fmt::print("volume {}: what only cache {} had of it is lost, and it goes on without.\n", name,
             cache);
  // Where it is told what is left.
  if (before) {
    const auto volume = status_of(before.value(), name);
    fmt::print("It was: {}\n", std::string_view(volume.at("reason").as_string()));
  }
  return 0;
}

int volume_give_up_lost(const std::string& socket, const std::string& name) {
  if (!ask(socket, name, "give-up-lost", {})) return 1;
  fmt::print(
      "volume {}: write-back goes on without what cannot be read. The daemon's log lists it; reads "
      "of it fail until it is written.\n",
      name);
  return 0;
}

}  // namespace cli
