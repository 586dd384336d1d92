#include "target/reconfiguration.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "config/renaming.h"
#include "target/reactor/log.h"

namespace target {
namespace {

using config::Added;
using config::Change;
using config::Changed;
using config::Part;
using config::Removed;

// For one thing that the engine does; a disk that takes longer is late.
constexpr std::chrono::seconds engine_patience{30};
// A cache that has much of a volume takes its time to read its log.
constexpr std::chrono::seconds open_patience{60};
constexpr std::chrono::milliseconds look_period{50};

template <class Spec>
const Spec& spec_named(const std::vector<Spec>& specs, const std::string& name) {
  return *std::ranges::find(specs, name, &Spec::name);
}

template <class Status>
std::string reason_of(const std::vector<Status>& all, const std::string& name) {
  const auto found = std::ranges::find(all, name, &Status::name);
  if (found == all.end()) return "it is not there";
  if (found->open) return {};
  return found->reason.empty() ? "it is not open yet" : found->reason;
}

// Of one that is served, empty.
std::string why_not_there(const engine::Volume& volume) {
  const auto now = volume.condition();
  const bool is_there =
      now.state == engine::VolumeState::online || now.state == engine::VolumeState::degraded;
  if (is_there) return {};
  return now.reason.empty() ? "its disk has not answered yet" : now.reason;
}

bool has_key(const Change& change, std::string_view key) {
  const auto& keys = std::get<Changed>(change.what).keys;
  return std::ranges::any_of(keys, [&](const auto& one) { return one.key.starts_with(key); });
}

// Of a listener: its socket, and what connections of it are told.
bool concerns_socket(const Change& change) {
  const auto& keys = std::get<Changed>(change.what).keys;
  return std::ranges::any_of(
      keys, [](const auto& one) { return one.key != "discovery" && one.key != "portal_group"; });
}

std::optional<engine::VolumeCacheSpec> cache_spec_of(const config::Config& config,
                                                     const std::string& name) {
  return spec_named(volume_specs(config), name).cache;
}

LoadedConfig called(LoadedConfig side, const std::map<std::string, std::string>& names) {
  if (names.empty()) return side;
  side.config = std::make_shared<const config::Config>(config::renamed(*side.config, names));
  return side;
}

}  // namespace

Reconfiguration::Reconfiguration(Served& served, LoadedConfig from, LoadedConfig to,
                                 const std::atomic<bool>& stopping)
    : served_(served),
      before_(std::move(from)),
      names_(config::renamed_volumes(*before_.config, *to.config)),
      from_(called(before_, names_)),
      to_(std::move(to)),
      stopping_(stopping),
      changes_(config::diff(*from_.config, *to_.config)) {}

Reconfiguration::Outcome Reconfiguration::carry_out(const std::function<Outcome()>& keep) {
  auto done = run();
  if (done && keep) done = keep();
  if (done) return done;
  return done.error() + go_back();
}

Reconfiguration::Outcome Reconfiguration::run() {
  TRY(rename_volumes());
  TRY(add_caches());
  TRY(add_pools());
  TRY(set_pool_spaces());
  TRY(add_volumes());
  TRY(set_volume_caches());
  TRY(detach_volumes());
  TRY(change_what_hosts_see());
  TRY(grow_volumes());
  TRY(remove_volumes());
  TRY(remove_pools());
  return remove_caches();
}

std::string Reconfiguration::go_back() {
  std::string trouble;
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    const auto undone = undo->act();
    if (undone) continue;
    trouble += fmt::format("; and {} could not be undone: {}", undo->what, undone.error());
  }
  undo_.clear();
  return trouble;
}

void Reconfiguration::can_undo(std::string what, std::function<Outcome()> act) {
  undo_.push_back({std::move(what), std::move(act)});
}

template <class What>
Reconfiguration::Outcome Reconfiguration::for_each(
    Part part, const std::function<Outcome(const Change&)>& each) {
  for (const Change& change : changes_) {
    if (change.subject.part != part || !std::holds_alternative<What>(change.what)) continue;
    if (auto done = each(change); !done) {
      return fmt::format("{}: {}", change.path, done.error());
    }
  }
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::await(
    const std::function<void(engine::Engine::Done)>& begin) const {
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Outcome> outcome;  // guarded by mutex
  };
  // Shared: what is late may come when nobody waits any more.
  const auto wait = std::make_shared<Wait>();
  begin([wait](const Outcome& outcome) {
    const std::lock_guard lock(wait->mutex);
    wait->outcome = outcome;
    wait->changed.notify_all();
  });
  const auto deadline = std::chrono::steady_clock::now() + engine_patience;
  std::unique_lock lock(wait->mutex);
  while (!wait->outcome && !stopping_ && std::chrono::steady_clock::now() < deadline) {
    wait->changed.wait_for(lock, look_period);
  }
  if (wait->outcome) return *wait->outcome;
  if (stopping_) return "the daemon is ending";
  return "a disk has not answered yet; it may still be done";
}

std::string Reconfiguration::await_open(const std::function<std::string()>& reason) const {
  const auto deadline = std::chrono::steady_clock::now() + open_patience;
  while (true) {
    // In this order: what settle() has waited for is seen afterwards.
    const bool is_settled = served_.engine.settle(look_period);
    std::string why = reason();
    const bool is_over = is_settled || stopping_ || std::chrono::steady_clock::now() >= deadline;
    if (why.empty() || is_over) return why;
  }
}

// First: from here on everything is called as the new configuration has it.
Reconfiguration::Outcome Reconfiguration::rename_volumes() {
  if (names_.empty()) return engine::success();
  can_undo("the names of volumes", [this] {
    served_.on_control([this] { served_.take_config(before_); });
    return engine::success();
  });
  for (const auto& [from, to] : names_) {
    TRY(rename_volume(from, to));
    const std::string before = from;
    const std::string now = to;
    can_undo("the name of volume " + from,
             [this, before, now] { return rename_volume(now, before); });
  }
  served_.on_control([this] { served_.take_config(from_); });
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::rename_volume(const std::string& from,
                                                        const std::string& to) {
  TRY(await([&](auto done) { served_.engine.rename_volume(from, to, std::move(done)); }));
  served_.on_control([&] {
    auto volume = served_.volumes.extract(from);
    if (volume.empty()) return;
    volume.key() = to;
    served_.volumes.insert(std::move(volume));
  });
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::add_caches() {
  const auto specs = cache_specs(*to_.config);
  TRY(for_each<Added>(Part::cache_device, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(served_.engine.add_cache(spec_named(specs, name)));
    can_undo("cache device " + name, [this, name] {
      return await([&](auto done) { served_.engine.remove_cache(name, std::move(done)); });
    });
    return engine::success();
  }));
  return for_each<Added>(Part::cache_device, [&](const Change& change) -> Outcome {
    const std::string why =
        await_open([&] { return reason_of(served_.engine.caches(), change.subject.name); });
    if (!why.empty()) return why;
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::add_pools() {
  const auto specs = pool_specs(*to_.config);
  TRY(for_each<Added>(Part::pool, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(served_.engine.add_pool(spec_named(specs, name)));
    can_undo("pool " + name, [this, name] {
      return await([&](auto done) { served_.engine.remove_pool(name, std::move(done)); });
    });
    return engine::success();
  }));
  return for_each<Added>(Part::pool, [&](const Change& change) -> Outcome {
    const std::string why =
        await_open([&] { return reason_of(served_.engine.pools(), change.subject.name); });
    if (!why.empty()) return why;
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::set_pool_spaces() {
  const auto old_specs = pool_specs(*from_.config);
  const auto specs = pool_specs(*to_.config);
  return for_each<Changed>(Part::pool, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    const engine::PoolSpec spec = spec_named(specs, name);
    engine::PoolSpec old_spec = spec_named(old_specs, name);
    TRY(await([&](auto done) { served_.engine.set_pool_space(name, spec, std::move(done)); }));
    old_spec.members = spec.members;  // a disk that is in stays in
    can_undo("pool " + name, [this, name, old_spec] {
      return await(
          [&](auto done) { served_.engine.set_pool_space(name, old_spec, std::move(done)); });
    });
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::add_volume(const config::Config& config,
                                                     const std::string& name) {
  TRY(engine::Volume* const volume,
      served_.engine.add_volume(spec_named(volume_specs(config), name)));
  served_.on_control([&] {
    served_.volumes.insert_or_assign(name, block_volume(*volume, config, served_.clock.now()));
  });
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::remove_volume(const std::string& name) {
  TRY(await([&](auto done) { served_.engine.remove_volume(name, std::move(done)); }));
  served_.on_control([&] {
    const auto found = served_.volumes.find(name);
    if (found == served_.volumes.end()) return;
    served_.retired.add(std::move(found->second));
    served_.volumes.erase(found);
  });
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::add_volumes() {
  TRY(for_each<Added>(Part::volume, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(add_volume(*to_.config, name));
    can_undo("volume " + name, [this, name] { return remove_volume(name); });
    return engine::success();
  }));
  return for_each<Added>(Part::volume, [&](const Change& change) -> Outcome {
    const engine::Volume* const volume = served_.engine.find(change.subject.name);
    const std::string why = await_open([volume] { return why_not_there(*volume); });
    if (!why.empty()) return why;
    return engine::success();
  });
}

// What cannot be opened takes its place too: it is late there as anywhere.
Reconfiguration::Outcome Reconfiguration::renew_volume(const std::string& name) {
  if (!to_.config->volumes.contains(name)) return "the configuration does not name it any more";
  if (served_.engine.find(name) != nullptr) {
    TRY(await([&](auto done) { served_.engine.remove_volume(name, std::move(done)); }));
  }
  TRY(engine::Volume* const volume,
      served_.engine.add_volume(spec_named(volume_specs(*to_.config), name)));
  const std::string why = await_open([volume] { return why_not_there(*volume); });
  if (!why.empty()) log_warn("volume={} has not come back yet: {}", name, why);
  served_.on_control([&] { take_place(name, *volume); });
  return engine::success();
}

void Reconfiguration::take_place(const std::string& name, engine::Volume& volume) {
  auto renewed = block_volume(volume, *to_.config, served_.clock.now());
  const Exports before = exports_of(to_);
  auto& served = served_.volumes.at(name);
  renewed->go_on_from(served->counts());
  renewed->tell_stages(served->stage_counts().has_value());
  served.swap(renewed);
  change_exports(served_.nvmf, served_.iscsi, before, exports_of(to_));
  served_.retired.add(std::move(renewed));
}

Reconfiguration::Outcome Reconfiguration::set_volume_caches() {
  // Shares that become smaller first: others may take what they leave.
  std::vector<const Change*> changed;
  for (const Change& change : changes_) {
    if (change.subject.part != Part::volume || !std::holds_alternative<Changed>(change.what)) {
      continue;
    }
    if (has_key(change, "cache.") && to_.config->volumes.at(change.subject.name).cache) {
      changed.push_back(&change);
    }
  }
  const auto guaranteed = [](const LoadedConfig& side, const Change& change) {
    const auto& cache = side.config->volumes.at(change.subject.name).cache;
    return cache && cache->guaranteed ? cache->guaranteed->value.value : 0;
  };
  std::stable_partition(changed.begin(), changed.end(), [&](const Change* change) {
    return guaranteed(to_, *change) <= guaranteed(from_, *change);
  });
  for (const Change* change : changed) {
    const std::string name = change->subject.name;
    const auto spec = cache_spec_of(*to_.config, name);
    const auto old_spec = cache_spec_of(*from_.config, name);
    auto done = await(
        [&](auto finished) { served_.engine.set_volume_cache(name, *spec, std::move(finished)); });
    if (!done) return fmt::format("{}.cache: {}", change->path, done.error());
    if (old_spec && old_spec->device == spec->device) {
      can_undo("the cache of volume " + name, [this, name, old_spec] {
        return await([&](auto finished) {
          served_.engine.set_volume_cache(name, *old_spec, std::move(finished));
        });
      });
    }
    if (!has_key(*change, "cache.device") || served_.engine.cache_of(name)) continue;
    done = await([&](auto finished) {
      served_.engine.attach_cache(name, spec->device, std::move(finished));
    });
    if (!done) return fmt::format("{}.cache: {}", change->path, done.error());
    can_undo("the cache of volume " + name, [this, name] {
      return await([&](auto finished) { served_.engine.detach_cache(name, std::move(finished)); });
    });
  }
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::detach_volumes() {
  return for_each<Changed>(Part::volume, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    if (to_.config->volumes.at(name).cache || !has_key(change, "cache.device")) {
      return engine::success();
    }
    const auto now = served_.engine.cache_of(name);
    if (!now) return engine::success();  // it has been detached before
    TRY(await([&](auto done) { served_.engine.detach_cache(name, std::move(done)); }));
    const auto deadline = std::chrono::steady_clock::now() + engine_patience;
    while (const auto cache = served_.engine.cache_of(name)) {
      const bool is_over = stopping_ || std::chrono::steady_clock::now() >= deadline;
      if (cache->detaching && !is_over) {
        std::this_thread::sleep_for(look_period);
        continue;
      }
      (void)await([&](auto done) { served_.engine.cancel_drain(name, std::move(done)); });
      if (!cache->detach_error.empty()) return cache->detach_error;
      return "its cache has not been written back in time; forebayctl drain it first";
    }
    can_undo("the cache of volume " + name, [this, name, device = now->device] {
      return await([&](auto done) { served_.engine.attach_cache(name, device, std::move(done)); });
    });
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::change_what_hosts_see() {
  Outcome done = engine::success();
  served_.on_control([&] { done = switch_exports(from_, to_); });
  if (!done) return done;
  can_undo("what hosts see", [this] {
    Outcome undone = engine::success();
    served_.on_control([&] { undone = switch_exports(to_, from_); });
    return undone;
  });
  return engine::success();
}

Exports Reconfiguration::exports_of(const LoadedConfig& side) const {
  return {.nvmf = nvmf_options(*side.config, served_.volumes, *side.secrets),
          .iscsi = iscsi_options(*side.config, served_.volumes, *side.secrets)};
}

Reconfiguration::Outcome Reconfiguration::switch_exports(const LoadedConfig& from,
                                                         const LoadedConfig& to) {
  for (const LoadedConfig* side : {&from, &to}) {
    for (const auto& [name, volume] : side->config->volumes) {
      // One that could not be added again, on the way back.
      if (!served_.volumes.contains(name)) return "volume " + name + " is not there";
    }
  }
  TRY(switch_sockets(from, to));
  const Exports before = exports_of(from);
  const Exports after = exports_of(to);
  const engine::Instant now = served_.clock.now();
  for (const auto& [name, volume] : to.config->volumes) {
    served_.volumes.at(name)->set_overload_times(overload_times(volume.overload));
    served_.volumes.at(name)->allow_format(volume.allow_format);
    block::VolumeLimiter& limiter = served_.volumes.at(name)->limiter();
    const block::VolumeLimits wanted = volume_limits(volume.qos);
    if (limiter.limits() != wanted) limiter.set_limits(wanted, now);
  }
  // Connections stay; the next handshake knows these.
  served_.tls_keys.replace(tls_key_ring(*to.config, *to.secrets));
  change_exports(served_.nvmf, served_.iscsi, before, after);
  served_.nvmf.refresh_volumes();  // of what they may be formatted with
  // Nobody is left who has come through these.
  std::erase_if(served_.listeners, [&](const auto& listener) {
    return !to.config->listeners.contains(listener->options().name);
  });
  served_.take_config(to);
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::switch_sockets(const LoadedConfig& from,
                                                         const LoadedConfig& to) {
  std::vector<std::string> opened;
  for (const Change& change : config::diff(*from.config, *to.config)) {
    if (change.subject.part != Part::listener) continue;
    if (std::holds_alternative<Removed>(change.what)) continue;
    if (std::holds_alternative<Changed>(change.what) && !concerns_socket(change)) continue;
    const std::string& name = change.subject.name;
    opened.push_back(name);
    auto done = open_socket(to, name);
    if (done) continue;
    for (const std::string& other : opened) {
      close_socket(other);
      if (!from.config->listeners.contains(other)) continue;
      if (const auto again = open_socket(from, other); !again) log_error("{}", again.error());
    }
    return fmt::format("{}: {}", change.path, done.error());
  }
  return engine::success();
}

Reconfiguration::Outcome Reconfiguration::open_socket(const LoadedConfig& side,
                                                      const std::string& name) {
  // The old one may have the port; its connections stay.
  close_socket(name);
  auto listener = served_.make_listener(side.config, side.config->listeners.at(name));
  if (auto done = listener->open(); !done) return done.error().text;
  served_.listeners.push_back(std::move(listener));
  return engine::success();
}

void Reconfiguration::close_socket(const std::string& name) {
  std::erase_if(served_.listeners,
                [&](const auto& listener) { return listener->options().name == name; });
}

Reconfiguration::Outcome Reconfiguration::grow_volumes() {
  return for_each<Changed>(Part::volume, [&](const Change& change) -> Outcome {
    const std::string& name = change.subject.name;
    const engine::Volume* const volume = served_.engine.find(name);
    if (!has_key(change, "size") || volume == nullptr) return engine::success();
    const engine::ByteCount size = to_.config->volumes.at(name).size.value;
    // On the way back to a configuration that was before: what has grown stays so.
    if (size < volume->size() * volume->identity().block_size) return engine::success();
    return await([&](auto done) { served_.engine.set_volume_size(name, size, std::move(done)); });
  });
}

Reconfiguration::Outcome Reconfiguration::remove_volumes() {
  return for_each<Removed>(Part::volume, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(remove_volume(name));
    can_undo("volume " + name, [this, name] { return add_volume(*from_.config, name); });
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::remove_pools() {
  const auto specs = pool_specs(*from_.config);
  return for_each<Removed>(Part::pool, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(await([&](auto done) { served_.engine.remove_pool(name, std::move(done)); }));
    can_undo("pool " + name,
             [this, spec = spec_named(specs, name)] { return served_.engine.add_pool(spec); });
    return engine::success();
  });
}

Reconfiguration::Outcome Reconfiguration::remove_caches() {
  const auto specs = cache_specs(*from_.config);
  return for_each<Removed>(Part::cache_device, [&](const Change& change) -> Outcome {
    const std::string name = change.subject.name;
    TRY(await([&](auto done) { served_.engine.remove_cache(name, std::move(done)); }));
    can_undo("cache device " + name,
             [this, spec = spec_named(specs, name)] { return served_.engine.add_cache(spec); });
    return engine::success();
  });
}

}  // namespace target
