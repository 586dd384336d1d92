#include "appliance/cli/cache_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

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

std::string what_keeps(const value& status, const std::string& device) {
  std::string out;
  for (const auto& volume : status.at("volumes").as_array()) {
    if (text(volume, "cache") != device || text(volume, "detach_error").empty()) continue;
    out += fmt::format("{}volume {} was not detached: {}", out.empty() ? "" : "; ",
                       text(volume, "name"), text(volume, "detach_error"));
  }
  return fmt::format("cache {} is not retired: {}", device,
                     out.empty() ? "that was cancelled" : out);
}

// What the next start would not find any more, or would find elsewhere. `before`: the status when
// all volumes still had their caches.
std::string what_to_edit(const value& before, const value& status, const std::string& device) {
  std::string out = fmt::format(
      "Before the next start, edit the configuration file:\n  cache_devices: remove {}\n", device);
  for (const auto& volume : status.at("volumes").as_array()) {
    const std::string now = text(volume, "cache");
    const value then = find(before, "volumes", text(volume, "name"));
    if (text(volume, "configured_cache") != device && text(then, "cache") != device) continue;
    if (now.empty()) {
      out += fmt::format("  volumes.{}: remove cache\n", text(volume, "name"));
    } else {
      out += fmt::format("  volumes.{}.cache: write device: {}\n", text(volume, "name"), now);
    }
  }
  return out;
}

}  // namespace

int cache_detach(const std::string& socket, const ChangeReport& report) {
  const std::string& name = report.name();
  note_interrupt();
  const auto begun = ask(socket, "volumes", name, "detach", {});
  if (!begun) return report.failed(begun.error());
  const Watched watched = watch(
      socket, name, "cancels", report.for_scripts(),
      [&name](const value& status) { return left_of_detachment(find(status, "volumes", name)); });
  if (watched.end == Watched::End::unknown) return report.failed(watched.error);
  if (watched.end == Watched::End::interrupted) {
    const auto cancelled = ask(socket, "volumes", name, "drain", {{"cancel", true}});
    if (!cancelled) return report.failed(cancelled.error());
    return report.given_up(fmt::format("volume {}: cancelled; it keeps its cache.\n", name));
  }
  const value volume = find(watched.status, "volumes", name);
  if (const std::string cache = text(volume, "cache"); !cache.empty()) {
    return report.failed(
        fmt::format("volume {} keeps its cache {}: {}", name, cache, why_not_detached(volume)));
  }
  std::string said = fmt::format("volume {} is now served without a cache.", name);
  if (const std::string configured = text(volume, "configured_cache"); !configured.empty()) {
    said += fmt::format(
        " The configuration file still names {}: edit it before the next start, or it is attached "
        "again.",
        configured);
  }
  return report.done(said + "\n", begun.value());
}

int cache_attach(const std::string& socket, const ChangeReport& report, const std::string& device) {
  const std::string& name = report.name();
  const auto answer = ask(socket, "volumes", name, "attach", {{"cache", device}});
  if (!answer) return report.failed(answer.error());
  std::string said =
      fmt::format("volume {} is now served through {}, where it begins empty.\n", name, device);
  if (const auto status = get(socket, "/v1/status")) {
    const std::string configured = text(find(status.value(), "volumes", name), "configured_cache");
    if (configured.empty()) {
      said += fmt::format(
          "The configuration file names none: write cache: {{ device: {} }} before the next start, "
          "at which the volume is late without it.\n",
          device);
    } else if (configured != device) {
      said += fmt::format(
          "The configuration file still names {}: write device: {} before the next start.\n",
          configured, device);
    }
  }
  return report.done(said, answer.value());
}

int cache_retire(const std::string& socket, const ChangeReport& report) {
  const std::string& device = report.name();
  const auto before = get(socket, "/v1/status");
  if (!before) return report.failed(before.error());
  note_interrupt();
  const auto begun = ask(socket, "caches", device, "retire", {});
  if (!begun) return report.failed(begun.error());
  const Watched watched =
      watch(socket, device, "ends the waiting only", report.for_scripts(),
            [&device](const value& status) { return left_of_retirement(status, device); });
  if (watched.end == Watched::End::unknown) return report.failed(watched.error);
  if (watched.end == Watched::End::interrupted) {
    return report.given_up(fmt::format(
        "cache {} is being retired all the same; forebayctl status shows it.\n", device));
  }
  if (!find(watched.status, "caches", device).at("retired").as_bool()) {
    return report.failed(what_keeps(watched.status, device));
  }
  return report.done(
      fmt::format("cache {} is retired: nothing uses it any more, and it may be taken out.\n",
                  device) +
          what_to_edit(before.value(), watched.status, device),
      begun.value());
}

}  // namespace cli
