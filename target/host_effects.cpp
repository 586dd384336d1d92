#include "target/host_effects.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "config/values.h"
#include "target/block/atomic_writes.h"
#include "target/net/ip_network.h"

namespace target {
namespace {

using config::Config;
using config::Protocol;
using Names = std::set<std::string>;
// What a host sees of one subsystem or target: the volume of each NSID or LUN.
using Disks = std::map<std::uint32_t, std::string>;

// An NVMe controller or an iSCSI session.
struct Association {
  Protocol protocol = Protocol::nvme_tcp;
  std::string identity;
  std::string owner;  // subsystem or target; empty: discovery
  std::string listener;
  std::string peer;
  std::size_t queues = 0;  // connections
};

// A subsystem or target of one configuration.
struct Owner {
  const config::Access* access = nullptr;
  const std::vector<config::Located<std::string>>* listeners = nullptr;
  const std::map<std::uint32_t, config::Export>* exports = nullptr;
};

std::optional<Owner> owner_in(const Config& config, Protocol protocol, const std::string& name) {
  if (protocol == Protocol::nvme_tcp) {
    const auto found = config.subsystems.find(name);
    if (found == config.subsystems.end()) return std::nullopt;
    return Owner{&found->second, &found->second.listeners, &found->second.namespaces};
  }
  const auto found = config.targets.find(name);
  if (found == config.targets.end()) return std::nullopt;
  return Owner{&found->second, &found->second.listeners, &found->second.luns};
}

const std::string& identity_of(const config::Host& host, Protocol protocol) {
  return protocol == Protocol::nvme_tcp ? host.nqn : host.iqn;
}

bool names_host(const Config& config, const std::vector<config::Located<std::string>>& names,
                const Association& who) {
  return std::ranges::any_of(names, [&](const auto& name) {
    return identity_of(config.hosts.at(name.value), who.protocol) == who.identity;
  });
}

bool is_admitted(const Config& config, const Owner& owner, const Association& who) {
  return owner.access->allow_any_host || names_host(config, owner.access->hosts, who);
}

Disks disks_of(const Config& config, const Owner& owner, const Association& who) {
  Disks disks;
  for (const auto& [number, exported] : *owner.exports) {
    if (exported.hosts && !names_host(config, *exported.hosts, who)) continue;
    disks.emplace(number, exported.volume.value);
  }
  return disks;
}

bool is_listed(const std::vector<config::Located<std::string>>& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const auto& one) { return one.value == name; });
}

bool comes_from_forbidden_network(const Config& config, const Association& who) {
  if (who.protocol != Protocol::iscsi) return false;
  const auto from = IpAddress::of_endpoint(who.peer);
  for (const auto& [name, host] : config.hosts) {
    if (host.iqn != who.identity || host.networks.empty()) continue;
    return !from || std::ranges::none_of(host.networks, [&](const config::IpNetwork& network) {
      const auto parsed = IpNetwork::parse(network.text);
      return parsed && parsed->contains(*from);
    });
  }
  return false;
}

constexpr std::chrono::minutes in_use_within{1};

struct Fate {
  enum class Kind : std::uint8_t { stays, comes_back, ends };
  Kind kind = Kind::stays;
  std::string why{};
};

bool has_moved(const config::Listener& before, const config::Listener& after) {
  return before.protocol != after.protocol || before.address.value != after.address.value ||
         before.port.value != after.port.value;
}

// Its connections must be made anew, although it is where it was.
bool begins_anew(const config::Listener& before, const config::Listener& after) {
  if (before.protocol == Protocol::iscsi) return before.portal_group != after.portal_group;
  return before.nvme_tcp.in_capsule_data != after.nvme_tcp.in_capsule_data;
}

bool begins_anew(const config::Subsystem& before, const config::Subsystem& after) {
  return before.cntlid_min != after.cntlid_min || before.cntlid_max != after.cntlid_max ||
         before.max_io_queues != after.max_io_queues ||
         before.max_queue_depth != after.max_queue_depth || before.mdts != after.mdts;
}

Fate fate_of_listener(const Config& before, const Config& after, const std::string& name) {
  const auto was = before.listeners.find(name);
  const auto is = after.listeners.find(name);
  if (is == after.listeners.end()) return {Fate::Kind::ends, "listener " + name + " is removed"};
  if (was == before.listeners.end()) return {};
  if (has_moved(was->second, is->second)) {
    return {Fate::Kind::ends, fmt::format("listener {} moves to {} port {}", name,
                                          is->second.address.value.text, is->second.port.value)};
  }
  if (!begins_anew(was->second, is->second)) return {};
  return {Fate::Kind::comes_back, "listener " + name + " begins anew"};
}

Fate fate_of(const Config& before, const Config& after, const Association& who) {
  const auto owner = owner_in(after, who.protocol, who.owner);
  if (!owner) return {Fate::Kind::ends, who.owner + " is removed"};
  Fate fate = fate_of_listener(before, after, who.listener);
  if (fate.kind == Fate::Kind::ends) return fate;
  if (!is_listed(*owner->listeners, who.listener)) {
    return {Fate::Kind::ends, who.owner + " is not reached through " + who.listener + " any more"};
  }
  if (!is_admitted(after, *owner, who)) return {Fate::Kind::ends, "removed from " + who.owner};
  if (comes_from_forbidden_network(after, who)) {
    return {Fate::Kind::ends, "it may not come from " + who.peer + " any more"};
  }
  if (who.protocol == Protocol::nvme_tcp && before.subsystems.contains(who.owner) &&
      begins_anew(before.subsystems.at(who.owner), after.subsystems.at(who.owner))) {
    return {Fate::Kind::comes_back, who.owner + " begins anew with other limits"};
  }
  return fate;
}

// What a volume that stays looks like to a host before and after.
struct VolumeNews {
  std::optional<engine::ByteCount> size{};  // it grows to that
  bool protection = false;                  // read-only or not
  bool atomicity = false;                   // what it writes at once
  bool formats = false;                     // NVMe: what it may be formatted with
  bool physical_block = false;              // and what a host takes for its physical block
  bool is_read_only = false;
};

bool goes_past_cache(const config::Volume& volume) {
  return !volume.cache || volume.cache->mode == config::VolumeCache::Mode::write_around ||
         volume.cache->mode == config::VolumeCache::Mode::pass_through;
}

VolumeNews news_of(const Config& before, const Config& after, const Running& running,
                   const std::string& name) {
  VolumeNews news;
  const auto was = before.volumes.find(name);
  const auto is = after.volumes.find(name);
  if (was == before.volumes.end() || is == after.volumes.end()) return news;
  const auto now = running.volumes.find(name);
  if (now != running.volumes.end() && is->second.size.value > now->second.size &&
      is->second.size.value != was->second.size.value) {
    news.size = is->second.size.value;
  }
  news.formats = was->second.allow_format != is->second.allow_format &&
                 now != running.volumes.end() && now->second.takes_other_blocks;
  const auto reads_only = [](const config::Volume& volume) {
    return volume.cache && volume.cache->mode == config::VolumeCache::Mode::read_only;
  };
  news.is_read_only = reads_only(is->second);
  news.protection = reads_only(was->second) != news.is_read_only;
  const bool goes_past = goes_past_cache(is->second);
  if (goes_past == goes_past_cache(was->second)) return news;
  const auto& cache = goes_past ? was->second.cache : is->second.cache;
  const auto device =
      std::ranges::find(running.caches, cache->device.value, &engine::CacheStatus::name);
  // Without the promise of a cache that outlives a power loss it is that of the disk in any case.
  news.atomicity =
      device == running.caches.end() || !device->open || device->guarantee.survives_power_loss();
  if (!news.atomicity || now == running.volumes.end() || !now->second.cache) return news;
  const engine::BlockSize block{is->second.block_size.value};
  const block::AtomicWrites by_itself{.bytes = now->second.cache->backing_atomic_bytes};
  news.physical_block = by_itself.physical_block_bytes(block) != block::preferred_granularity_bytes;
  return news;
}

// Of a target's ports, each the worst of its listeners; those that are optimized are not there.
std::map<std::uint16_t, block::AccessState> port_states_of(const Config& config,
                                                           const std::string& target,
                                                           const AccessStates& access) {
  std::map<std::uint16_t, block::AccessState> states;
  for (const auto& name : config.targets.at(target).listeners) {
    const config::Listener& listener = config.listeners.at(name.value);
    const auto state = access.of(listener);
    if (state == block::AccessState::optimized) continue;
    auto& of_port =
        states.try_emplace(listener.portal_group, block::AccessState::optimized).first->second;
    of_port = block::worse_of(of_port, state);
  }
  return states;
}

// One host, put together from its associations.
class Told {
 public:
  Told(const Config& before, const Config& after, const Running& running,
       const AccessStates& access)
      : before_(before), after_(after), running_(running), access_(access) {}

  void meet(const Association& who) {
    ++all_;
    const auto owner = owner_in(before_, who.protocol, who.owner);
    const Disks had = owner ? disks_of(before_, *owner, who) : Disks{};
    for (const auto& [number, volume] : had) had_.insert(volume);
    const Fate fate = fate_of(before_, after_, who);
    if (fate.kind != Fate::Kind::stays) {
      events_.connections_end = true;
      Group& group = fate.kind == Fate::Kind::ends ? ended_ : coming_back_;
      ++group.associations;
      group.queues += who.queues;
      group.reasons.insert(fate.why);
    }
    is_iscsi_ = who.protocol == Protocol::iscsi;
    if (fate.kind == Fate::Kind::ends) return;
    const Disks has = disks_of(after_, *owner_in(after_, who.protocol, who.owner), who);
    for (const auto& [number, volume] : has) has_.insert(volume);
    if (fate.kind != Fate::Kind::stays) return;
    compare(who, had, has);
    compare_access(who);
  }

  void discover() {
    events_.discovery_log = true;
    say("AEN \"discovery log page changed\"");
  }

  void put_into(HostEffect& host) && {
    std::ranges::set_difference(had_, has_, std::back_inserter(host.lost_volumes));
    std::vector<std::string> sentences;
    if (ended_.associations != 0) sentences.push_back(end_sentence());
    if (coming_back_.associations != 0) {
      sentences.push_back(fmt::format("reconnects: {} of {} ({})", counted(coming_back_), all_,
                                      fmt::join(coming_back_.reasons, "; ")));
      host.pause = "about 10 s";
      host.effect = Effect::reconnects;
    }
    for (const std::string& volume : host.lost_volumes) host.uses.push_back(use_of(volume));
    if (!host.lost_volumes.empty()) {
      host.pause = "permanent";
      host.effect = Effect::needs_confirmation;
    }
    sentences.insert(sentences.end(), sentences_.begin(), sentences_.end());
    host.sentences = std::move(sentences);
    host.events = events_;
    if (host.effect == Effect::live && events_.any()) host.effect = Effect::notified;
  }

 private:
  struct Group {
    std::size_t associations = 0;
    std::size_t queues = 0;
    Names reasons;
  };

  // "db01 is in use: last write less than a second ago, 37 commands in flight".
  [[nodiscard]] std::string use_of(const std::string& name) const {
    const auto now = running_.volumes.find(name);
    if (now == running_.volumes.end()) return name + " is not served just now";
    const auto& last = now->second.since_last_write;
    const std::uint64_t commands = now->second.commands_in_flight;
    const std::string flight =
        commands == 0 ? "nothing in flight"
                      : fmt::format("{} command{} in flight", commands, commands == 1 ? "" : "s");
    const bool is_in_use = commands != 0 || (last && *last < in_use_within);
    return fmt::format("{}{} {}, {}", name, is_in_use ? " is in use:" : ":", write_text(last),
                       flight);
  }

  static std::string write_text(const std::optional<engine::Duration>& last) {
    if (!last) return "not written to since it is served";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*last).count();
    if (seconds < 2) return "last write less than 2 s ago";
    if (seconds < 120) return fmt::format("last write {} s ago", seconds);
    if (seconds < 2 * 3600) return fmt::format("last write {} min ago", seconds / 60);
    return fmt::format("last write {} h ago", seconds / 3600);
  }

  [[nodiscard]] std::string counted(const Group& group) const {
    const bool one = group.associations == 1;
    if (is_iscsi_) return fmt::format("{} session{}", group.associations, one ? "" : "s");
    return fmt::format("{} controller{}, {} queues", group.associations, one ? "" : "s",
                       group.queues);
  }

  [[nodiscard]] std::string end_sentence() const {
    const std::string why = fmt::format("{}", fmt::join(ended_.reasons, "; "));
    if (!has_.empty()) {
      return fmt::format("loses {} of {} ({}); its other paths go on", counted(ended_), all_, why);
    }
    return fmt::format(
        "DISCONNECTED: {} ({}); commands in flight are finished or cancelled first; {}, so the "
        "host removes its disks",
        counted(ended_), why, is_iscsi_ ? "logins are refused" : "reconnects are refused (DNR)");
  }

  void compare(const Association& who, const Disks& had, const Disks& has) {
    const bool is_nvme = who.protocol == Protocol::nvme_tcp;
    const std::string notice =
        is_nvme ? "AEN \"namespace attribute changed\": " : "unit attention: ";
    const auto disk = [&](std::uint32_t number, const std::string& volume) {
      return fmt::format("{} {} ({})", is_nvme ? "namespace" : "LUN", number, volume);
    };
    bool inventory = false;
    for (const auto& [number, volume] : had) {
      const auto now = has.find(number);
      if (now != has.end() && now->second == volume) continue;
      inventory = true;
      say(notice + disk(number, volume) + " disappears");
    }
    for (const auto& [number, volume] : has) {
      const auto old = had.find(number);
      if (old != had.end() && old->second == volume) {
        compare_volume(is_nvme, notice, disk(number, volume), volume);
        continue;
      }
      inventory = true;
      say(notice + disk(number, volume) + " appears");
    }
    if (is_nvme) {
      events_.namespace_attributes |= inventory;
    } else {
      events_.luns_changed |= inventory;
    }
  }

  void compare_volume(bool is_nvme, const std::string& notice, const std::string& disk,
                      const std::string& volume) {
    const VolumeNews news = news_of(before_, after_, running_, volume);
    if (news.size) {
      say(notice + disk + " grows to " + config::size_text(*news.size));
      (is_nvme ? events_.namespace_attributes : events_.capacity_changed) = true;
    }
    const bool is_news = news.protection || news.atomicity || (is_nvme && news.formats);
    if (!is_news) return;
    say(notice + disk + (news.is_read_only ? " becomes read-only" : " has other attributes"));
    if (is_nvme) {
      events_.namespace_attributes = true;
      return;
    }
    events_.mode_changed |= news.protection;
    events_.inquiry_changed |= news.atomicity;
    events_.capacity_changed |= news.physical_block;
  }

  void compare_access(const Association& who) {
    if (who.protocol == Protocol::nvme_tcp) {
      const auto state = access_.of(after_.listeners.at(who.listener));
      if (state == running_.access.of(before_.listeners.at(who.listener))) return;
      events_.ana = true;
      say(fmt::format("AEN \"asymmetric namespace access changed\": {} becomes {}", who.listener,
                      text(state)));
      return;
    }
    if (port_states_of(before_, who.owner, running_.access) ==
        port_states_of(after_, who.owner, access_)) {
      return;
    }
    events_.access_changed = true;
    say("unit attention: asymmetric access state changed");
  }

  void say(std::string sentence) {
    if (std::ranges::find(sentences_, sentence) == sentences_.end()) {
      sentences_.push_back(std::move(sentence));
    }
  }

  const Config& before_;
  const Config& after_;
  const Running& running_;
  const AccessStates& access_;  // afterwards
  std::size_t all_ = 0;
  bool is_iscsi_ = false;
  Group ended_;
  Group coming_back_;
  Names had_;
  Names has_;
  std::vector<std::string> sentences_;
  HostEffect::Events events_;
};

// What the discovery log shows a host, one line for each entry.
Names discovery_log_of(const Config& config, const Association& who) {
  Names entries;
  const auto at = [](const config::Listener& listener) {
    return fmt::format("{} {} {}", listener.name, listener.address.value.text, listener.port.value);
  };
  for (const auto& [name, listener] : config.listeners) {
    if (listener.protocol != Protocol::nvme_tcp) continue;
    if (listener.discovery != config::Discovery::none) entries.insert(at(listener));
  }
  for (const auto& [nqn, subsystem] : config.subsystems) {
    const Owner owner{&subsystem, &subsystem.listeners, &subsystem.namespaces};
    if (!is_admitted(config, owner, who)) continue;
    for (const auto& name : subsystem.listeners) {
      entries.insert(nqn + " " + at(config.listeners.at(name.value)));
    }
  }
  return entries;
}

std::string name_of(const Config& before, const Config& after, Protocol protocol,
                    const std::string& identity) {
  for (const Config* config : {&after, &before}) {
    for (const auto& [name, host] : config->hosts) {
      if (identity_of(host, protocol) == identity) return name;
    }
  }
  return identity;
}

std::vector<Association> associations_of(const Running& running) {
  std::vector<Association> all;
  for (const auto& controller : running.nvmf.controllers) {
    all.push_back({.protocol = Protocol::nvme_tcp,
                   .identity = controller.host_nqn,
                   .owner = controller.discovery ? std::string() : controller.subsystem_nqn,
                   .listener = controller.listener,
                   .peer = {},
                   .queues = controller.queues.size()});
  }
  for (const auto& session : running.iscsi.sessions) {
    all.push_back({.protocol = Protocol::iscsi,
                   .identity = session.initiator_name,
                   .owner = session.target_name,
                   .listener = session.listener,
                   .peer = session.peer_address,
                   .queues = 1});
  }
  return all;
}

}  // namespace

std::vector<HostEffect> host_effects(const Config& before, const Config& after,
                                     const Running& running, const AccessStates& access) {
  std::map<std::pair<std::string, std::string>, Told> told;  // by name and identity
  for (const Association& who : associations_of(running)) {
    const auto name = name_of(before, after, who.protocol, who.identity);
    Told& host =
        told.try_emplace({name, who.identity}, before, after, running, access).first->second;
    if (!who.owner.empty()) {
      host.meet(who);
    } else if (who.protocol == Protocol::nvme_tcp &&
               fate_of_listener(before, after, who.listener).kind == Fate::Kind::stays &&
               discovery_log_of(before, who) != discovery_log_of(after, who)) {
      host.discover();
    }
  }
  std::vector<HostEffect> effects;
  for (auto& [key, host] : told) {
    HostEffect effect{.name = key.first, .identity = key.second};
    std::move(host).put_into(effect);
    effects.push_back(std::move(effect));
  }
  return effects;
}

}  // namespace target
