#include "appliance/cli/cache_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cstdio>

#include "appliance/cli/control_client.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/request.h"

namespace cli {
namespace {

using boost::json::value;

// Empty: nothing is left of it.
std::string left_of_detachment(const value& volume) {
  return volume.at("detaching").as_bool() ? drain_text(volume) : std::string();
}

std::string why_not_detached(const value& volume) {
  const std::string error = text(volume, "detach_error");
  return error.empty() ? "its detachment was cancelled" : error;
}

std::string left_of_retirement(const value& status, const std::string& device) {
  if (!find(status, "caches", device).at("retiring").as_bool()) return {};
  return retirement_text(status, device);
}

void print_what_keeps(const value& status, const std::string& device) {
  bool any = false;
  for (const auto& volume : status.at("volumes").as_array()) {
    if (text(volume, "cache") != device || text(volume, "detach_error").empty()) continue;
    fmt::print(stderr, "forebayctl: cache {} is not retired: volume {} was not detached: {}\n",
               device, text(volume, "name"), text(volume, "detach_error"));
    any = true;
  }
  if (any) return;
  fmt::print(stderr, "forebayctl: cache {} is not retired: that was cancelled\n", device);
}

// What the next start would not find any more, or would find elsewhere. `before`: the status when
// all volumes still had their caches.
void print_what_to_edit(const value& before, const value& status, const std::string& device) {
  fmt::print("Before the next start, edit the configuration file:\n");
  fmt::print("  cache_devices: remove {}\n", device);
  for (const auto& volume : status.at("volumes").as_array()) {
    const std::string now = text(volume, "cache");
    const value then = find(before, "volumes", text(volume, "name"));
    if (text(volume, "configured_cache") != device && text(then, "cache") != device) continue;
    if (now.empty()) {
      fmt::print("  volumes.{}: remove cache\n", text(volume, "name"));
    } else {
      fmt::print("  volumes.{}.cache: write device: {}\n", text(volume, "name"), now);
    }
  }
}

}  // namespace

int cache_detach(const std::string& socket, const std::string& name) {
  note_interrupt();
  if (!ask(socket, "volumes", name, "detach", {})) return 1;
  const Watched watched = watch(socket, name, "cancels", [&name](const value& status) {
    return left_of_detachment(find(status, "volumes", name));
  });
  if (watched.end == Watched::End::unknown) return 1;
  if (watched.end == Watched::End::interrupted) {
    if (!ask(socket, "volumes", name, "drain", {{"cancel", true}})) return 1;
    fmt::print("volume {}: cancelled; it keeps its cache.\n", name);
    return 1;
  }
  const value volume = find(watched.status, "volumes", name);
  if (const std::string cache = text(volume, "cache"); !cache.empty()) {
    fmt::print(stderr, "forebayctl: volume {} keeps its cache {}: {}\n", name, cache,
               why_not_detached(volume));
    return 1;
  }
  fmt::print("volume {} is now served without a cache.", name);
  if (const std::string configured = text(volume, "configured_cache"); !configured.empty()) {
    fmt::print(
        " The configuration file still names {}: edit it before the next start, or it is attached "
        "again.",
        configured);
  }
  fmt::print("\n");
  return 0;
}

int cache_attach(const std::string& socket, const std::string& name, const std::string& device) {
  if (!ask(socket, "volumes", name, "attach", {{"cache", device}})) return 1;
  fmt::print("volume {} is now served through {}, where it begins empty.\n", name, device);
  if (const auto status = get(socket, "/v1/status")) {
    const std::string configured = text(find(status.value(), "volumes", name), "configured_cache");
    if (configured == device) return 0;
    if (configured.empty()) {
      fmt::print(
          "The configuration file names none: write cache: {{ device: {} }} before the next start, "
          "at which the volume is late without it.\n",
          device);
      return 0;
    }
    fmt::print("The configuration file still names {}: write device: {} before the next start.\n",
               configured, device);
  }
  return 0;
}

int cache_retire(const std::string& socket, const std::string& device) {
  const auto before = get(socket, "/v1/status");
  if (!before) {
    fmt::print(stderr, "forebayctl: {}\n", before.error());
    return 1;
  }
  note_interrupt();
  if (!ask(socket, "caches", device, "retire", {})) return 1;
  const Watched watched =
      watch(socket, device, "ends the waiting only",
            [&device](const value& status) { return left_of_retirement(status, device); });
  if (watched.end == Watched::End::unknown) return 1;
  if (watched.end == Watched::End::interrupted) {
    fmt::print("cache {} is being retired all the same; forebayctl status shows it.\n", device);
    return 1;
  }
  if (!find(watched.status, "caches", device).at("retired").as_bool()) {
    print_what_keeps(watched.status, device);
    return 1;
  }
  fmt::print("cache {} is retired: nothing uses it any more, and it may be taken out.\n", device);
  print_what_to_edit(before.value(), watched.status, device);
  return 0;
}

}  // namespace cli
