#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
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
    for (const auto& [iqn, target] : config_.targets) check_target(target);
    check_volumes_seen_twice();
    check_stages();
  }

 private:
  // What one protocol calls things.
  struct ExportWords {
    string_view owner;
    string_view map;
    string_view number;
    std::string Host::*identity;  // what it knows hosts by
    string_view identity_key;
  };
  static constexpr ExportWords nvme_words{"subsystem", "namespaces", "NSID", &Host::nqn, "nqn"};
  static constexpr ExportWords iscsi_words{"target", "luns", "LUN", &Host::iqn, "iqn"};

  struct Endpoint {
    std::string owner;
    std::string path;
    Position at;  // of the entry as a whole
    Located<IpAddress> address;
    Located<std::uint16_t> port;
  };

  void check_stages() {
    if (!config_.metrics) return;
    for (std::size_t i = 0; i < config_.metrics->stages.size(); ++i) {
      volumes_.check(config_.metrics->stages[i], fmt::format("metrics.stages[{}]", i), report_);
    }
  }

  void check_memory() {
    const engine::ByteCount needed = least_transfer_memory(config_);
    if (config_.memory.value >= needed) return;
    report_.error(
        config_.memory.at.line != 0 ? config_.memory.at : config_.reactors.at, "memory",
        fmt::format("{} cannot serve {} reactors with transfers of {} ({}); write {} or more, or "
                    "lower reactors.count.",
                    size_text(config_.memory.value), config_.reactors.count,
                    size_text(largest_transfer(config_)),
                    config_.targets.empty() ? "mdts" : "of iSCSI", size_text(needed)));
  }

  // Two sockets that cannot both be bound. The later one in the file gets the message.
  void check_addresses() {
    std::map<std::uint16_t, std::vector<Endpoint>> by_port;
    const auto add = [&](Endpoint endpoint) {
      if (endpoint.address.at.line == 0 || endpoint.port.value == 0) return;
      by_port[endpoint.port.value].push_back(std::move(endpoint));
    };
    for (const auto& [name, listener] : config_.listeners) {
      add({"listener " + in_quotes(name), join_path("listeners", name) + ".address", listener.at,
           listener.address, listener.port});
    }
    if (const auto& metrics = config_.metrics) {
      add({"metrics", "metrics.address", metrics->at, metrics->address, metrics->port});
    }
    for (std::size_t i = 0; i < config_.control.listen.size(); ++i) {
      const Located<IpEndpoint>& endpoint = config_.control.listen[i];
      add({"control",
           fmt::format("control.listen[{}]", i),
           endpoint.at,
           {.value = endpoint.value.address, .at = endpoint.at},
           {.value = endpoint.value.port, .at = endpoint.at}});
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
      if (!overlap(mine.address.value, other.address.value)) continue;
      report_.error(mine.address.at, mine.path,
                    fmt::format("{} port {} is taken by {} (line {}, {}); use another address or "
                                "port.",
                                mine.address.value.text, mine.port.value, other.owner,
                                other.address.at.line, other.address.value.text));
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
    check_former_name(volume, path);
    check_atomic(volume, path);
    if (!volume.cache) return;
    cache_devices_.check(volume.cache->device, path + ".cache.device", report_);
    const auto pool = config_.pools.find(volume.pool.value);
    if (pool == config_.pools.end()) return;
    if (pool->second.kind == Pool::Kind::device &&
        volume.cache->ordered == VolumeCache::Ordered::journal) {
      report_.error(volume.cache->at, path + ".cache.ordered",
                    fmt::format("pool {} is of disks (kind: device), which have no place for a "
                                "journal beside a volume; use ordered: batch, or a pool in a "
                                "directory (kind: file).",
                                in_quotes(pool->first)));
    }
    if (pool->second.kind != Pool::Kind::memory) return;
    report_.error(volume.cache->at, path + ".cache",
                  fmt::format("pool {} is of kind memory: its volumes are new at each start, and "
                              "nothing that a cache keeps would be theirs; remove the cache.",
                              in_quotes(pool->first)));
  }

  void check_former_name(const Volume& volume, const std::string& path) {
    const std::string& was = volume.was.value;
    if (was.empty()) return;
    if (config_.volumes.contains(was)) {
      report_.error(volume.was.at, path + ".was",
                    fmt::format("volume {} is another one of this file; remove `was`, or that.",
                                in_quotes(was)));
    }
    const auto [other, fresh] = by_former_name_.emplace(was, volume.name);
    if (fresh) return;
    report_.error(volume.was.at, path + ".was",
                  fmt::format("volume {} was called so, too; remove `was` from one of them.",
                              in_quotes(other->second)));
  }

  void check_atomic(const Volume& volume, const std::string& path) {
    if (volume.atomic.value != Volume::Atomic::required) return;
    if (!volume.cache) {
      report_.error(volume.atomic.at, path + ".atomic",
                    "writes of several blocks are whole when power fails only through a cache; "
                    "give the volume one, or remove atomic.");
      return;
    }
    const VolumeCache::Mode mode = volume.cache->mode;
    if (mode != VolumeCache::Mode::write_around && mode != VolumeCache::Mode::pass_through) return;
    report_.error(
        volume.atomic.at, path + ".atomic",
        fmt::format("in mode {} writes go straight to the pool, where power failure may "
                    "tear them; take write-back or write-through, or remove atomic.",
                    mode == VolumeCache::Mode::write_around ? "write-around" : "pass-through"));
  }

  void check_subsystem(const Subsystem& subsystem) {
    const std::string path = join_path("subsystems", subsystem.nqn);
    for (std::size_t i = 0; i < subsystem.listeners.size(); ++i) {
      const std::string item = fmt::format("{}.listeners[{}]", path, i);
      const Listener* listener = find_listener(subsystem.listeners[i], Protocol::nvme_tcp, item);
      if (listener == nullptr) continue;
      if (listener->discovery == Discovery::only) {
        report_.error(subsystem.listeners[i].at, item,
                      fmt::format("listener {} serves discovery only; name another, or change its "
                                  "discovery to also.",
                                  in_quotes(listener->name)));
        continue;
      }
      warn_of_anybody(subsystem, *listener, path);
      warn_of_missing_keys(subsystem, *listener, path);
    }
    check_hosts(subsystem, path, nvme_words);
    check_exports(subsystem, subsystem.namespaces, path, nvme_words);
  }

  // Who has no key gets no further than the listener.
  void warn_of_missing_keys(const Subsystem& subsystem, const Listener& listener,
                            const std::string& path) {
    if (listener.nvme_tcp.tls != Tls::required) return;
    for (std::size_t i = 0; i < subsystem.hosts.size(); ++i) {
      const auto host = config_.hosts.find(subsystem.hosts[i].value);
      if (host == config_.hosts.end() || !host->second.tls_psk.empty()) continue;
      report_.warning(subsystem.hosts[i].at, fmt::format("{}.hosts[{}]", path, i),
                      fmt::format("has no tls_psk, and listener {} demands TLS; give the host a "
                                  "key.",
                                  in_quotes(listener.name)));
    }
  }

  void check_target(const Target& target) {
    const std::string path = join_path("targets", target.iqn);
    std::set<std::uint16_t> portal_groups;
    for (std::size_t i = 0; i < target.listeners.size(); ++i) {
      const std::string item = fmt::format("{}.listeners[{}]", path, i);
      const Listener* listener = find_listener(target.listeners[i], Protocol::iscsi, item);
      if (listener == nullptr) continue;
      if (!target.chap) warn_of_anybody(target, *listener, path);
      if (!portal_groups.insert(listener->portal_group).second ||
          portal_groups.size() != max_portal_groups + 1) {
        continue;
      }
      report_.error(target.listeners[i].at, item,
                    fmt::format("is of another portal group than {} before it, and a target has at "
                                "most so many; give listeners the same portal_group.",
                                max_portal_groups));
    }
    check_hosts(target, path, iscsi_words);
    check_exports(target, target.luns, path, iscsi_words);
  }

  static string_view name_of(Protocol protocol) {
    return protocol == Protocol::iscsi ? "iscsi" : "nvme-tcp";
  }

  // nullptr: it is not there, wrong in itself, or of another protocol, and reported.
  const Listener* find_listener(const Located<std::string>& name, Protocol protocol,
                                const std::string& path) {
    if (!listeners_.check(name, path, report_)) return nullptr;
    const auto found = config_.listeners.find(name.value);
    if (found == config_.listeners.end()) return nullptr;
    if (found->second.protocol == protocol) return &found->second;
    report_.error(
        name.at, path,
        fmt::format("listener {} is of protocol {}; name one of {}.", in_quotes(name.value),
                    name_of(found->second.protocol), name_of(protocol)));
    return nullptr;
  }

  void warn_of_anybody(const Access& access, const Listener& listener, const std::string& path) {
    const Located<IpAddress>& address = listener.address;
    if (!access.allow_any_host || address.at.line == 0 || !address.value.is_wildcard()) return;
    report_.warning(access.allow_any_host_at, path + ".allow_any_host",
                    fmt::format("on listener {} ({}) whoever reaches any address of this machine "
                                "may read and write; name the hosts, or give the listener one "
                                "address.",
                                in_quotes(listener.name), address.value.text));
  }

  void check_hosts(const Access& access, const std::string& path, const ExportWords& words) {
    for (std::size_t i = 0; i < access.hosts.size(); ++i) {
      const Located<std::string>& name = access.hosts[i];
      const std::string item = fmt::format("{}.hosts[{}]", path, i);
      if (hosts_.check(name, item, report_)) check_identity(name, item, words);
    }
  }

  void check_identity(const Located<std::string>& name, const std::string& path,
                      const ExportWords& words) {
    const auto host = config_.hosts.find(name.value);
    // One that has neither is wrong in itself.
    if (host == config_.hosts.end() || (host->second.nqn.empty() && host->second.iqn.empty()) ||
        !(host->second.*words.identity).empty()) {
      return;
    }
    report_.error(name.at, path,
                  fmt::format("host {} has no {}; add it to the host, or remove it here.",
                              in_quotes(name.value), words.identity_key));
  }

  void check_exports(const Access& access, const std::map<std::uint32_t, Export>& exports,
                     const std::string& owner_path, const ExportWords& words) {
    std::map<string_view, std::uint32_t> number_of_volume;
    for (const auto& [number, exported] : exports) {
      const std::string path = fmt::format("{}.{}.{}", owner_path, words.map, number);
      volumes_.check(exported.volume, path + ".volume", report_);
      const auto [other, fresh] = number_of_volume.emplace(exported.volume.value, number);
      if (!fresh && exported.volume.at.line != 0) {
        report_.error(exported.volume.at, path + ".volume",
                      fmt::format("volume {} is {} {} of this {} already; remove one.",
                                  in_quotes(exported.volume.value), words.number, other->second,
                                  words.owner));
      }
      if (exported.hosts) check_masking(access, *exported.hosts, path, words);
    }
  }

  // A host that a namespace or LUN names must also get into the subsystem or target.
  void check_masking(const Access& access, const std::vector<Located<std::string>>& hosts,
                     const std::string& path, const ExportWords& words) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      const std::string item = fmt::format("{}.hosts[{}]", path, i);
      if (hosts[i].at.line == 0 || !hosts_.check(hosts[i], item, report_)) continue;
      if (access.allow_any_host) {
        check_identity(hosts[i], item, words);
        continue;
      }
      if (std::ranges::count(access.hosts, hosts[i].value, &Located<std::string>::value) == 0) {
        report_.error(
            hosts[i].at, item,
            fmt::format("host {} may not connect to this {}; add it to the {}'s hosts, or "
                        "remove it here.",
                        in_quotes(hosts[i].value), words.owner, words.owner));
      }
    }
  }

  // Linux refuses the second namespace of the same identity, whatever subsystem it is in.
  void check_volumes_seen_twice() {
    struct Place {
      const Subsystem* subsystem;
      const Export* exported;
    };
    std::map<string_view, std::vector<Place>> by_volume;
    for (const auto& [nqn, subsystem] : config_.subsystems) {
      for (const auto& [nsid, exported] : subsystem.namespaces) {
        if (exported.volume.at.line == 0) continue;
        std::vector<Place>& others = by_volume[exported.volume.value];
        for (const Place& other : others) {
          if (other.subsystem == &subsystem) continue;
          if (!share_a_host(*other.subsystem, *other.exported, subsystem, exported)) continue;
          report_.warning(
              exported.volume.at,
              fmt::format("{}.namespaces.{}.volume", join_path("subsystems", nqn), nsid),
              fmt::format("volume {} is also NSID {} of {}; a host that connects to both ignores "
                          "the second. Export it once to each host.",
                          in_quotes(exported.volume.value), other.exported->number,
                          printable(other.subsystem->nqn)));
          break;
        }
        others.push_back({&subsystem, &exported});
      }
    }
  }

  static bool share_a_host(const Subsystem& a, const Export& in_a, const Subsystem& b,
                           const Export& in_b) {
    const auto names_of = [](const Subsystem& subsystem, const Export& exported) {
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
  std::map<std::string, std::string> by_former_name_;
  References hosts_;
};

}  // namespace

void validate(const Draft& draft, Report& report) { Validator(draft, report).run(); }

}  // namespace config
