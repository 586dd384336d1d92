#include "appliance/cli/top.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "appliance/cli/control_client.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/request.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/table.h"

namespace cli {
namespace {

namespace json = boost::json;

// Counters begin anew with a daemon, a connection or a volume.
double rate(std::uint64_t before, std::uint64_t after, double seconds) {
  return static_cast<double>(after >= before ? after - before : after) / seconds;
}

// In microseconds, of which `part` of what happened in between took no longer, as well as the
// buckets tell; null: nothing happened.
json::value percentile(const json::array& bounds_ns, const json::value& before,
                       const json::value& after, double part) {
  std::vector<double> counts;
  double all = 0;
  const json::array& now = list(after, "latency_counts");
  const json::array* then = before.is_null() ? nullptr : &list(before, "latency_counts");
  for (std::size_t i = 0; i < now.size(); ++i) {
    const auto old = then == nullptr ? 0 : (*then)[i].to_number<std::uint64_t>();
    counts.push_back(rate(old, now[i].to_number<std::uint64_t>(), 1));
    all += counts.back();
  }
  if (all <= 0) return nullptr;
  double below = 0;
  double floor_ns = 0;
  for (std::size_t i = 0; i < counts.size() && i < bounds_ns.size(); ++i) {
    const auto bound_ns = static_cast<double>(bounds_ns[i].to_number<std::uint64_t>());
    if (below + counts[i] >= all * part) {
      const double within = counts[i] <= 0 ? 1 : (all * part - below) / counts[i];
      return (floor_ns + within * (bound_ns - floor_ns)) / 1000;
    }
    below += counts[i];
    floor_ns = bound_ns;
  }
  return floor_ns / 1000;  // or more
}

json::object rates_of_volume(const json::array& bounds_ns, const json::value& before,
                             const json::value& after, double seconds) {
  json::object out{{"name", text(after, "name")}, {"state", text(after, "state")}};
  for (const char* kind : {"reads", "writes"}) {
    const json::value none;
    const json::value& was = before.is_null() ? none : member(before, kind);
    const json::value& is = member(after, kind);
    const auto old = [&was](const char* key) { return was.is_null() ? 0 : number(was, key); };
    out[kind] = json::object{{"per_second", rate(old("count"), number(is, "count"), seconds)},
                             {"bytes_per_second", rate(old("bytes"), number(is, "bytes"), seconds)},
                             {"p50_us", percentile(bounds_ns, was, is, 0.5)},
                             {"p99_us", percentile(bounds_ns, was, is, 0.99)}};
  }
  const auto old = [&before](const char* key) {
    return before.is_null() ? 0 : number(before, key);
  };
  const double hits = rate(old("cache_hits"), number(after, "cache_hits"), 1);
  const double misses = rate(old("cache_misses"), number(after, "cache_misses"), 1);
  out["hit_ratio"] = hits + misses > 0 ? json::value(hits / (hits + misses)) : json::value(nullptr);
  out["dirty_bytes"] = number(after, "dirty_bytes");
  return out;
}

struct HostCounts {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
};
// By host, export and connection.
using Connections = std::map<std::pair<std::string, std::string>, HostCounts>;

void add_connections(Connections& all, const json::value& status, const char* kind,
                     const char* host, const char* exported, const char* id) {
  for (const auto& one : list(status, kind)) {
    all[{text(one, host), fmt::format("{} {}", text(one, exported), number(one, id))}] = {
        .reads = number(one, "read_commands"),
        .writes = number(one, "write_commands"),
        .bytes_read = number(one, "bytes_read"),
        .bytes_written = number(one, "bytes_written")};
  }
}

Connections connections_of(const json::value& status) {
  Connections all;
  add_connections(all, status, "hosts", "nqn", "subsystem", "controller");
  add_connections(all, status, "sessions", "initiator", "target", "tsih");
  return all;
}

// The name that the configuration has for it.
std::string name_of_host(const json::value& status, const std::string& id) {
  for (const auto& host : list(status, "known_hosts")) {
    if (text(host, "nqn") == id || text(host, "iqn") == id) return text(host, "name");
  }
  return id;
}

json::array rates_of_hosts(const json::value& before, const json::value& after, double seconds) {
  const Connections then = connections_of(before);
  std::map<std::string, std::array<double, 4>> hosts;
  for (const auto& [key, now] : connections_of(after)) {
    const auto found = then.find(key);
    const HostCounts old = found == then.end() ? HostCounts{} : found->second;
    auto& sums = hosts[name_of_host(after, key.first)];
    sums[0] += rate(old.reads, now.reads, seconds);
    sums[1] += rate(old.writes, now.writes, seconds);
    sums[2] += rate(old.bytes_read, now.bytes_read, seconds);
    sums[3] += rate(old.bytes_written, now.bytes_written, seconds);
  }
  json::array out;
  for (const auto& [name, sums] : hosts) {
    out.emplace_back(json::object{{"name", name},
                                  {"reads_per_second", sums[0]},
                                  {"writes_per_second", sums[1]},
                                  {"bytes_read_per_second", sums[2]},
                                  {"bytes_written_per_second", sums[3]}});
  }
  return out;
}

double real(const json::value& object, const char* key) {
  return member(object, key).to_number<double>();
}

std::string bytes_text(double bytes) { return size_text(static_cast<std::uint64_t>(bytes)); }

std::string us_text(const json::value& us) {
  return us.is_null() ? "-" : fmt::format("{:.0f}", us.to_number<double>());
}

std::string volumes_part(const json::value& rates) {
  std::vector<json::value> volumes(list(rates, "volumes").begin(), list(rates, "volumes").end());
  const auto busyness = [](const json::value& volume) {
    return real(member(volume, "reads"), "per_second") +
           real(member(volume, "writes"), "per_second");
  };
  std::stable_sort(volumes.begin(), volumes.end(),
                   [&busyness](const json::value& left, const json::value& right) {
                     return busyness(left) > busyness(right);
                   });
  Table table({"VOLUME", "READ/s", "WRITE/s", "READ B/s", "WRITE B/s", "P50 us r/w", "P99 us r/w",
               "HIT", "DIRTY", "STATE"});
  for (const auto& volume : volumes) {
    const auto& reads = member(volume, "reads");
    const auto& writes = member(volume, "writes");
    table.add({text(volume, "name"), count_text(real(reads, "per_second")),
               count_text(real(writes, "per_second")), bytes_text(real(reads, "bytes_per_second")),
               bytes_text(real(writes, "bytes_per_second")), latencies_text(volume, "p50_us"),
               latencies_text(volume, "p99_us"), hits_text(volume),
               size_text(number(volume, "dirty_bytes")), text(volume, "state")});
  }
  return table.empty() ? "\nThere is no volume.\n" : table.text();
}

std::string hosts_part(const json::value& rates) {
  Table table({"HOST", "READ/s", "WRITE/s", "READ B/s", "WRITE B/s"});
  for (const auto& host : list(rates, "hosts")) {
    table.add({text(host, "name"), count_text(real(host, "reads_per_second")),
               count_text(real(host, "writes_per_second")),
               bytes_text(real(host, "bytes_read_per_second")),
               bytes_text(real(host, "bytes_written_per_second"))});
  }
  return table.empty() ? "\nNo host is connected.\n" : table.text();
}

}  // namespace

json::value rates_between(const json::value& before, const json::value& after, double seconds) {
  const json::array& bounds_ns = list(after, "latency_bounds_ns");
  json::array volumes;
  for (const auto& volume : list(after, "volumes")) {
    const json::value was = find(before, "volumes", text(volume, "name"));
    volumes.emplace_back(rates_of_volume(bounds_ns, was, volume, seconds));
  }
  return json::object{{"seconds", seconds},
                      {"volumes", std::move(volumes)},
                      {"hosts", rates_of_hosts(before, after, seconds)}};
}

std::string count_text(double count) {
  if (count >= 1e6) return fmt::format("{:.1f}M", count / 1e6);
  if (count >= 10'000) return fmt::format("{:.1f}k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

std::string latencies_text(const json::value& volume, const char* percentile) {
  return us_text(member(member(volume, "reads"), percentile)) + "/" +
         us_text(member(member(volume, "writes"), percentile));
}

std::string hits_text(const json::value& volume) {
  const json::value& ratio = member(volume, "hit_ratio");
  return ratio.is_null() ? "-" : fmt::format("{:.0f}%", ratio.to_number<double>() * 100);
}

std::string top_screen(const json::value& rates) {
  return fmt::format("rates of the last {:.1f} s\n", real(rates, "seconds")) + volumes_part(rates) +
         hosts_part(rates);
}

int show_top(const TopOptions& options) {
  using Clock = std::chrono::steady_clock;
  const bool in_place = options.format == Format::table && ::isatty(STDOUT_FILENO) == 1;
  std::optional<json::value> before;
  Clock::time_point then;
  for (std::uint64_t shown = 0; options.count == 0 || shown < options.count;) {
    const auto status = get(options.socket, "/v1/status");
    if (!status) {
      fmt::print(stderr, "forebayctl: {}\n", status.error());
      return 1;
    }
    const Clock::time_point now = Clock::now();
    if (before) {
      const double seconds = std::chrono::duration<double>(now - then).count();
      const json::value rates = rates_between(*before, status.value(), seconds);
      if (options.format != Format::table) {
        print(rates, options.format);
      } else {
        print((in_place ? "\033[H\033[2J" : "") + top_screen(rates));
      }
      ++shown;
    }
    before = status.value();
    then = now;
    if (options.count == 0 || shown < options.count) {
      std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_seconds));
    }
  }
  return 0;
}

}  // namespace cli
