#include "appliance/cli/reports.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "appliance/cli/connect_line.h"
#include "appliance/cli/control_client.h"
#include "appliance/cli/doctor.h"
#include "appliance/cli/events_command.h"
#include "appliance/cli/explain.h"
#include "appliance/cli/format_option.h"
#include "appliance/cli/host_view.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/listing.h"
#include "appliance/cli/output.h"
#include "appliance/cli/support_bundle.h"
#include "appliance/cli/time_text.h"
#include "appliance/cli/top.h"

namespace cli {

namespace json = boost::json;

struct Reports::Options {
  std::string socket = default_socket;
  Format format = Format::table;
  std::string name;
  std::string config_file = "/etc/forebay/forebay.yaml";
  EventsOptions events;
  TopOptions top;
  CLI::App* volumes = nullptr;
  CLI::App* hosts = nullptr;
  CLI::App* pools = nullptr;
  CLI::App* cache = nullptr;
  CLI::App* event_list = nullptr;
  CLI::App* explain = nullptr;
  CLI::App* connect_line = nullptr;
  CLI::App* rates = nullptr;
  CLI::App* doctor = nullptr;
  CLI::App* support_bundle = nullptr;
};

namespace {

// Asks for the status; `screen` for people, the members `keys` of it for scripts.
int show_list(const std::string& socket, Format format, const std::vector<const char*>& keys,
              const std::function<std::string(const json::value&)>& screen) {
  const auto status = get(socket, "/v1/status");
  if (!status) {
    fmt::print(stderr, "forebayctl: {}\n", status.error());
    return 1;
  }
  if (format == Format::table) {
    std::string tables = screen(status.value());
    tables.erase(0, tables.find_first_not_of('\n'));
    print(tables.empty() ? "There is none.\n" : tables);
    return 0;
  }
  json::object out;
  for (const char* key : keys) out[key] = member(status.value(), key);
  print(out, format);
  return 0;
}

int show_explanation(const std::string& socket, Format format, const std::string& name) {
  const auto status = get(socket, "/v1/status");
  const auto events = get(socket, "/v1/events");
  if (!status || !events) {
    fmt::print(stderr, "forebayctl: {}\n", status ? events.error() : status.error());
    return 1;
  }
  const auto all = explain(status.value(), name);
  if (all.empty()) {
    fmt::print(
        stderr,
        "forebayctl: nothing is called {}: no volume, pool, cache device, listener or host\n",
        name);
    return 1;
  }
  if (format == Format::table) {
    print(explanation_screen(all, events.value(), now_ms()));
  } else {
    print(to_json(all), format);
  }
  for (const Explanation& one : all) {
    if (!one.is_well) return 2;
  }
  return 0;
}

int show_connect_lines(const std::string& socket, Format format, const std::string& name) {
  const auto status = get(socket, "/v1/status");
  if (!status) {
    fmt::print(stderr, "forebayctl: {}\n", status.error());
    return 1;
  }
  std::vector<ConnectLines> all;
  for (const HostView& host : views_of(status.value(), name)) {
    if (!host.paths.empty()) {
      all.push_back(connect_lines(status.value(), host, own_addresses()));
    }
  }
  if (all.empty()) {
    fmt::print(stderr,
               "forebayctl: no subsystem or target admits {}; write it into hosts of the "
               "configuration, and into those of what it shall use\n",
               name);
    return 1;
  }
  if (format == Format::table) {
    fmt::print("{}", connect_screen(all));  // a script: never in colours
  } else {
    print(to_json(all), format);
  }
  return 0;
}

}  // namespace

Reports::Reports(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& o = *options_;
  const auto add = [&app, &o](const char* name, const char* about) {
    auto* command = app.add_subcommand(name, about);
    add_socket(*command, o.socket);
    add_format(*command, o.format);
    return command;
  };
  o.volumes = add("volumes", "Volumes, their state and since when; those that are retained, too");
  o.hosts = add(
      "hosts",
      "Hosts of both protocols: what they see, their paths and sessions; listeners and targets");
  o.pools = add("pools", "Pools and their disks, with errors and latencies");
  o.cache = add("cache", "Cache devices, and what they hold of each volume");
  o.event_list = add("events", "What has changed its state; every name is in docs/events.md");
  o.event_list->add_flag("-f,--follow", o.events.follow, "Go on with what comes");
  o.event_list->add_option("--since", o.events.since, "Only those after this id");
  o.event_list->add_option("-n,--last", o.events.last, "So many of them; 0: all")
      ->capture_default_str();
  o.explain = add("explain", "Why something is in the state it is in, since when, and what next");
  o.explain->add_option("name", o.name, "A volume, pool, cache device, listener or host")
      ->required();
  o.connect_line =
      add("connect-line", "The commands that attach what a host may use, also after its reboot");
  o.connect_line->add_option("host", o.name, "Its name in the configuration, NQN or iSCSI name")
      ->required();
  o.rates = add("top", "What volumes and hosts do at this moment: rates, latencies, hits");
  o.rates->add_option("--interval", o.top.interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  o.rates->add_option("-n,--count", o.top.count, "So many tables; else until Ctrl-C");
  o.doctor = add("doctor", "What is wrong, and what may be one day, with hints; exit 2 if bad");
  o.doctor->add_option("--config", o.config_file, "Checked when the daemon does not answer")
      ->capture_default_str();
  o.support_bundle = add("support-bundle",
                         "All that is needed to find out what is wrong, in one file, secrets taken "
                         "out; also when the daemon is down");
  o.support_bundle->add_option("file", o.name, "A tar.gz; else it is named by the time");
  o.support_bundle->add_option("--config", o.config_file, "The daemon's")->capture_default_str();
}

Reports::~Reports() = default;

std::optional<int> Reports::run() const {
  const Options& o = *options_;
  if (o.volumes->parsed()) {
    return show_list(o.socket, o.format, {"volumes"}, [](const json::value& status) {
      return volumes_table(status) + states_table(status, "volumes", "VOLUME", now_ms());
    });
  }
  if (o.hosts->parsed()) {
    return show_list(o.socket, o.format,
                     {"known_hosts", "hosts", "sessions", "subsystems", "targets", "listeners"},
                     [](const json::value& status) {
                       return hosts_table(status) + paths_table(status) + listeners_table(status) +
                              targets_table(status) + sessions_table(status);
                     });
  }
  if (o.pools->parsed()) {
    return show_list(o.socket, o.format, {"pools"}, [](const json::value& status) {
      return pools_table(status) + states_table(status, "pools", "POOL", now_ms()) +
             members_table(status) + disks_table(status);
    });
  }
  if (o.cache->parsed()) {
    return show_list(o.socket, o.format, {"caches"}, [](const json::value& status) {
      return caches_table(status) + states_table(status, "caches", "CACHE", now_ms()) +
             cached_volumes_table(status, now_ms());
    });
  }
  if (o.event_list->parsed()) {
    EventsOptions events = o.events;
    events.socket = o.socket;
    events.format = o.format;
    return show_events(events);
  }
  if (o.explain->parsed()) return show_explanation(o.socket, o.format, o.name);
  if (o.connect_line->parsed()) return show_connect_lines(o.socket, o.format, o.name);
  if (o.rates->parsed()) {
    TopOptions top = o.top;
    top.socket = o.socket;
    top.format = o.format;
    return show_top(top);
  }
  if (o.doctor->parsed()) {
    return show_doctor({.socket = o.socket, .config_file = o.config_file, .format = o.format});
  }
  if (o.support_bundle->parsed()) {
    return support_bundle(
        {.socket = o.socket, .config_file = o.config_file, .file = o.name, .format = o.format});
  }
  return std::nullopt;
}

}  // namespace cli
