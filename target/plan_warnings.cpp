#include "target/plan_warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "config/report.h"
#include "config/values.h"

namespace target {
namespace {

using config::Config;

class PlanWarnings {
 public:
  PlanWarnings(const Config& before, const Config& after, const Running& running)
      : before_(before), after_(after), running_(running) {}

  std::vector<config::Message> make() && {
    warn_of_shared_volumes();
    warn_of_other_blocks();
    warn_of_single_paths();
    warn_of_plain_chap();
    return std::move(warnings_);
  }

 private:
  void warn(config::Position at, std::string path, std::string text) {
    warnings_.push_back({.file = after_.file,
                         .at = at,
                         .path = std::move(path),
                         .text = std::move(text),
                         .severity = config::Severity::warning});
  }

  // Host names that see each volume; "*" stands for any host.
  [[nodiscard]] static std::map<std::string, std::set<std::string>> hosts_by_volume(
      const Config& config) {
    std::map<std::string, std::set<std::string>> all;
    const auto add = [&](const config::Access& access,
                         const std::map<std::uint32_t, config::Export>& exports) {
      for (const auto& [number, exported] : exports) {
        auto& hosts = all[exported.volume.value];
        if (!exported.hosts && access.allow_any_host) hosts.insert("*");
        for (const auto& host : exported.hosts ? *exported.hosts : access.hosts) {
          hosts.insert(host.value);
        }
      }
    };
    for (const auto& [nqn, subsystem] : config.subsystems) add(subsystem, subsystem.namespaces);
    for (const auto& [iqn, target] : config.targets) add(target, target.luns);
    return all;
  }

  // Only where that is new: who runs a cluster knows by now.
  void warn_of_shared_volumes() {
    const auto was = hosts_by_volume(before_);
    for (const auto& [name, hosts] : hosts_by_volume(after_)) {
      if (hosts.size() < 2) continue;
      const auto old = was.find(name);
      if (old != was.end() && old->second == hosts) continue;
      const auto now = running_.volumes.find(name);
      if (now != running_.volumes.end() && now->second.is_reserved) continue;
      warn(after_.volumes.at(name).at, config::join_path("volumes", name),
           fmt::format("is open to {} hosts and none of them holds a reservation; use a cluster "
                       "file system, or give the namespace or LUN `hosts: [...]`.",
                       hosts.size()));
    }
  }

  void warn_of_single_paths() {
    const auto check = [&](const auto& owners, const auto& old_ones, const char* section) {
      for (const auto& [name, owner] : owners) {
        if (owner.listeners.size() != 1) continue;
        const auto old = old_ones.find(name);
        if (old != old_ones.end() && old->second.listeners.size() == 1) continue;
        warn(owner.at, config::join_path(section, name),
             "is reached by one path only: a cable, a switch or an interface that fails takes the "
             "disks from its hosts; give it a second listener.");
      }
    };
    check(after_.subsystems, before_.subsystems, "subsystems");
    check(after_.targets, before_.targets, "targets");
  }

  void warn_of_plain_chap() {
    const auto uses_chap = [](const Config& config, const config::Target& target) {
      return target.chap || std::ranges::any_of(target.hosts, [&](const auto& host) {
               return config.hosts.at(host.value).chap.has_value();
             });
    };
    for (const auto& [iqn, target] : after_.targets) {
      if (!uses_chap(after_, target)) continue;
      const auto old = before_.targets.find(iqn);
      if (old != before_.targets.end() && uses_chap(before_, old->second)) continue;
      const bool is_remote = std::ranges::any_of(target.listeners, [&](const auto& listener) {
        return !after_.listeners.at(listener.value).address.value.is_loopback();
      });
      if (!is_remote) continue;
      warn(
          target.at, config::join_path("targets", iqn),
          "CHAP proves who a host is, but nothing hides the data on the way, nor keeps others from "
          "changing it; use a network of its own.");
    }
  }

  void warn_of_other_blocks() {
    for (const auto& [name, volume] : after_.volumes) {
      const auto now = running_.volumes.find(name);
      if (now == running_.volumes.end() || !now->second.has_blocks_of_host) continue;
      if (now->second.block_size == volume.block_size.value) continue;
      const bool is_written = volume.block_size.at.line != 0;
      warn(is_written ? volume.block_size.at : volume.at,
           config::join_path("volumes", name) + ".block_size",
           fmt::format("{} does not count any more: its blocks are of {} bytes, as a host's format "
                       "has set them, and stay so.",
                       volume.block_size.value.bytes, now->second.block_size.bytes));
    }
  }

  const Config& before_;
  const Config& after_;
  const Running& running_;
  std::vector<config::Message> warnings_;
};

}  // namespace

std::vector<config::Message> plan_warnings(const Config& before, const Config& after,
                                           const Running& running) {
  return PlanWarnings(before, after, running).make();
}

}  // namespace target
