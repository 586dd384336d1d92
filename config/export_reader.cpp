#include "config/export_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace config {

std::vector<Located<std::string>> read_listeners(SectionReader& reader) {
  auto listeners = reader.names("listeners");
  if (!listeners) return {};
  if (listeners->empty()) {
    reader.report().error(reader.at("listeners"), reader.path_of("listeners"),
                          "is empty; name at least one listener.");
  }
  return std::move(*listeners);
}

void read_access(Access& access, SectionReader& reader) {
  auto hosts = reader.names("hosts");
  const auto any = reader.boolean("allow_any_host");
  if (any) {
    access.allow_any_host = any->value;
    access.allow_any_host_at = any->at;
  }
  if (hosts) access.hosts = std::move(*hosts);
  Report& report = reader.report();
  if (any && any->value && reader.has("hosts")) {
    report.error(std::max(reader.at("hosts"), reader.at("allow_any_host")), reader.path(),
                 "allow_any_host and hosts exclude each other; remove one.");
  } else if (reader.lacks("hosts") && (reader.lacks("allow_any_host") || (any && !any->value))) {
    report.error(reader.at(), reader.path(),
                 "\"hosts\" is missing; add hosts: [NAME], or allow_any_host: true.");
  } else if (hosts && access.hosts.empty()) {
    report.warning(reader.at("hosts"), reader.path_of("hosts"),
                   "is empty: no host may connect; name the hosts that may.");
  }
}

std::map<std::uint32_t, Export> read_exports(const ExportMap& map, SectionReader& reader) {
  std::map<std::uint32_t, Export> exports;
  Report& report = reader.report();
  const Node& node = reader.node(map.key);
  const std::string path = reader.path_of(map.key);
  if (!expect_map(report, node, path, "1: {volume: NAME}")) return exports;
  if (node.entries.size() > map.most) {
    report.error(reader.at(map.key), path,
                 fmt::format("has {} {}; at most {} are possible in one {}.", node.entries.size(),
                             map.key, map.most, map.owner));
    return exports;
  }
  for (const Node::Entry& entry : node.entries) {
    const std::string entry_path = join_path(path, entry.key);
    const auto number = parse_integer(as_scalar(entry), map.min, map.max);
    if (!number) {
      report.error(entry.at, entry_path, fmt::format("{} {}", map.noun, number.error().text));
    }
    SectionReader below(report, section_of(map.pattern), entry_path, entry.at, entry.value);
    below.check_keys();
    Export made;
    made.at = entry.at;
    assign(made.volume, below.text("volume"));
    made.hosts = below.names("hosts");
    if (!number) continue;
    made.number = static_cast<std::uint32_t>(number.value());
    exports.emplace(made.number, std::move(made));
  }
  return exports;
}

}  // namespace config
