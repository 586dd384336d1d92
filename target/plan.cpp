#include "target/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "config/renaming.h"
#include "config/report.h"
#include "config/values.h"
#include "target/host_effects.h"
#include "target/plan_warnings.h"

namespace target {
namespace {

using config::Change;
using config::Changed;
using config::Config;
using config::KeyChange;
using config::Part;

// "12.3 TiB": for people, of what is not in the file.
std::string about(engine::ByteCount bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes.value);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  return value < 10 && unit > 0 ? fmt::format("{:.1f} {}", value, units[unit])
                                : fmt::format("{:.0f} {}", value, units[unit]);
}

template <class Status>
const Status* named(const std::vector<Status>& all, const std::string& name) {
  const auto found = std::ranges::find(all, name, &Status::name);
  return found == all.end() ? nullptr : &*found;
}

template <class Map>
const typename Map::mapped_type* entry(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

class Planner {
 public:
  Planner(const Config& before, const Config& after, const Running& running,
          const std::map<std::string, std::string>& names, const PlanRequest& request)
      : before_(before), after_(after), running_(running), access_(request.access) {
    for (const auto& [from, to] : names) former_names_.emplace(to, from);
    plan_.file = after.file;
    plan_.file_hash = request.hash;
    plan_.running_hash = running.hash;
    plan_.applied_ms = running.applied_ms;
    plan_.applied_by = running.applied_by;
    for (const config::Message& message : request.messages) {
      (message.severity == config::Severity::error ? plan_.refusals : plan_.warnings)
          .push_back(message);
    }
  }

  Plan make(const std::vector<std::string>& disconnect,
            const std::set<config::SecretRef>& rotated) && {
    for (Change& change : config::diff(before_, after_)) judge(std::move(change));
    tell_of_rotated(rotated);
    check_space();
    plan_.hosts = host_effects(before_, after_, running_, access_);
    for (const HostEffect& host : plan_.hosts) {
      if (host.effect != Effect::needs_confirmation) continue;
      const bool is_named = std::ranges::any_of(disconnect, [&](const std::string& name) {
        return name == host.name || name == host.identity;
      });
      if (!is_named) plan_.unconfirmed.push_back(host.name);
    }
    for (config::Message& each : plan_warnings(before_, after_, running_)) {
      plan_.warnings.push_back(std::move(each));
    }
    std::ranges::stable_sort(plan_.refusals, {}, &config::Message::at);
    std::ranges::stable_sort(plan_.warnings, {}, &config::Message::at);
    return std::move(plan_);
  }

 private:
  void refuse(config::Position at, std::string path, std::string text) {
    const bool is_told = std::ranges::any_of(
        plan_.refusals, [&](const auto& one) { return one.path == path && one.at == at; });
    if (is_told) return;
    plan_.refusals.push_back({.file = after_.file,
                              .at = at,
                              .path = std::move(path),
                              .text = std::move(text),
                              .severity = config::Severity::error});
  }
  void judge(Change change) {
    PlannedChange planned{.change = std::move(change)};
    if (const auto* changed = std::get_if<Changed>(&planned.change.what)) {
      std::vector<std::string> said;
      for (const KeyChange& key : changed->keys) {
        if (is_renaming(planned.change.subject, key)) {
          said.push_back(fmt::format("renamed from {}; hosts keep their disk",
                                     former_names_.at(planned.change.subject.name)));
          planned.effect = std::max(planned.effect, effect_of(planned, key));
          continue;
        }
        said.push_back(key.before.empty() ? fmt::format("{}: {}", key.key, key.after)
                       : key.after.empty()
                           ? fmt::format("{}: no longer {}", key.key, key.before)
                           : fmt::format("{}: {} -> {}", key.key, key.before, key.after));
        planned.effect = std::max(planned.effect, effect_of(planned, key));
      }
      planned.what = fmt::format("{}", fmt::join(said, "; "));
    } else if (std::holds_alternative<config::Added>(planned.change.what)) {
      describe_addition(planned);
    } else {
      describe_removal(planned);
    }
    plan_.changes.push_back(std::move(planned));
  }

  [[nodiscard]] Effect effect_of(PlannedChange& planned, const KeyChange& key) {
    const Part part = planned.change.subject.part;
    const auto rule = rule_of(part, key.key);
    const auto refused = [&](std::string why) {
      refuse(key.at, config::join_path(planned.change.path, key.key), std::move(why));
      return Effect::refused;
    };
    if (!rule) return refused("cannot be changed while the daemon runs; restart it");
    const std::string& name = planned.change.subject.name;
    if (key.key == "uuid" && is_what_runs(part, name, key.after)) return Effect::live;
    if (part == Part::volume && key.key == "block_size" && keeps_blocks(planned, name)) {
      return Effect::live;
    }
    if (rule->effect == Effect::refused) {
      return refused(fmt::format("{}.", rule->reason));
    }
    std::string why;
    if (part == Part::volume && key.key == "size") why = why_not_size(name);
    if (part == Part::volume && key.key == "cache.device") why = why_not_device(planned, key, name);
    if (part == Part::volume && key.key == "was") why = why_not_named(key, name);
    if (part == Part::pool && key.key == "members") why = why_not_members(name);
    return why.empty() ? rule->effect : refused(std::move(why));
  }

  [[nodiscard]] bool is_renaming(const config::Subject& subject, const KeyChange& key) const {
    return subject.part == Part::volume && key.key == "was" && former_names_.contains(subject.name);
  }

  // What its pool has must be found by the next start.
  [[nodiscard]] std::string why_not_named(const KeyChange& key, const std::string& name) const {
    const auto* pool = named(running_.pools, after_.volumes.at(name).pool.value);
    if (pool == nullptr) return {};
    const auto* retained = named(pool->retained, name);
    if (former_names_.contains(name) && retained != nullptr) {
      return fmt::format(
          "pool {} retains another volume {} (UUID {}): rename or destroy that first.", pool->name,
          name, retained->uuid.text());
    }
    if (std::ranges::count(pool->renaming, name) == 0 || former_names_.contains(name)) return {};
    return fmt::format("pool {} calls it {} yet: keep the line until it does not.", pool->name,
                       key.before);
  }

  // A host's format has set them: what the file says of them is what the volume was made with.
  [[nodiscard]] bool keeps_blocks(PlannedChange& planned, const std::string& name) const {
    const auto* now = entry(running_.volumes, name);
    if (now == nullptr || !now->has_blocks_of_host) return false;
    planned.more.push_back(
        fmt::format("nothing changes: its blocks are of {} bytes, as a host's format has set them",
                    now->block_size.bytes));
    return true;
  }

  // A UUID that is written down, or not any more, and was that all along.
  [[nodiscard]] bool is_what_runs(Part part, const std::string& name,
                                  const std::string& uuid) const {
    if (uuid.empty()) return true;
    if (part == Part::pool) {
      const auto* pool = named(running_.pools, name);
      return pool != nullptr && pool->uuid.text() == uuid;
    }
    const auto* device = named(running_.caches, name);
    return device != nullptr && device->uuid.text() == uuid;
  }

  [[nodiscard]] std::string why_not_size(const std::string& name) const {
    const auto* now = entry(running_.volumes, name);
    const engine::ByteCount wanted = after_.volumes.at(name).size.value;
    const engine::ByteCount size = now == nullptr ? before_.volumes.at(name).size.value : now->size;
    if (wanted < size) {
      return fmt::format(
          "{} is smaller than the existing {}; shrinking is refused. (To serve less, make a new "
          "volume.)",
          config::size_text(wanted), config::size_text(size));
    }
    if (wanted == size) return {};
    const auto* pool = named(running_.pools, after_.volumes.at(name).pool.value);
    const bool is_thick = pool != nullptr && pool->kind == engine::PoolSpec::Kind::file &&
                          pool->provisioning == engine::Provisioning::thick;
    if (is_thick && wanted.value - size.value > pool->free.value) {
      return fmt::format("there is no space for {} more: {} are free on pool {}.",
                         about({wanted.value - size.value}), about(pool->free), pool->name);
    }
    return {};
  }

  [[nodiscard]] std::string why_not_device(PlannedChange& planned, const KeyChange& key,
                                           const std::string& name) const {
    const auto* now = entry(running_.volumes, name);
    const auto* cache = now == nullptr || !now->cache ? nullptr : &*now->cache;
    const std::string device = cache == nullptr ? std::string() : cache->device;
    if (device == key.after) return {};  // detached, or attached, before
    if (!key.after.empty() && !device.empty()) {
      return fmt::format(
          "the volume is served through {}: move it first (forebayctl detach {}, then forebayctl "
          "attach {} --cache {}), and apply this file afterwards.",
          device, name, name, key.after);
    }
    if (key.after.empty() && cache->dirty.value != 0) {
      return fmt::format(
          "removed, but {} holds {} dirty data; keep it with mode: write-through, reload, wait for "
          "\"clean\", then remove it (forebayctl drain {}).",
          device, about(cache->dirty), name);
    }
    planned.more.push_back(key.after.empty() ? "what is still dirty then is written back first"
                                             : "the cache begins empty");
    return {};
  }

  [[nodiscard]] std::string why_not_members(const std::string& name) const {
    const config::Pool& was = before_.pools.at(name);
    const config::Pool& is = after_.pools.at(name);
    std::set<std::string> old_ones;
    std::set<std::string> new_ones;
    for (const auto& member : was.members) old_ones.insert(member.value);
    for (const auto& member : is.members) new_ones.insert(member.value);
    if (!std::ranges::includes(new_ones, old_ones)) {
      return "a disk cannot be taken out of a pool: volumes lie on it.";
    }
    if (new_ones == old_ones || is.layout.value == config::Pool::Layout::linear) return {};
    return "only a linear pool takes more disks; make another pool of them.";
  }

  void describe_addition(PlannedChange& planned) {
    const auto& subject = planned.change.subject;
    switch (subject.part) {
      case Part::volume:
        return describe_new_volume(planned, after_.volumes.at(subject.name));
      case Part::space:
        planned.what =
            "->  " + after_.subsystems.at(subject.name).namespaces.at(subject.number).volume.value;
        break;
      case Part::lun:
        planned.what =
            "->  " + after_.targets.at(subject.name).luns.at(subject.number).volume.value;
        break;
      case Part::listener: {
        const auto& listener = after_.listeners.at(subject.name);
        planned.what =
            fmt::format("on {} port {}", listener.address.value.text, listener.port.value);
        return;
      }
      case Part::pool:
        planned.what = "opened";
        return;
      case Part::cache_device:
        planned.what = "opened, " + after_.cache_devices.at(subject.name).path.value;
        return;
      case Part::host:
      case Part::subsystem:
      case Part::target:
      case Part::settings:
        planned.what = "added";
        return;
    }
    planned.effect = Effect::notified;
  }

  void describe_new_volume(PlannedChange& planned, const config::Volume& volume) {
    const auto* pool = named(running_.pools, volume.pool.value);
    const engine::RetainedVolume* retained =
        pool == nullptr ? nullptr : named(pool->retained, volume.name);
    if (retained != nullptr) {
      planned.what = fmt::format("served again from pool {}, UUID {}: its data is as it was",
                                 volume.pool.value, retained->uuid.text());
    } else {
      planned.what = fmt::format("create {} on pool {}", config::size_text(volume.size.value),
                                 volume.pool.value);
      if (pool != nullptr) planned.what += fmt::format(" ({} free)", about(pool->free));
    }
    if (!volume.cache) return;
    const auto* mode_word = [&] {
      switch (volume.cache->mode) {
        case config::VolumeCache::Mode::write_back:
          return "write-back";
        case config::VolumeCache::Mode::write_through:
          return "write-through";
        case config::VolumeCache::Mode::write_around:
          return "write-around";
        case config::VolumeCache::Mode::pass_through:
          return "pass-through";
        case config::VolumeCache::Mode::read_only:
          return "read-only";
      }
      return "write-back";
    }();
    std::string cache = fmt::format("cache {} {}", volume.cache->device.value, mode_word);
    if (volume.cache->guaranteed) {
      cache += ", guaranteed " + config::size_text(volume.cache->guaranteed->value);
    }
    planned.more.push_back(std::move(cache));
  }

  void describe_removal(PlannedChange& planned) {
    const auto& subject = planned.change.subject;
    switch (subject.part) {
      case Part::volume: {
        planned.what = "not served any more; its data stays in pool " +
                       before_.volumes.at(subject.name).pool.value;
        const auto* now = entry(running_.volumes, subject.name);
        if (now != nullptr && now->cache && now->cache->dirty.value != 0) {
          planned.more.push_back(fmt::format("{} dirty data stays in {}, and keeps its space there",
                                             about(now->cache->dirty), now->cache->device));
        }
        return;
      }
      case Part::space:
      case Part::lun:
        planned.what = "removed";
        planned.effect = Effect::notified;
        return;
      case Part::pool:
      case Part::cache_device:
        planned.what = "closed";
        return;
      case Part::listener:
      case Part::host:
      case Part::subsystem:
      case Part::target:
      case Part::settings:
        planned.what = "removed";
        return;
    }
  }

  void tell_of_dhchap(const std::string& host, const config::Dhchap& dhchap,
                      const std::set<config::SecretRef>& rotated) {
    Changed changed;
    const auto look = [&](const config::Located<config::SecretRef>& ref, const char* key) {
      if (!rotated.contains(ref.value)) return;
      changed.keys.push_back(
          {.key = key, .before = "as read before", .after = "new content", .at = ref.at});
    };
    look(dhchap.keys.key, "dhchap.key");
    if (dhchap.keys.controller_key) look(*dhchap.keys.controller_key, "dhchap.controller_key");
    if (dhchap.previous) look(dhchap.previous->keys.key, "dhchap.previous.key");
    if (dhchap.previous && dhchap.previous->keys.controller_key) {
      look(*dhchap.previous->keys.controller_key, "dhchap.previous.controller_key");
    }
    if (changed.keys.empty()) return;
    const config::Subject subject{.part = Part::host, .name = host};
    judge({.subject = subject,
           .path = config::path_of(subject),
           .at = dhchap.at,
           .what = std::move(changed)});
  }

  // Entries that are as they were, but for what their secrets contain.
  void tell_of_rotated(const std::set<config::SecretRef>& rotated) {
    const auto tell = [&](Part part, const std::string& name, const std::string& prefix,
                          const std::optional<config::Chap>& chap) {
      if (!chap) return;
      Changed changed;
      const auto look = [&](const config::Located<config::SecretRef>& ref, const char* key) {
        if (!rotated.contains(ref.value)) return;
        changed.keys.push_back({.key = prefix + key,
                                .before = "as read before",
                                .after = "new content",
                                .at = ref.at});
      };
      look(chap->secret, ".secret");
      if (chap->mutual_secret) look(*chap->mutual_secret, ".mutual_secret");
      if (changed.keys.empty()) return;
      const config::Subject subject{.part = part, .name = name};
      judge({.subject = subject,
             .path = config::path_of(subject),
             .at = chap->at,
             .what = std::move(changed)});
    };
    for (const auto& [name, host] : after_.hosts) {
      if (!before_.hosts.contains(name)) continue;
      tell(Part::host, name, "chap", host.chap);
      tell_of_rotated_keys(host, rotated);
      if (host.dhchap) tell_of_dhchap(name, *host.dhchap, rotated);
    }
    for (const auto& [iqn, target] : after_.targets) {
      if (before_.targets.contains(iqn)) tell(Part::target, iqn, "chap", target.chap);
    }
    tell(Part::settings, {}, "iscsi.discovery_chap", after_.iscsi.discovery_chap);
  }

  void tell_of_rotated_keys(const config::Host& host, const std::set<config::SecretRef>& rotated) {
    Changed changed;
    const auto look = [&](const std::vector<config::Located<config::SecretRef>>& refs,
                          const char* key) {
      for (const auto& ref : refs) {
        if (!rotated.contains(ref.value)) continue;
        changed.keys.push_back(
            {.key = key, .before = "as read before", .after = "new content", .at = ref.at});
        return;
      }
    };
    look(host.tls_psk, "tls_psk");
    look(host.tls_psk_old, "tls_psk_old");
    if (changed.keys.empty()) return;
    const config::Subject subject{.part = Part::host, .name = host.name};
    judge({.subject = subject,
           .path = config::path_of(subject),
           .at = host.at,
           .what = std::move(changed)});
  }

  // Of new volumes that get their space at once; and none comes to a pool that is not there.
  void check_space() {
    std::map<std::string, std::uint64_t> needed;
    for (const auto& [name, volume] : after_.volumes) {
      if (before_.volumes.contains(name)) continue;
      const auto* pool = named(running_.pools, volume.pool.value);
      if (pool == nullptr) continue;
      if (!pool->open) {
        refuse(volume.at, config::join_path("volumes", name),
               fmt::format("pool {} is not there ({}); add its volumes when it is.", pool->name,
                           pool->reason));
        continue;
      }
      if (pool->kind != engine::PoolSpec::Kind::file) continue;
      const auto& wish = after_.pools.at(volume.pool.value);
      if (wish.provisioning.value != config::Pool::Provisioning::thick) continue;
      if (named(pool->retained, name) != nullptr) continue;
      std::uint64_t& sum = needed[pool->name];
      sum += volume.size.value.value;
      if (sum <= pool->free.value) continue;
      refuse(volume.size.at, config::join_path("volumes", name) + ".size",
             fmt::format("there is no space for it: {} are free on pool {}.", about(pool->free),
                         pool->name));
    }
  }

  const Config& before_;
  const Config& after_;
  const Running& running_;
  const AccessStates& access_;                       // afterwards
  std::map<std::string, std::string> former_names_;  // of volumes that are renamed
  Plan plan_;
};

}  // namespace

const char* text(Effect effect) {
  switch (effect) {
    case Effect::live:
      return "live";
    case Effect::notified:
      return "notified";
    case Effect::drains:
      return "drains";
    case Effect::reconnects:
      return "reconnects";
    case Effect::needs_confirmation:
      return "needs-confirmation";
    case Effect::refused:
      return "refused";
  }
  return "refused";
}

const char* text(PlanResult result) {
  switch (result) {
    case PlanResult::nothing_to_do:
      return "nothing-to-do";
    case PlanResult::refused:
      return "refused";
    case PlanResult::changes:
      return "changes";
    case PlanResult::needs_confirmation:
      return "needs-confirmation";
  }
  return "refused";
}

PlanResult Plan::result() const {
  if (!refusals.empty()) return PlanResult::refused;
  if (changes.empty() && !drops_access()) return PlanResult::nothing_to_do;
  return unconfirmed.empty() ? PlanResult::changes : PlanResult::needs_confirmation;
}

bool Plan::drops_access() const {
  return drops_overrides && std::ranges::any_of(overrides, [](const Override& one) {
           return one.kind == Override::Kind::access;
         });
}

bool Plan::is_done() const {
  return outcome == Outcome::applied ||
         (outcome == Outcome::planned && result() == PlanResult::nothing_to_do);
}

std::string Plan::why_not() const {
  if (!failure.empty()) return failure;
  if (!refusals.empty()) {
    const std::size_t more = refusals.size() - 1;
    return config::format(refusals.front()) +
           (more == 0 ? "" : fmt::format(" (and {} more)", more));
  }
  if (result() != PlanResult::needs_confirmation) return {};
  return fmt::format("{} would lose a disk; apply it with --disconnect",
                     fmt::join(unconfirmed, ", "));
}

Plan make_plan(const Config& before, const Config& after, const Running& running,
               const PlanRequest& request) {
  const auto names = config::renamed_volumes(before, after);
  Running called = running;  // as the file calls it
  for (const auto& [from, to] : names) {
    auto volume = called.volumes.extract(from);
    if (volume.empty()) continue;
    volume.key() = to;
    called.volumes.insert(std::move(volume));
  }
  return Planner(config::renamed(before, names), after, called, names, request)
      .make(request.disconnect, request.rotated);
}

}  // namespace target
