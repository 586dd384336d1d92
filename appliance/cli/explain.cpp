#include "appliance/cli/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/request.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/table.h"
#include "appliance/cli/time_text.h"

namespace cli {
namespace {

namespace json = boost::json;

constexpr std::size_t most_events = 5;

std::string pool_line(const json::value& status, const std::string& name) {
  const json::value pool = find(status, "pools", name);
  if (pool.is_null()) return fmt::format("pool {}: not known", name);
  if (!flag(pool, "open")) return fmt::format("pool {}: not open: {}", name, text(pool, "reason"));
  if (!text(pool, "reason").empty()) return fmt::format("pool {}: {}", name, text(pool, "reason"));
  return fmt::format("pool {}: ok, {} of {} free", name, size_text(number(pool, "free_bytes")),
                     size_text(number(pool, "size_bytes")));
}

std::string cache_line(const json::value& status, const std::string& name) {
  const json::value cache = find(status, "caches", name);
  if (cache.is_null()) return fmt::format("cache {}: not known", name);
  if (!flag(cache, "open")) {
    return fmt::format("cache {}: not open: {}", name, text(cache, "reason"));
  }
  return fmt::format("cache {}: ok, {}, {} dirty", name, text(cache, "media"),
                     size_text(number(cache, "dirty_bytes")));
}

std::vector<std::string> viewers_of(const json::value& status, const std::string& volume) {
  std::vector<std::string> lines;
  for (const HostView& host : host_views(status)) {
    for (const HostVolume& seen : host.volumes) {
      if (seen.volume != volume) continue;
      lines.push_back(fmt::format("host {}: {} {} of {}, connected by {} of {} paths", host.name,
                                  host.is_iscsi ? "LUN" : "NSID", seen.number, seen.exported,
                                  host.connected_paths(), host.paths.size()));
    }
  }
  return lines;
}

void add_next_of_volume(Explanation& e, const json::value& volume) {
  if (e.state == "degraded") {
    e.why.emplace_back("It is served. What is dirty stays in its cache until the pool works.");
    e.next.emplace_back(
        "Look after the pool's disks: forebayctl pools. Write-back goes on by itself.");
  } else if (e.state == "late") {
    e.next.emplace_back("Bring what is missing; the volume is served by itself then.");
  } else if (e.state == "cache-missing") {
    e.why.emplace_back("The pool alone lacks data that hosts were told is safe: it is not served.");
    e.next.emplace_back("Bring the cache device back.");
    e.next.push_back(fmt::format(
        "Only if it is lost for good, and what only it had with it: forebayctl abandon {} --cache "
        "UUID, with the UUID that is named above",
        e.name));
  } else if (e.state == "failed") {
    e.next.emplace_back("Repair the disk or file system; the volume is opened again by itself.");
  } else if (e.state == "refused") {
    e.next.emplace_back("Correct the configuration, and restart the daemon.");
  }
  if (flag(volume, "write_protected") && !text(volume, "note").empty()) {
    e.next.push_back(
        fmt::format("If hosts shall write it again: forebayctl write-protection {} off", e.name));
  }
  if (number(volume, "lost_bytes") > 0) {
    e.is_well = false;
    e.why.push_back(fmt::format("{} of it are lost: reading them fails until they are written.",
                                size_text(number(volume, "lost_bytes"))));
    e.next.emplace_back("Restore what is lost from a backup: forebayctl status lists the blocks.");
  }
}

Explanation of_volume(const json::value& status, const json::value& volume) {
  Explanation e{.kind = "volume", .name = text(volume, "name"), .state = text(volume, "state")};
  e.is_well = e.state == "online";
  e.since_ms = number(volume, "state_since_ms");
  for (const char* key : {"reason", "note"}) {
    if (!text(volume, key).empty()) e.why.push_back(text(volume, key));
  }
  if (!flag(volume, "durable")) {
    e.why.emplace_back("It is in memory: gone at a power loss or earlier.");
  }
  if (flag(volume, "detaching") || flag(volume, "draining")) {
    e.why.push_back(fmt::format("It is being {}: {}",
                                flag(volume, "detaching") ? "detached" : "drained",
                                drain_text(volume)));
  }
  add_next_of_volume(e, volume);
  e.related.push_back(pool_line(status, text(volume, "pool")));
  if (const std::string cache = text(volume, "cache"); !cache.empty()) {
    e.related.push_back(cache_line(status, cache));
    if (const std::uint64_t dirty = number(volume, "dirty_bytes"); dirty > 0) {
      e.related.push_back(fmt::format("{} of it only the cache has so far", size_text(dirty)));
    }
  }
  for (std::string& line : viewers_of(status, e.name)) e.related.push_back(std::move(line));
  return e;
}

Explanation of_pool(const json::value& status, const json::value& pool) {
  Explanation e{.kind = "pool", .name = text(pool, "name"), .state = "ok"};
  e.since_ms = number(pool, "state_since_ms");
  if (!flag(pool, "open")) e.state = "not open";
  if (flag(pool, "open") && !text(pool, "reason").empty()) e.state = "no answer";
  e.is_well = e.state == "ok";
  if (!text(pool, "reason").empty()) e.why.push_back(text(pool, "reason"));
  if (!e.is_well) e.next.emplace_back("It is tried again by itself when that has been seen to.");
  if (flag(pool, "filling")) {
    e.is_well = false;
    e.why.push_back(fmt::format("{}% of its file system is used or promised: {} are free.",
                                number(pool, "warn_at_percent"),
                                size_text(number(pool, "free_bytes"))));
    e.next.emplace_back("Make room on its file system, or grow it.");
  }
  for (const auto& disk : list(pool, "disks")) {
    for (const std::string& trouble : texts(disk, "troubles")) {
      e.is_well = false;
      e.why.push_back(fmt::format("Disk {} {}.", text(disk, "path"), trouble));
      e.next.emplace_back("Replace the disk while it can still be read.");
    }
  }
  for (const std::string& advice : texts(pool, "advice")) e.next.push_back(advice);
  for (const auto& volume : list(status, "volumes")) {
    if (text(volume, "pool") != e.name) continue;
    e.related.push_back(fmt::format("volume {}: {}", text(volume, "name"), text(volume, "state")));
  }
  return e;
}

Explanation of_cache(const json::value& status, const json::value& cache) {
  Explanation e{.kind = "cache", .name = text(cache, "name"), .state = "ok"};
  e.since_ms = number(cache, "state_since_ms");
  if (flag(cache, "retired")) {
    e.state = "retired";
    e.why.emplace_back("Nothing uses it any more.");
    e.next.emplace_back("Take it out, and out of the configuration.");
  } else if (!flag(cache, "open")) {
    e.state = "not open";
    e.is_well = false;
    e.why.push_back(text(cache, "reason"));
    e.next.push_back("What is on it: forebay-media inspect " + text(cache, "path"));
  } else if (!text(cache, "reason").empty()) {
    e.state = "failed";
    e.is_well = false;
    e.why.push_back(text(cache, "reason"));
    e.why.emplace_back("What was answered is on it.");
    e.next.emplace_back("Look after the device (journalctl -k), then: systemctl restart forebay");
  } else if (flag(cache, "retiring")) {
    e.state = "retiring";
    e.why.push_back("Its volumes are being detached: " + retirement_text(status, e.name));
  }
  if (!text(cache, "note").empty()) e.why.push_back(text(cache, "note"));
  for (const auto& volume : list(status, "volumes")) {
    if (text(volume, "cache") != e.name) continue;
    e.related.push_back(fmt::format("volume {}: {}, {}, {} dirty", text(volume, "name"),
                                    text(volume, "state"), or_dash(text(volume, "cache_mode")),
                                    size_text(number(volume, "dirty_bytes"))));
  }
  return e;
}

Explanation of_listener(const json::value& listener) {
  Explanation e{.kind = "listener", .name = text(listener, "name"), .state = "listening"};
  e.since_ms = number(listener, "state_since_ms");
  e.is_well = flag(listener, "listening");
  if (!e.is_well) {
    e.state = "waiting";
    e.why.push_back(text(listener, "reason"));
    e.next.emplace_back("It is tried again every second.");
  }
  e.related.push_back(fmt::format("{} on {}, {} connections", text(listener, "protocol"),
                                  text(listener, "address"), number(listener, "connections")));
  return e;
}

Explanation of_host(const HostView& host) {
  const std::size_t there = host.connected_paths();
  Explanation e{.kind = "host", .name = host.name, .state = "connected"};
  e.is_well = there == host.paths.size();
  if (there == 0) {
    e.state = "not connected";
    e.is_well = true;  // it may be off
  } else if (!e.is_well) {
    e.state = fmt::format("connected by {} of {} paths", there, host.paths.size());
    e.why.emplace_back("If that path fails too, the host loses its disks.");
  }
  if (there < host.paths.size()) {
    e.next.push_back("The commands for it: forebayctl connect-line " + host.name);
  }
  for (const HostPath& path : host.paths) {
    e.related.push_back(path.connected
                            ? fmt::format("{} by {}: from {}, for {}", path.exported, path.listener,
                                          path.address, duration_text(path.connected_seconds))
                            : fmt::format("{} by {}: not connected", path.exported, path.listener));
  }
  for (const HostVolume& volume : host.volumes) {
    e.related.push_back(fmt::format("sees volume {} as {} {} of {}", volume.volume,
                                    host.is_iscsi ? "LUN" : "NSID", volume.number,
                                    volume.exported));
  }
  return e;
}

std::string last_events(const json::value& events, const std::vector<Explanation>& all) {
  std::vector<std::string> lines;
  for (const auto& event : list(events, "events")) {
    const std::string subject = text(event, "subject");
    const bool is_about = std::any_of(
        all.begin(), all.end(), [&subject](const Explanation& e) { return e.name == subject; });
    if (!is_about) continue;
    lines.push_back(fmt::format("  {}  {}: {}\n", time_text(number(event, "time_ms")),
                                text(event, "name"), text(event, "text")));
  }
  if (lines.empty()) return {};
  const std::size_t first = lines.size() - std::min(lines.size(), most_events);
  std::string out = "\nEVENTS\n";
  for (std::size_t i = first; i < lines.size(); ++i) out += lines[i];
  return out;
}

std::string part(const char* heading, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string out = fmt::format("\n{}\n", heading);
  for (const std::string& line : lines) out += "  " + line + "\n";
  return out;
}

}  // namespace

std::vector<Explanation> explain(const json::value& status, const std::string& name) {
  std::vector<Explanation> all;
  if (const auto volume = find(status, "volumes", name); !volume.is_null()) {
    all.push_back(of_volume(status, volume));
  }
  if (const auto pool = find(status, "pools", name); !pool.is_null()) {
    all.push_back(of_pool(status, pool));
  }
  if (const auto cache = find(status, "caches", name); !cache.is_null()) {
    all.push_back(of_cache(status, cache));
  }
  if (const auto listener = find(status, "listeners", name); !listener.is_null()) {
    all.push_back(of_listener(listener));
  }
  for (const HostView& host : host_views(status)) {
    if (host.name == name || host.id == name) all.push_back(of_host(host));
  }
  return all;
}

std::string explanation_screen(const std::vector<Explanation>& all, const json::value& events,
                               std::uint64_t now) {
  std::string out;
  for (const Explanation& e : all) {
    out += fmt::format("{}{}{} {}: {}", out.empty() ? "" : "\n", e.is_well ? "" : "! ", e.kind,
                       e.name, e.state);
    if (e.since_ms != 0 && e.since_ms <= now) {
      out += fmt::format(" since {} ({} ago)", time_text(e.since_ms),
                         duration_text((now - e.since_ms) / 1000));
    }
    out += "\n" + part("WHY", e.why) + part("NEXT", e.next) + part("BESIDE", e.related);
  }
  return out + last_events(events, all);
}

json::value to_json(const std::vector<Explanation>& all) {
  const auto array_of = [](const std::vector<std::string>& lines) {
    return json::array(lines.begin(), lines.end());
  };
  json::array out;
  for (const Explanation& e : all) {
    out.emplace_back(json::object{{"kind", e.kind},
                                  {"name", e.name},
                                  {"state", e.state},
                                  {"is_well", e.is_well},
                                  {"since_ms", e.since_ms},
                                  {"why", array_of(e.why)},
                                  {"next", array_of(e.next)},
                                  {"related", array_of(e.related)}});
  }
  return out;
}

}  // namespace cli
