#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "config/identity.h"
#include "config/transfer_memory.h"

namespace config {
namespace {

using std::string_view;

// One kind of thing that others refer to by name.
class References {
 public:
  References(string_view noun, string_view section, const std::vector<std::string>& names)
      : noun_(noun), section_(section), names_(names), known_(names.begin(), names.end()) {}

  // True if `name` stands in the file; otherwise reported.
  bool check(const Located<std::string>& name, std::string path, Report& report) const {
    if (name.at.line == 0 || known_.contains(name.value)) return true;
    report.error(
        name.at, std::move(path),
        names_.empty()
            ? fmt::format("no {} {}; add it under \"{}\".", noun_, in_quotes(name.value), section_)
            : fmt::format("no {} {}; known: {}.", noun_, in_quotes(name.value), listed(names_)));
    return false;
  }

 private:
  string_view noun_;
  string_view section_;
  const std::vector<std::string>& names_;
  std::unordered_set<string_view> known_;
};

class Validator {
 public:
  Validator(const Draft& draft, Report& report)
      : config_(draft.config),
        report_(report),
        listeners_("listener", "listeners", draft.listeners),
        cache_devices_("cache device", "cache_devices", draft.cache_devices),
        pools_("pool", "pools", draft.pools),
        volumes_("volume", "volumes", draft.volumes),
        hosts_("host", "hosts", draft.hosts) {}

  void run() {
    check_memory();
    check_addresses();
    check_pools();
    check_members();
    check_cache_devices();
    for (const auto& [name, volume] : config_.volumes) check_volume(volume);
    for (const auto& [nqn, subsystem] : config_.subsystems) check_subsystem(subsystem);
    check_volumes_seen_twice();
  }

 private:
  struct Endpoint {
    string_view owner;
    std::string path;
    Position at;  // of the entry as a whole
    const Located<IpAddress>* address;
    const Located<std::uint16_t>* port;
  };

  void check_memory() {
    const engine::ByteCount needed = least_transfer_memory(config_);
    if (config_.memory.value >= needed) return;
    report_.error(
        config_.memory.at.line != 0 ? config_.memory.at : config_.reactors.at, "memory",
        fmt::format("{} cannot serve {} reactors with transfers of {} (mdts); write {} or "
                    "more, or lower reactors.count.",
                    size_text(config_.memory.value), config_.reactors.count,
                    size_text(largest_transfer(config_)), size_text(needed)));
  }

  // Two sockets that cannot both be bound. The later one in the file gets the message.
  void check_addresses() {
    std::map<std::uint16_t, std::vector<Endpoint>> by_port;
    const auto add = [&](Endpoint endpoint) {
      if (endpoint.address->at.line == 0 || endpoint.port->value == 0) return;
      by_port[endpoint.port->value].push_back(std::move(endpoint));
    };
    for (const auto& [name, listener] : config_.listeners) {
      add({name, join_path("listeners", name), listener.at, &listener.address, &listener.port});
    }
    for (auto& [port, endpoints] : by_port) {
      std::ranges::sort(endpoints, {}, &Endpoint::at);
      for (std::size_t later = 1; later < endpoints.size(); ++later) {
        check_endpoint(endpoints, later);
      }
    }
  }

  void check_endpoint(const std::vector<Endpoint>& endpoints, std::size_t later) {
    const Endpoint& mine = endpoints[later];
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const Endpoint& other = endpoints[earlier];
      if (!overlap(mine.address->value, other.address->value)) continue;
      report_.error(mine.address->at, mine.path + ".address",
                    fmt::format("{} port {} is taken by listener {} (line {}, {}); use another "
                                "address or port.",
                                mine.address->value.text, mine.port->value, in_quotes(other.owner),
                                other.address->at.line, other.address->value.text));
      return;
    }
  }

  void check_pools() {
    std::map<std::string, const Pool*> by_directory;
    for (const auto& [name, pool] : config_.pools) {
      if (pool.directory.at.line == 0) continue;
      const auto [other, fresh] = by_directory.emplace(pool.directory.value, &pool);
      if (fresh) continue;
      const Pool* first = other->second;
      const Pool* second = &pool;
      if (second->directory.at < first->directory.at) std::swap(first, second);
      report_.error(second->directory.at, join_path("pools", second->name) + ".directory",
                    fmt::format("is the directory of pool {} already (line {}); give each pool its "
                                "own.",
                                in_quotes(first->name), first->directory.at.line));
    }
  }

  // One disk is no two things.
  void check_members() {
    std::map<std::string, const Pool*> by_path;
    for (const auto& [name, pool] : config_.pools) {
      for (std::size_t i = 0; i < pool.members.size(); ++i) {
        const Located<std::string>& member = pool.members[i];
        if (member.at.line == 0) continue;
        const std::string path = fmt::format("{}.members[{}]", join_path("pools", name), i);
        const auto [other, fresh] = by_path.emplace(member.value, &pool);
        if (!fresh) {
          report_.error(member.at, path,
                        fmt::format("is a member of pool {} already; remove one.",
                                    in_quotes(other->second->name)));
        }
        for (const auto& [cache, device] : config_.cache_devices) {
          if (device.path.at.line == 0 || device.path.value != member.value) continue;
          report_.error(member.at, path,
                        fmt::format("is the path of cache device {} (line {}); remove one.",
                                    in_quotes(cache), device.path.at.line));
        }
      }
    }
  }

  void check_cache_devices() {
    std::map<std::string, const CacheDevice*> by_path;
    for (const auto& [name, device] : config_.cache_devices) {
      if (device.path.at.line == 0) continue;
      check_outside_pools(device);
      const auto [other, fresh] = by_path.emplace(device.path.value, &device);
      if (fresh) continue;
      const CacheDevice* first = other->second;
      const CacheDevice* second = &device;
      if (second->path.at < first->path.at) std::swap(first, second);
      report_.error(second->path.at, join_path("cache_devices", second->name) + ".path",
                    fmt::format("is the path of cache device {} already (line {}); give each cache "
                                "device its own.",
                                in_quotes(first->name), first->path.at.line));
    }
  }

  // What lies in a pool's directory is the pool's.
  void check_outside_pools(const CacheDevice& device) {
    for (const auto& [name, pool] : config_.pools) {
      const Located<std::string>& directory = pool.directory;
      if (directory.at.line == 0 || !lies_in(device.path.value, directory.value)) continue;
      report_.error(device.path.at, join_path("cache_devices", device.name) + ".path",
                    fmt::format("lies in the directory of pool {} (line {}), which holds nothing "
                                "but the pool; use another path.",
                                in_quotes(name), directory.at.line));
    }
  }

  // Both absolute and in normal form.
  static bool lies_in(string_view path, string_view directory) {
    return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
  }

  void check_volume(const Volume& volume) {
    const std::string path = join_path("volumes", volume.name);
    pools_.check(volume.pool, path + ".pool", report_);
    if (!volume.cache) return;
    cache_devices_.check(volume.cache->device, path + ".cache.device", report_);
    const auto pool = config_.pools.find(volume.pool.value);
    if (pool == config_.pools.end() || pool->second.kind != Pool::Kind::memory) return;
    report_.error(volume.cache->at, path + ".cache",
                  fmt::format("pool {} is of kind memory: its volumes are new at each start, and "
                              "nothing that a cache keeps would be theirs; remove the cache.",
                              in_quotes(pool->first)));
  }

  void check_subsystem(const Subsystem& subsystem) {
    const std::string path = join_path("subsystems", subsystem.nqn);
    for (std::size_t i = 0; i < subsystem.listeners.size(); ++i) {
      check_listener(subsystem, subsystem.listeners[i], fmt::format("{}.listeners[{}]", path, i));
    }
    check_hosts(subsystem.hosts, path);
    std::map<string_view, std::uint32_t> nsid_of_volume;
    for (const auto& [nsid, exported] : subsystem.namespaces) {
      const std::string ns_path = fmt::format("{}.namespaces.{}", path, nsid);
      volumes_.check(exported.volume, ns_path + ".volume", report_);
      const auto [other, fresh] = nsid_of_volume.emplace(exported.volume.value, nsid);
      if (!fresh && exported.volume.at.line != 0) {
        report_.error(exported.volume.at, ns_path + ".volume",
                      fmt::format("volume {} is NSID {} of this subsystem already; remove one.",
                                  in_quotes(exported.volume.value), other->second));
      }
      if (exported.hosts) check_masking(subsystem, *exported.hosts, ns_path);
    }
  }

  void check_listener(const Subsystem& subsystem, const Located<std::string>& name,
                      std::string path) {
    if (!listeners_.check(name, path, report_)) return;
    const auto listener = config_.listeners.find(name.value);
    if (listener == config_.listeners.end()) return;
    if (listener->second.discovery == Discovery::only) {
      report_.error(name.at, std::move(path),
                    fmt::format("listener {} serves discovery only; name another, or change its "
                                "discovery to also.",
                                in_quotes(name.value)));
      return;
    }
    const Located<IpAddress>& address = listener->second.address;
    if (subsystem.allow_any_host && address.at.line != 0 && address.value.is_wildcard()) {
      report_.warning(subsystem.allow_any_host_at,
                      join_path("subsystems", subsystem.nqn) + ".allow_any_host",
                      fmt::format("on listener {} ({}) whoever reaches any address of this machine "
                                  "may read and write; name the hosts, or give the listener one "
                                  "address.",
                                  in_quotes(name.value), address.value.text));
    }
  }

  void check_hosts(const std::vector<Located<std::string>>& hosts, const std::string& path) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      hosts_.check(hosts[i], fmt::format("{}.hosts[{}]", path, i), report_);
    }
  }

  // A host that a namespace names must also get into the subsystem.
  void check_masking(const Subsystem& subsystem, const std::vector<Located<std::string>>& hosts,
                     const std::string& path) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      const std::string item = fmt::format("{}.hosts[{}]", path, i);
      if (hosts[i].at.line == 0 || !hosts_.check(hosts[i], item, report_)) continue;
      if (subsystem.allow_any_host) continue;
      if (std::ranges::count(subsystem.hosts, hosts[i].value, &Located<std::string>::value) == 0) {
        report_.error(hosts[i].at, item,
                      fmt::format("host {} may not connect to this subsystem; add it to the "
                                  "subsystem's hosts, or remove it here.",
                                  in_quotes(hosts[i].value)));
      }
    }
  }

  // Linux refuses the second namespace of the same identity, whatever subsystem it is in.
  void check_volumes_seen_twice() {
    struct Export {
      const Subsystem* subsystem;
      const Namespace* exported;
    };
    std::map<string_view, std::vector<Export>> by_volume;
    for (const auto& [nqn, subsystem] : config_.subsystems) {
      for (const auto& [nsid, exported] : subsystem.namespaces) {
        if (exported.volume.at.line == 0) continue;
        std::vector<Export>& others = by_volume[exported.volume.value];
        for (const Export& other : others) {
          if (other.subsystem == &subsystem) continue;
          if (!share_a_host(*other.subsystem, *other.exported, subsystem, exported)) continue;
          report_.warning(
              exported.volume.at,
              fmt::format("{}.namespaces.{}.volume", join_path("subsystems", nqn), nsid),
              fmt::format("volume {} is also NSID {} of {}; a host that connects to both ignores "
                          "the second. Export it once to each host.",
                          in_quotes(exported.volume.value), other.exported->nsid,
                          printable(other.subsystem->nqn)));
          break;
        }
        others.push_back({&subsystem, &exported});
      }
    }
  }

  static bool share_a_host(const Subsystem& a, const Namespace& in_a, const Subsystem& b,
                           const Namespace& in_b) {
    const auto names_of = [](const Subsystem& subsystem, const Namespace& exported) {
      return exported.hosts             ? &*exported.hosts
             : subsystem.allow_any_host ? nullptr
                                        : &subsystem.hosts;
    };
    const auto* of_a = names_of(a, in_a);
    const auto* of_b = names_of(b, in_b);
    if (of_a == nullptr || of_b == nullptr) {
      return (of_a == nullptr || !of_a->empty()) && (of_b == nullptr || !of_b->empty());
    }
    std::unordered_set<string_view> names;
    for (const auto& name : *of_a) names.insert(name.value);
    return std::ranges::any_of(*of_b, [&](const auto& name) { return names.contains(name.value); });
  }

  const Config& config_;
  Report& report_;
  References listeners_;
  References cache_devices_;
  References pools_;
  References volumes_;
  References hosts_;
};

}  // namespace

void validate(const Draft& draft, Report& report) { Validator(draft, report).run(); }

}  // namespace config
