#include "appliance/cli/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/table.h"

namespace cli {
namespace {

namespace json = boost::json;

// "header, data"
std::string digests_of(const json::value& session) {
  const bool header = flag(session, "header_digest");
  const bool data = flag(session, "data_digest");
  return header && data ? "header, data" : header ? "header" : data ? "data" : "none";
}

// "3h 2m ago": of a state that has been seen to change.
std::string since_text(const json::value& what, std::uint64_t now_ms) {
  const std::uint64_t since = number(what, "state_since_ms");
  return since == 0 || since > now_ms ? "-" : duration_text((now_ms - since) / 1000);
}

// "1:db01 2:logs"
std::string volumes_of(const HostView& host) {
  std::vector<std::string> all;
  for (const HostVolume& volume : host.volumes) {
    all.push_back(fmt::format("{}:{}", volume.number, volume.volume));
  }
  return or_dash(joined(all, " "));
}

std::string disk_state(const json::value& disk) {
  const auto& troubles = list(disk, "troubles");
  if (troubles.empty()) return "ok";
  return std::string(std::string_view(troubles.front().as_string()));
}

// As it is configured; of others each reactor has its own cap.
std::string depth_of(const json::value& pool) {
  const auto depth = number(pool, "queue_depth");
  return depth == 0 ? "-" : std::to_string(depth);
}

}  // namespace

std::string percent_used(std::uint64_t size, std::uint64_t free) {
  return size == 0 ? "-" : fmt::format("{}%", (size - std::min(size, free)) * 100 / size);
}

std::string state_of_cache(const json::value& cache) {
  if (flag(cache, "retired")) return "retired";
  if (!flag(cache, "open")) return "not open";
  if (!text(cache, "reason").empty()) return "failed";
  return flag(cache, "retiring") ? "retiring" : "ok";
}

std::string mode_of(const json::value& volume) {
  const std::string mode = or_dash(text(volume, "cache_mode"));
  return text(volume, "ordered") == "journal" ? mode + ", journal" : mode;
}

std::string state_of_pool(const json::value& pool) {
  if (!flag(pool, "open")) return "not open";
  return text(pool, "reason").empty() ? "ok" : "no answer";
}

std::string media_in_words(const json::value& cache) {
  // The daemon says "cache line (devdax)".
  const std::string media = text(cache, "media");
  const std::size_t at = media.find(" (");
  if (at == std::string::npos || !media.ends_with(')')) return media;
  return media.substr(at + 2, media.size() - at - 3) + ", " + media.substr(0, at);
}

std::optional<std::uint64_t> pool_lag_seconds(const json::value& volume, std::uint64_t now_ms) {
  if (text(volume, "cache_mode").empty()) return std::nullopt;
  const std::uint64_t then = number(volume, "consistent_time_ms");
  const bool lags = number(volume, "dirty_bytes") != 0 || flag(volume, "pool_mixed");
  if (!lags) return 0;
  if (then == 0 || then > now_ms) return std::nullopt;
  return (now_ms - then) / 1000;
}

HostPresence presence_of(const HostView& host) {
  HostPresence now{.paths = host.connected_paths(), .security = "-"};
  for (const HostPath& path : host.paths) {
    if (!path.connected) continue;
    now.queues += path.queues;
    now.seconds = std::max(now.seconds, path.connected_seconds);
    now.security = path.security;
  }
  return now;
}

std::string volumes_table(const json::value& status) {
  Table table({"VOLUME", "SIZE", "BLOCK", "CACHE", "MODE", "DIRTY", "POOL", "STATE", "UUID"});
  for (const auto& v : list(status, "volumes")) {
    table.add({text(v, "name"), size_text(number(v, "size_bytes")),
               std::to_string(number(v, "block_size")), or_dash(text(v, "cache")), mode_of(v),
               text(v, "cache_mode").empty() ? "-" : size_text(number(v, "dirty_bytes")),
               text(v, "pool"), text(v, "state"), text(v, "uuid")});
  }
  for (const auto& p : list(status, "pools")) {
    for (const auto& v : list(p, "retained")) {
      table.add({text(v, "name"), size_text(number(v, "size_bytes")),
                 std::to_string(number(v, "block_size")), "-", "-",
                 flag(v, "dirty") ? "in its cache" : "-", text(p, "name"), "retained",
                 text(v, "uuid")});
    }
  }
  return table.text();
}

std::string pools_table(const json::value& status) {
  Table table({"POOL", "KIND", "FREE OF SIZE", "USED", "DEPTH", "STATE"});
  for (const auto& p : list(status, "pools")) {
    const auto size = number(p, "size_bytes");
    const auto free = number(p, "free_bytes");
    table.add({text(p, "name"), text(p, "kind"),
               size == 0 ? "-" : fmt::format("{} of {}", size_text(free), size_text(size)),
               percent_used(size, free), depth_of(p), state_of_pool(p)});
  }
  return table.text();
}

std::string caches_table(const json::value& status) {
  if (list(status, "caches").empty()) return {};
  Table table({"CACHE", "MEDIA", "FREE OF SIZE", "DIRTY", "STATE"});
  for (const auto& c : list(status, "caches")) {
    const auto size = number(c, "size_bytes");
    table.add({text(c, "name"), or_dash(media_in_words(c)),
               size == 0
                   ? "-"
                   : fmt::format("{} of {}", size_text(number(c, "free_bytes")), size_text(size)),
               size_text(number(c, "dirty_bytes")), state_of_cache(c)});
  }
  return table.text();
}

std::string listeners_table(const json::value& status) {
  Table table({"LISTENER", "PROTOCOL", "ADDRESS", "CONNECTIONS", "STATE"});
  for (const auto& l : list(status, "listeners")) {
    table.add({text(l, "name"), text(l, "protocol"), text(l, "address"),
               std::to_string(number(l, "connections")),
               flag(l, "listening") ? "listening" : "waiting"});
  }
  return table.empty() ? std::string() : table.text();
}

// Each target's name stands once, beside its first LUN.
std::string targets_table(const json::value& status) {
  if (list(status, "targets").empty()) return {};
  Table table({"TARGET", "LUN", "VOLUME", "SIZE", "SEEN BY"});
  for (const auto& t : list(status, "targets")) {
    const std::string admitted =
        flag(t, "allow_any_host") ? "any initiator" : or_dash(joined(texts(t, "initiators")));
    std::string name = text(t, "name");
    if (list(t, "luns").empty()) table.add({name, "-", "-", "-", admitted});
    for (const auto& l : list(t, "luns")) {
      const std::string chosen = joined(texts(l, "initiators"));
      table.add({std::exchange(name, {}), std::to_string(number(l, "lun")), text(l, "volume"),
                 size_text(number(l, "size_bytes")), chosen.empty() ? admitted : chosen});
    }
  }
  return table.text();
}

std::string sessions_table(const json::value& status) {
  if (list(status, "sessions").empty()) return {};
  Table table(
      {"INITIATOR", "FROM", "TARGET", "PORTAL", "DIGESTS", "SECURITY", "READS", "WRITES", "SINCE"});
  for (const auto& s : list(status, "sessions")) {
    const std::string target = text(s, "target");
    table.add({text(s, "initiator"), text(s, "address"), target.empty() ? "(discovery)" : target,
               text(s, "portal"), digests_of(s), text(s, "security"),
               std::to_string(number(s, "read_commands")),
               std::to_string(number(s, "write_commands")),
               duration_text(number(s, "connected_seconds"))});
  }
  return table.text();
}

std::string hosts_table(const json::value& status) {
  Table table({"HOST", "PROTOCOL", "VOLUMES", "PATHS", "QUEUES", "SECURITY", "SINCE"});
  for (const HostView& host : host_views(status)) {
    const HostPresence now = presence_of(host);
    table.add({host.name, host.is_iscsi ? "iscsi" : "nvme-tcp", volumes_of(host),
               fmt::format("{} of {}", now.paths, host.paths.size()), std::to_string(now.queues),
               now.security, now.paths == 0 ? "not connected" : duration_text(now.seconds)});
  }
  return table.empty() ? "\nNo host is configured or connected.\n" : table.text();
}

std::string paths_table(const json::value& status) {
  Table table({"HOST", "TO", "LISTENER", "FROM", "SINCE"});
  for (const HostView& host : host_views(status)) {
    for (const HostPath& path : host.paths) {
      table.add({host.name, path.exported, path.listener, or_dash(path.address),
                 path.connected ? duration_text(path.connected_seconds) : "not connected"});
    }
  }
  return table.empty() ? std::string() : table.text();
}

std::string members_table(const json::value& status) {
  Table table({"POOL", "MEMBER", "STATE", "SERIAL", "UUID", "PATH"});
  for (const auto& pool : list(status, "pools")) {
    for (const auto& one : list(pool, "members")) {
      table.add({text(pool, "name"), std::to_string(number(one, "index")), text(one, "state"),
                 or_dash(text(one, "serial")), text(one, "uuid"), text(one, "path")});
    }
  }
  return table.empty() ? std::string() : table.text();
}

std::string disks_table(const json::value& status) {
  Table table({"POOL", "DISK", "MODEL", "READS", "WRITES", "P99 us r/w", "ERRORS", "STATE"});
  for (const auto& pool : list(status, "pools")) {
    for (const auto& disk : list(pool, "disks")) {
      const auto& reads = member(disk, "reads");
      const auto& writes = member(disk, "writes");
      const std::uint64_t errors = number(reads, "errors") + number(writes, "errors") +
                                   number(member(disk, "syncs"), "errors");
      table.add({text(pool, "name"), text(disk, "path"), or_dash(text(disk, "model")),
                 std::to_string(number(reads, "count")), std::to_string(number(writes, "count")),
                 fmt::format("{}/{}", number(reads, "p99_us"), number(writes, "p99_us")),
                 std::to_string(errors), disk_state(disk)});
    }
  }
  return table.empty() ? std::string() : table.text();
}

std::string cached_volumes_table(const json::value& status, std::uint64_t now_ms) {
  Table table({"VOLUME", "CACHE", "MODE", "DIRTY", "RPO", "DRAINING", "LOST"});
  for (const auto& v : list(status, "volumes")) {
    if (text(v, "cache").empty()) continue;
    const auto lag = pool_lag_seconds(v, now_ms);
    table.add({text(v, "name"), text(v, "cache"), mode_of(v), size_text(number(v, "dirty_bytes")),
               lag ? duration_text(*lag) : "-",
               flag(v, "detaching")  ? "detaching"
               : flag(v, "draining") ? "yes"
                                     : "-",
               number(v, "lost_bytes") == 0 ? "-" : size_text(number(v, "lost_bytes"))});
  }
  return table.empty() ? std::string() : table.text();
}

std::string states_table(const json::value& status, const char* kind, const char* heading,
                         std::uint64_t now_ms) {
  Table table({heading, "STATE", "SINCE", "REASON"});
  for (const auto& one : list(status, kind)) {
    const std::string_view of(kind);
    const std::string state = of == "volumes" ? text(one, "state")
                              : of == "pools" ? state_of_pool(one)
                                              : state_of_cache(one);
    table.add({text(one, "name"), state, since_text(one, now_ms), or_dash(text(one, "reason"))});
  }
  return table.empty() ? std::string() : table.text();
}

}  // namespace cli
