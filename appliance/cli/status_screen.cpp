#include "appliance/cli/status_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>
#include <vector>

#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/status_tables.h"
#include "appliance/cli/table.h"

namespace cli {

namespace json = boost::json;

namespace {

// Of one in trouble that has what its pool has not: "; 3.1 GiB dirty kept in pmem0".
std::string what_is_safe(const json::value& volume) {
  if (number(volume, "dirty_bytes") == 0 || text(volume, "cache").empty()) return {};
  const bool is_read = text(volume, "state") == "degraded";
  return fmt::format("; {} dirty kept in {}{}", size_text(number(volume, "dirty_bytes")),
                     text(volume, "cache"), is_read ? ", reads served" : "");
}

std::string troubles(const json::value& status) {
  std::string out;
  for (const auto& pool : list(status, "pools")) {
    if (!text(pool, "reason").empty())
      out += fmt::format("! pool {}: {}\n", text(pool, "name"), text(pool, "reason"));
  }
  for (const auto& cache : list(status, "caches")) {
    if (flag(cache, "retired") || text(cache, "reason").empty()) continue;
    out += fmt::format("! cache {}: {}  (forebayctl explain {})\n", text(cache, "name"),
                       text(cache, "reason"), text(cache, "name"));
  }
  for (const auto& volume : list(status, "volumes")) {
    if (text(volume, "state") == "online") continue;
    out += fmt::format("! volume {}: {}: {}{}  (forebayctl explain {})\n", text(volume, "name"),
                       text(volume, "state"), text(volume, "reason"), what_is_safe(volume),
                       text(volume, "name"));
  }
  for (const auto& listener : list(status, "listeners")) {
    if (flag(listener, "listening")) continue;
    out += fmt::format("! listener {} ({}): {}\n", text(listener, "name"),
                       text(listener, "address"), text(listener, "reason"));
  }
  return out;
}

// What becomes of its cache, or is not as the configuration says.
std::string cache_note(const json::value& volume) {
  const std::string now = text(volume, "cache");
  const std::string configured = text(volume, "configured_cache");
  if (flag(volume, "detaching")) {
    return fmt::format("being detached from {}: {}", now, drain_text(volume));
  }
  if (const std::string error = text(volume, "detach_error"); !error.empty()) {
    return fmt::format("not detached from {}: {}", now, error);
  }
  if (now == configured)
    return flag(volume, "draining") ? "being drained: " + drain_text(volume) : "";
  return fmt::format("served {}; the configuration file names {} for the next start",
                     now.empty() ? "without a cache" : "through " + now, configured);
}

// "7, 9 to 12 and 3 more": by the volume's own blocks.
std::string lost_blocks(const json::value& volume) {
  constexpr std::size_t most = 4;
  const json::array& ranges = list(volume, "lost_ranges");
  const std::uint64_t block = std::max<std::uint64_t>(number(volume, "block_size"), 1);
  std::string out;
  for (std::size_t at = 0; at < std::min(ranges.size(), most); ++at) {
    const std::uint64_t offset = number(ranges[at], "offset_bytes");
    const std::uint64_t first = offset / block;
    const std::uint64_t last = (offset + number(ranges[at], "length_bytes") - 1) / block;
    if (!out.empty()) out += ", ";
    out += first == last ? std::to_string(first) : fmt::format("{} to {}", first, last);
  }
  if (ranges.size() > most) out += fmt::format(" and {} more places", ranges.size() - most);
  return out;
}

std::string lost_note(const json::value& volume) {
  const std::uint64_t reads = number(volume, "lost_reads");
  const std::string failed =
      reads == 0 ? std::string()
                 : fmt::format("{} read{} failed", reads, reads == 1 ? " has" : "s have");
  if (number(volume, "lost_bytes") == 0) {
    return failed.empty() ? failed : failed + " of what its cache had and has lost";
  }
  return fmt::format("{} of it are lost (blocks {}): reading them fails until they are written{}",
                     size_text(number(volume, "lost_bytes")), lost_blocks(volume),
                     failed.empty() ? failed : "; " + failed);
}

// Of a volume whose limits hold something back; empty: nothing.
std::string limits_note(const json::value& volume) {
  const json::value& qos = volume.at("qos");
  const std::uint64_t held = number(qos, "reads_held") + number(qos, "writes_held");
  if (held == 0) return {};
  return fmt::format("its limits hold {} command{} back", held, held == 1 ? "" : "s");
}

// Of a volume that has no room for what is written, or whose disk does not answer; empty: all is
// well.
std::string overload_note(const json::value& volume) {
  const json::value& overload = volume.at("overload");
  const bool is_silent = flag(overload, "disk_silent");
  if (overload.at("closed").as_bool()) {
    if (is_silent) return "its disk has answered nothing for too long: hosts are told to wait";
    return "it has had no room for too long: hosts are told to wait until it has";
  }
  const std::uint64_t held = number(overload, "held");
  if (is_silent) {
    return fmt::format("its disk does not answer: {} command{} for it", held,
                       held == 1 ? " waits" : "s wait");
  }
  if (held == 0) return {};
  return fmt::format("{} command{} for room in its cache", held, held == 1 ? " waits" : "s wait");
}

// Its volumes are served, so far.
std::string disk_note(const json::value& pool, const json::value& disk,
                      const json::value& trouble) {
  std::string known;
  for (const auto& [what, key] : {std::pair("", "device"), {"", "model"}, {"serial ", "serial"}}) {
    const std::string one = text(disk, key);
    if (one.empty() || one == text(disk, "path")) continue;
    known += (known.empty() ? " (" : ", ") + (what + one);
  }
  return fmt::format("- pool {}: disk {}{}{} {}\n", text(pool, "name"), text(disk, "path"), known,
                     known.empty() ? "" : ")", std::string_view(trouble.as_string()));
}

// What is no trouble, and yet to be known.
std::string notes(const json::value& status) {
  std::string out;
  for (const auto& cache : list(status, "caches")) {
    if (text(cache, "note").empty()) continue;
    out += fmt::format("- cache {}: {}\n", text(cache, "name"), text(cache, "note"));
  }
  for (const auto& pool : list(status, "pools")) {
    if (!flag(pool, "filling")) continue;
    out +=
        fmt::format("- pool {}: {}% of its file system is used or promised: {} of {} are free",
                    text(pool, "name"), number(pool, "warn_at_percent"),
                    size_text(number(pool, "free_bytes")), size_text(number(pool, "size_bytes")));
    if (const auto promised = number(pool, "promised_bytes"); promised != 0) {
      out += fmt::format(", {} of that for what waits in caches", size_text(promised));
    }
    const auto reserve = number(pool, "reserve_bytes");
    out += reserve == 0 ? "\n" : fmt::format(", {} are kept\n", size_text(reserve));
  }
  for (const auto& pool : list(status, "pools")) {
    for (const auto& disk : list(pool, "disks")) {
      for (const auto& trouble : list(disk, "troubles")) out += disk_note(pool, disk, trouble);
    }
    for (const auto& advice : list(pool, "advice")) {
      out +=
          fmt::format("- pool {}: {}\n", text(pool, "name"), std::string_view(advice.as_string()));
    }
  }
  for (const auto& pool : list(status, "pools")) {
    const std::size_t retained = list(pool, "retained").size();
    if (retained == 0) continue;
    out += fmt::format(
        "- pool {}: {} volume{} that the configuration does not name {} retained: served again "
        "when "
        "named, deleted by forebayctl volume destroy NAME --uuid UUID\n",
        text(pool, "name"), retained, retained == 1 ? "" : "s", retained == 1 ? "is" : "are");
  }
  for (const HostView& host : host_views(status)) {
    const std::size_t there = host.connected_paths();
    if (there == 0 || there >= host.paths.size()) continue;
    out += fmt::format("- host {}: connected by {} path{} of {}  (forebayctl hosts)\n", host.name,
                       there, there == 1 ? "" : "s", host.paths.size());
  }
  for (const auto& volume : list(status, "volumes")) {
    for (const std::string& note : {text(volume, "note"), cache_note(volume), lost_note(volume),
                                    limits_note(volume), overload_note(volume)}) {
      if (!note.empty()) out += fmt::format("- volume {}: {}\n", text(volume, "name"), note);
    }
  }
  return out;
}

// "2d 4h ago"
std::string ago(std::uint64_t then_ms, std::uint64_t now_ms) {
  return duration_text((now_ms - std::min(then_ms, now_ms)) / 1000) + " ago";
}

// When what runs was applied, and how it compares with that.
std::string config_words(const json::value& status, std::uint64_t now_ms) {
  std::string out = "applied " + ago(number(status, "config_applied_ms"), now_ms);
  if (flag(status, "config_is_copy")) out += ", a copy";
  const std::size_t overridden = list(status, "overrides").size();
  if (overridden == 0) return out;
  return out + fmt::format(", {} override{}", overridden, overridden == 1 ? "" : "s");
}

// Of the last change that was asked for, if it was not made.
std::string last_change(const json::value& status, std::uint64_t now_ms) {
  const json::value& last = member(status, "last_reload");
  const std::string reason = text(last, "reason");
  if (reason.empty()) return {};
  return fmt::format(
      "- config: the last change, {}, by {}, was not made ({}): nothing has changed: {}\n",
      ago(number(last, "time_ms"), now_ms), text(last, "by"), text(last, "result"), reason);
}

std::string config_lines(const json::value& status, std::uint64_t now_ms) {
  std::string out;
  const std::string note = text(status, "config_note");
  if (!note.empty()) {
    out += fmt::format("{} config: {}\n", flag(status, "config_is_copy") ? '!' : '-', note);
  }
  out += last_change(status, now_ms);
  const std::string on_disk = text(status, "config_disk_hash");
  if (note.empty() && !on_disk.empty() && on_disk != text(status, "config_hash")) {
    out += fmt::format(
        "- config: {0} has changed since it was applied, and is {1} now  (forebayctl plan {0})\n",
        text(status, "config_file"), on_disk);
  }
  if (const std::string damage = text(status, "overrides_note"); !damage.empty()) {
    out += fmt::format("- overrides: {}\n", damage);
  }
  for (const auto& one : list(status, "overrides")) {
    out += fmt::format("- override: {}  (forebayctl overrides --clear {})\n", text(one, "text"),
                       text(one, "subject"));
  }
  return out;
}

std::string media_of(const json::value& status, const std::string& cache) {
  for (const auto& c : list(status, "caches")) {
    if (text(c, "name") == cache) return or_dash(media_in_words(c));
  }
  return "-";
}

std::string durability_line(const json::value& status) {
  std::string forgetful;
  std::string media;
  const auto add = [](std::string& to, const std::string& one) {
    if (to.find(one) == std::string::npos) to += (to.empty() ? "" : ", ") + one;
  };
  for (const auto& v : list(status, "volumes")) {
    if (!flag(v, "durable")) {
      forgetful += (forgetful.empty() ? "" : ", ") + text(v, "name");
      continue;
    }
    add(media, text(v, "cache").empty()
                   ? "on the pool's disks (flushed)"
                   : "in " + text(v, "cache") + " (" + media_of(status, text(v, "cache")) + ")");
  }
  if (list(status, "volumes").empty()) media = "on the pool's disks (flushed)";
  std::string out = "\n";
  if (!media.empty()) {
    out += fmt::format("Acknowledged means: {}. Volatile write cache: none.\n", media);
  }
  if (!forgetful.empty()) {
    out +=
        fmt::format("In memory, gone at a power loss or earlier, for tests only: {}.\n", forgetful);
  }
  return out;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return value < 10 && unit > 0 ? fmt::format("{:.1f} {}", value, units[unit])
                                : fmt::format("{:.0f} {}", value, units[unit]);
}

std::string duration_text(std::uint64_t seconds) {
  if (seconds >= 86400) return fmt::format("{}d {}h", seconds / 86400, seconds % 86400 / 3600);
  if (seconds >= 3600) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  if (seconds >= 60) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  return fmt::format("{}s", seconds);
}

std::string status_screen(const json::value& status, const json::value& rates,
                          std::uint64_t now_ms) {
  std::string out =
      fmt::format("forebay {}  {}  up {}        {}        config {}, {}\n", text(status, "node"),
                  text(status, "version"), duration_text(number(status, "uptime_seconds")),
                  flag(status, "healthy") ? "HEALTHY" : "DEGRADED", text(status, "config_hash"),
                  config_words(status, now_ms));
  if (flag(status, "config_is_copy")) out += config_lines(status, now_ms);
  out += troubles(status);
  if (!flag(status, "config_is_copy")) out += config_lines(status, now_ms);
  out += notes(status);
  out += volumes_overview(status, rates);
  out += caches_overview(status, now_ms);
  out += pools_overview(status);
  out += hosts_overview(status);
  out += durability_line(status);
  return out;
}

}  // namespace cli
