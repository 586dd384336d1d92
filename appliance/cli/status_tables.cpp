#include "appliance/cli/status_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <set>
#include <vector>

#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/request.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/table.h"
#include "appliance/cli/top.h"

namespace cli {
namespace {

namespace json = boost::json;

double per_second(const json::value& rates, const char* kind) {
  return member(member(rates, kind), "per_second").to_number<double>();
}

std::vector<std::string> cells_of_activity(const json::value& rates, const std::string& volume) {
  if (rates.is_null()) return {"-", "-", "-", "-"};
  const json::value now = find(rates, "volumes", volume);
  if (now.is_null()) return {"-", "-", "-", "-"};
  return {count_text(per_second(now, "reads")), count_text(per_second(now, "writes")),
          latencies_text(now, "p99_us"), hits_text(now)};
}

std::string used_of_size(std::uint64_t size, std::uint64_t free) {
  if (size == 0) return "-";
  return fmt::format("{} of {}", size_text(size - std::min(size, free)), size_text(size));
}

// The oldest of its volumes'.
std::string lag_of_pools(const json::value& status, const std::string& cache,
                         std::uint64_t now_ms) {
  std::uint64_t oldest = 0;
  for (const auto& volume : list(status, "volumes")) {
    if (text(volume, "cache") != cache) continue;
    oldest = std::max(oldest, pool_lag_seconds(volume, now_ms).value_or(0));
  }
  return oldest == 0 ? "-" : duration_text(oldest);
}

std::uint64_t errors_of(const json::value& pool) {
  std::uint64_t errors = 0;
  for (const auto& disk : list(pool, "disks")) {
    for (const char* kind : {"reads", "writes", "syncs", "zeroings"}) {
      errors += number(member(disk, kind), "errors");
    }
  }
  return errors;
}

// "ok", "filling (warn at 80%); 14 I/O errors"
std::string state_in_short(const json::value& pool) {
  std::string state = state_of_pool(pool);
  if (state == "ok" && flag(pool, "filling")) {
    state = fmt::format("filling (warn at {}%)", number(pool, "warn_at_percent"));
  }
  const std::uint64_t errors = errors_of(pool);
  if (errors != 0) state += fmt::format("; {} I/O error{}", errors, errors == 1 ? "" : "s");
  return state;
}

std::string volumes_in_short(const HostView& host) {
  std::vector<std::string> names;
  for (const HostVolume& volume : host.volumes) {
    if (std::ranges::find(names, volume.volume) == names.end()) names.push_back(volume.volume);
  }
  return or_dash(joined(names, " "));
}

}  // namespace

std::string volumes_overview(const json::value& status, const json::value& rates) {
  Table table(
      {"VOLUME", "SIZE", "MODE", "STATE", "READ/s", "WRITE/s", "P99 us r/w", "HIT", "DIRTY"});
  for (const auto& volume : list(status, "volumes")) {
    std::vector<std::string> row{text(volume, "name"), size_text(number(volume, "size_bytes")),
                                 mode_of(volume), text(volume, "state")};
    for (std::string& cell : cells_of_activity(rates, text(volume, "name"))) {
      row.push_back(std::move(cell));
    }
    row.push_back(text(volume, "cache_mode").empty() ? "-"
                                                     : size_text(number(volume, "dirty_bytes")));
    table.add(std::move(row));
  }
  return table.empty() ? "\nNo volume is configured.\n" : table.text();
}

std::string caches_overview(const json::value& status, std::uint64_t now_ms) {
  Table table({"CACHE", "MEDIA", "USED OF SIZE", "DIRTY", "RPO", "ERRORS", "STATE"});
  for (const auto& cache : list(status, "caches")) {
    table.add({text(cache, "name"), or_dash(media_in_words(cache)),
               used_of_size(number(cache, "size_bytes"), number(cache, "free_bytes")),
               size_text(number(cache, "dirty_bytes")),
               lag_of_pools(status, text(cache, "name"), now_ms),
               std::to_string(number(cache, "healed_reads") + number(cache, "lost_reads")),
               state_of_cache(cache)});
  }
  return table.empty() ? std::string() : table.text();
}

std::string pools_overview(const json::value& status) {
  Table table({"POOL", "KIND", "DISKS", "USED OF SIZE", "USED", "STATE"});
  for (const auto& pool : list(status, "pools")) {
    const std::uint64_t size = number(pool, "size_bytes");
    const std::uint64_t free = number(pool, "free_bytes");
    const std::size_t disks = list(pool, "disks").size();
    table.add({text(pool, "name"), text(pool, "kind"),
               text(pool, "kind") == "device" ? std::to_string(disks) : "-",
               used_of_size(size, free), percent_used(size, free), state_in_short(pool)});
  }
  return table.empty() ? std::string() : table.text();
}

std::string hosts_overview(const json::value& status) {
  Table table({"HOST", "PROTOCOL", "SECURITY", "VOLUMES", "PATHS", "QUEUES", "CONNECTED"});
  for (const HostView& host : host_views(status)) {
    const HostPresence now = presence_of(host);
    table.add({host.name, host.is_iscsi ? "iscsi" : "nvme-tcp", now.security,
               volumes_in_short(host), fmt::format("{} of {}", now.paths, host.paths.size()),
               std::to_string(now.queues),
               now.paths == 0 ? "no" : duration_text(now.seconds) + " ago"});
  }
  return table.empty() ? "\nNo host is configured or connected.\n" : table.text();
}

}  // namespace cli
