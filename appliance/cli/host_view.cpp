#include "appliance/cli/host_view.h"

#include <algorithm>
#include <set>

#include "appliance/cli/json_view.h"

namespace cli {
namespace {

namespace json = boost::json;

// What the two protocols call the same things in the status.
struct Words {
  bool is_iscsi;
  const char* known_id;     // of known_hosts
  const char* exports;      // subsystems, targets
  const char* export_name;  // of one
  const char* admitted;     // hosts of it
  const char* volumes;      // its namespaces, LUNs
  const char* number;
  const char* viewers;  // of one of them
  const char* connections;
  const char* host_of;      // a connection's
  const char* exported_of;  // the same
};
constexpr Words nvme{false,  "nqn",   "subsystems", "nqn", "hosts",    "namespaces",
                     "nsid", "hosts", "hosts",      "nqn", "subsystem"};
constexpr Words iscsi{true,  "iqn",        "targets",  "name",      "initiators", "luns",
                      "lun", "initiators", "sessions", "initiator", "target"};

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

void add_exports(HostView& view, const json::value& status, const Words& words) {
  for (const auto& exported : list(status, words.exports)) {
    if (!flag(exported, "allow_any_host") && !has(texts(exported, words.admitted), view.id)) {
      continue;
    }
    const std::string name = text(exported, words.export_name);
    for (const std::string& listener : texts(exported, "listeners")) {
      view.paths.push_back({.exported = name, .listener = listener});
    }
    for (const auto& volume : list(exported, words.volumes)) {
      const auto viewers = texts(volume, words.viewers);
      if (!viewers.empty() && !has(viewers, view.id)) continue;
      view.volumes.push_back({.exported = name,
                              .number = number(volume, words.number),
                              .volume = text(volume, "volume"),
                              .size_bytes = number(volume, "size_bytes")});
    }
  }
}

bool is_discovery(const json::value& connection, const Words& words) {
  return words.is_iscsi ? text(connection, "target").empty() : flag(connection, "discovery");
}

void add_connections(HostView& view, const json::value& status, const Words& words) {
  for (const auto& connection : list(status, words.connections)) {
    if (text(connection, words.host_of) != view.id || is_discovery(connection, words)) continue;
    HostPath seen{.exported = text(connection, words.exported_of),
                  .listener = text(connection, "listener"),
                  .connected = true,
                  .address = text(connection, "address"),
                  .security = text(connection, "security"),
                  .queues = words.is_iscsi ? 1 : number(connection, "io_queues"),
                  .connected_seconds = number(connection, "connected_seconds")};
    const auto expected =
        std::find_if(view.paths.begin(), view.paths.end(), [&seen](const HostPath& path) {
          return !path.connected && path.exported == seen.exported &&
                 path.listener == seen.listener;
        });
    if (expected != view.paths.end()) {
      *expected = std::move(seen);
    } else {
      view.paths.push_back(std::move(seen));  // a second controller by the same way
    }
  }
}

HostView view_of(const std::string& name, const std::string& id, bool known,
                 const json::value& status, const Words& words) {
  HostView view{.name = name, .id = id, .known = known, .is_iscsi = words.is_iscsi};
  add_exports(view, status, words);
  add_connections(view, status, words);
  return view;
}

void add_views(std::vector<HostView>& views, const json::value& status, const Words& words) {
  std::set<std::string> seen;
  for (const auto& host : list(status, "known_hosts")) {
    const std::string id = text(host, words.known_id);
    if (id.empty() || !seen.insert(id).second) continue;
    views.push_back(view_of(text(host, "name"), id, true, status, words));
  }
  for (const auto& connection : list(status, words.connections)) {
    const std::string id = text(connection, words.host_of);
    if (is_discovery(connection, words) || !seen.insert(id).second) continue;
    views.push_back(view_of(id, id, false, status, words));
  }
}

}  // namespace

std::size_t HostView::connected_paths() const {
  return static_cast<std::size_t>(std::count_if(
      paths.begin(), paths.end(), [](const HostPath& path) { return path.connected; }));
}

std::vector<HostView> host_views(const json::value& status) {
  std::vector<HostView> views;
  add_views(views, status, nvme);
  add_views(views, status, iscsi);
  return views;
}

std::vector<HostView> views_of(const json::value& status, const std::string& host) {
  std::vector<HostView> views = host_views(status);
  std::erase_if(views,
                [&host](const HostView& view) { return view.name != host && view.id != host; });
  if (!views.empty()) return views;
  const bool is_nqn = host.starts_with("nqn.");
  const bool is_iscsi_name =
      host.starts_with("iqn.") || host.starts_with("eui.") || host.starts_with("naa.");
  if (!is_nqn && !is_iscsi_name) return {};
  HostView view = view_of(host, host, false, status, is_nqn ? nvme : iscsi);
  if (!view.paths.empty()) views.push_back(std::move(view));
  return views;
}

}  // namespace cli
