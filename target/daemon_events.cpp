// What the daemon tells of its changes of state: Daemon's events, and the audit of changes.
#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "target/applied_copy.h"
#include "target/daemon.h"
#include "target/reactor/log.h"

namespace target {
namespace {

using control::EventName;
using News = control::StateTimes::News;

EventName event_of(const engine::VolumeCondition& now) {
  if (now.lacks_cache) return EventName::volume_cache_missing;
  switch (now.state) {
    case engine::VolumeState::late:
      return EventName::volume_late;
    case engine::VolumeState::online:
      return EventName::volume_online;
    case engine::VolumeState::degraded:
      return EventName::volume_degraded;
    case engine::VolumeState::failed:
      return EventName::volume_failed;
    case engine::VolumeState::refused:
      return EventName::volume_refused;
  }
  return EventName::volume_failed;
}

// Whether a host went as hosts go, or as we sent it.
bool is_orderly(EndReason reason) {
  switch (reason) {
    case EndReason::closed_by_host:
    case EndReason::controller_reset:
    case EndReason::disconnected:
    case EndReason::removed:
    case EndReason::logged_out:
    case EndReason::reinstated:
    case EndReason::target_reset:
    case EndReason::stopping:
      return true;
    case EndReason::connection_lost:
    case EndReason::protocol_error:
    case EndReason::host_terminated:
    case EndReason::connect_timeout:
    case EndReason::idle_timeout:
    case EndReason::data_not_taken:
    case EndReason::data_unreadable:
    case EndReason::keep_alive_timeout:
    case EndReason::refused:
    case EndReason::login_timeout:
    case EndReason::nop_timeout:
    case EndReason::authentication_failed:
    case EndReason::authentication_timeout:
      return false;
  }
  return false;
}

}  // namespace

void Daemon::note_volume(const engine::Volume& volume) {
  const engine::VolumeCondition now = volume.condition();
  // Taken out, to come back with the blocks that a host has formatted it with: no news.
  const bool is_renewed = now.state == engine::VolumeState::refused && volume.is_formatting() &&
                          volume.formatted_blocks() != volume.identity().block_size;
  if (is_renewed) return;
  note_write_protection(volume);
  const EventName event = event_of(now);
  const char* const state = now.lacks_cache ? "cache-missing" : text(now.state);
  const News news = states_.note("volume", volume.identity().name, state);
  if (news == News::same) return;
  // At the start all is expected to be well: one event for that is enough.
  if (news == News::first && event == EventName::volume_online) return;
  events_.add(event, volume.identity().name, now.reason.empty() ? "it is served" : now.reason);
}

// A host has said so, or the operator, and others may wonder.
void Daemon::note_write_protection(const engine::Volume& volume) {
  if (volume.state() == engine::VolumeState::late) return;
  const std::string& name = volume.identity().name;
  const auto protection = volume.write_protection();
  const bool is_protected = protection != engine::WriteProtection::none;
  const News news = states_.note("writing", name, is_protected ? "refused" : "allowed");
  if (news == News::same || (news == News::first && !is_protected)) return;
  if (!is_protected) {
    return events_.add(EventName::volume_writable, name, "hosts may write it again");
  }
  events_.add(EventName::volume_write_protected, name,
              protection == engine::WriteProtection::kept
                  ? "writes are refused until a host takes that back, or forebayctl "
                    "write-protection"
                  : "a host has asked for it: writes are refused until the daemon restarts");
}

// For the operator; hosts are told as if one of them had done it.
void Daemon::protect(const std::string& name, bool on, const control::ControlRoutes::Done& done) {
  using engine::WriteProtection;
  engine::Volume* const volume = engine_->find(name);
  if (volume == nullptr) return done("there is no volume " + name);
  if (volume->state() == engine::VolumeState::late) {
    return done("volume " + name + " is not there yet: only its pool knows whether it is " +
                "write-protected");
  }
  if (volume->write_protection() == WriteProtection::until_restart) {
    return done("a host has write-protected volume " + name +
                " until the daemon restarts, and nobody can take that back before");
  }
  volume->protect(on ? WriteProtection::kept : WriteProtection::none,
                  [name, on, done](engine::Result<void, std::string> kept) {
                    if (kept) log_info("volume={} write protection is {}", name, on ? "on" : "off");
                    done(std::move(kept));
                  });
}

void Daemon::make_formatter() {
  formatter_ = std::make_unique<Formatter>(Formatter::Uses{
      .clock = clock_,
      .volumes = volumes_,
      .events = events_,
      // As scrubs.
      .reactor = [this]() -> Reactor& { return *cores_.back()->reactor; },
      .post = [this](std::function<void()> task) { control_->post(std::move(task)); },
      .other_user = [this](block::BlockVolume& volume,
                           const std::string& host) { return other_user(volume, host); },
      .renew = [this](const std::string& volume,
                      auto done) { renew_volume(volume, std::move(done)); }});
}

std::string Daemon::other_user(const block::BlockVolume& volume, const std::string& host) const {
  for (const std::string& other : nvmf_->hosts_of(volume)) {
    if (other != host) return other;
  }
  for (const iscsi::SessionSnapshot& session : iscsi_->status().sessions) {
    if (session.discovery) continue;
    const auto device = iscsi_->device_of(session.target_name);
    if (device == nullptr) continue;
    for (const auto& unit : device->units_for(session.initiator_name)) {
      if (&unit->volume() == &volume) return session.initiator_name;
    }
  }
  return {};
}

// Hosts are told and their I/O is answered so in one step; then it is in log and events.
void Daemon::look_at_overload() {
  using Change = block::OverloadLadder::Change;
  const engine::Instant now = clock_.now();
  std::vector<std::pair<const std::string*, Change>> changed;
  for (const auto& [name, volume] : volumes_) {
    const Change change = volume->look_at_overload(now);
    if (change != Change::none) changed.emplace_back(&name, change);
  }
  if (changed.empty()) return;
  nvmf_->refresh_volumes();
  for (const auto& [name, change] : changed) {
    if (change == Change::opened) {
      log_info("volume={} has room, and its disk answers", *name);
      events_.add(EventName::volume_overload_over, *name,
                  "there is room, and its disk answers: hosts go on");
    } else if (volumes_.at(*name)->volume().is_backing_silent()) {
      log_warn("volume={} its disk has answered nothing for too long: hosts are told to wait",
               *name);
      events_.add(
          EventName::volume_overloaded, *name,
          "its disk has answered nothing for too long: hosts are told to wait until it does");
    } else {
      log_warn("volume={} has no room for what its hosts write: they are told to wait", *name);
      events_.add(EventName::volume_overloaded, *name,
                  "its cache has had no room for too long: hosts are told to wait until it has");
    }
  }
}

void Daemon::take_access(const AccessStates& states) {
  const AccessStates::States before = access_states_.named();
  access_states_ = states;
  apply_access_states();
  std::map<std::string, std::string> changed;
  for (const auto& [name, state] : states.named()) {
    const auto old = before.find(name);
    if (old == before.end() || old->second != state) changed[name] = text(state);
  }
  for (const auto& [name, state] : before) {
    if (states.named().contains(name)) continue;
    const auto listener = config_.listeners.find(name);
    const auto now = listener == config_.listeners.end() ? block::AccessState::optimized
                                                         : states.of(listener->second);
    changed[name] = text(now);
  }
  for (const auto& [name, state] : changed) {
    log_info("path={} is {}", name, state);
    events_.add(EventName::path_changed, name, "hosts are told that it is " + state);
  }
}

void Daemon::apply_access_states() {
  for (const auto& [name, listener] : config_.listeners) {
    const block::AccessState state = access_states_.of(listener);
    if (listener.protocol == config::Protocol::iscsi) {
      iscsi_->set_path_state(name, state);
    } else {
      nvmf_->set_path_state(name, state);
    }
  }
}

void Daemon::note_host(const HostChange& change) {
  std::string where = fmt::format("{} over {} from {} by listener {}", change.exported,
                                  change.protocol, change.peer, change.listener);
  switch (change.what) {
    case HostChange::What::connected:
      return events_.add(EventName::host_connected, change.host,
                         fmt::format("to {}, security {}", where, change.security));
    case HostChange::What::refused:
      return events_.add(EventName::host_refused, change.host,
                         fmt::format("at {}: {}", where, change.why));
    case HostChange::What::ended: {
      const EndReason reason = change.end.value_or(EndReason::connection_lost);
      return events_.add(is_orderly(reason) ? EventName::host_disconnected : EventName::host_lost,
                         change.host, fmt::format("from {}: {}", where, text(reason)));
    }
  }
}

control::Audit Daemon::audit() {
  return {.tell = [this](const control::AuditRecord& record) { note_change(record); },
          .running = [this] { return running(); }};
}

std::string Daemon::running() const {
  const ReloadStatus now = reload_status();
  std::string overrides;
  for (const Override& one : now.overrides) {
    overrides += fmt::format("{}\t{}\t{}\n", text(one.kind), one.subject, one.value);
  }
  return overrides.empty() ? now.hash : now.hash + "+" + content_hash(overrides);
}

void Daemon::note_change(const control::AuditRecord& record) {
  const std::string who = record.caller.uid
                              ? fmt::format("{} (uid {})", record.caller.name, *record.caller.uid)
                              : record.caller.name;
  const std::string what =
      record.body.empty() ? record.request : fmt::format("{} {}", record.request, record.body);
  const std::string config = record.before == record.after
                                 ? fmt::format("config {}", record.after)
                                 : fmt::format("config {} -> {}", record.before, record.after);
  // What the caller has written himself comes last.
  const std::string known =
      fmt::format("audit by=\"{}\" from=\"{}\" result={} before={} after={}", who, record.from,
                  record.done ? "done" : "refused", record.before, record.after);
  if (record.done) {
    log_info("{} request=\"{}\"", known, what);
    return events_.add(EventName::change_done, who, fmt::format("{}; {}", what, config));
  }
  log_warn("{} reason=\"{}\" request=\"{}\"", known, record.reason, what);
  events_.add(EventName::change_refused, who,
              fmt::format("{}: {}; {}", what, record.reason, config));
}

void Daemon::note_refused_access(const std::string& subject, const std::string& sentence) {
  log_warn("control: {}", sentence);
  events_.add(control::EventName::access_refused, subject, sentence);
}

void Daemon::note_certificate() {
  std::string now = remote_->expiring().value_or("");
  if (now == expiring_) return;
  expiring_ = std::move(now);
  if (expiring_.empty()) return;
  log_warn("{}", expiring_);
  events_.add(control::EventName::certificate_expiring, "control", expiring_);
}

// Once for all events until they are sent.
void Daemon::tell_event_streams() {
  if (streams_told_.exchange(true, std::memory_order_acq_rel)) return;
  control_->post([this] {
    streams_told_.store(false, std::memory_order_release);
    event_streams_.flush();
  });
}

void Daemon::note_pools(const std::vector<engine::PoolStatus>& pools) {
  for (const auto& pool : pools) {
    const bool is_well = pool.open && pool.reason.empty();
    const char* const state = is_well ? "ok" : pool.open ? "no answer" : "not open";
    const News news = states_.note("pool", pool.name, state);
    if (news != News::same && !is_well) {
      events_.add(EventName::pool_unavailable, pool.name, pool.reason);
    } else if (news == News::changed) {
      events_.add(EventName::pool_open, pool.name, "its volumes can be served");
    }
    tell_of_replicas(pool);
    const News filling = states_.note("filling", pool.name, pool.filling ? "yes" : "no");
    if (filling != News::same && pool.filling) {
      events_.add(
          EventName::pool_filling, pool.name,
          fmt::format("{}% of its file system is used or promised", pool.warn_at.value_or(0)));
    } else if (filling == News::changed) {
      events_.add(
          EventName::pool_filling_over, pool.name,
          fmt::format("less than {}% of its file system is used again", pool.warn_at.value_or(0)));
    }
    for (const auto& disk : pool.disks) {
      const News ailing =
          states_.note("disk", disk.disk.path, disk.troubles.empty() ? "well" : "ailing");
      if (ailing == News::same || disk.troubles.empty()) continue;
      events_.add(EventName::disk_ailing, disk.disk.path,
                  fmt::format("of pool {}: {}", pool.name, disk.troubles.front()));
    }
  }
}

// What lies twice, and was not whole in one of the places.
void Daemon::tell_of_replicas(const engine::PoolStatus& pool) {
  const std::uint64_t rotten = pool.healed.rotten;
  const std::uint64_t all = rotten + pool.healed.cut_off;
  SeenReplicas& seen = seen_replicas_[pool.name];
  if (all == seen.all) return;
  for (const std::string& text : pool.healed.texts) log_warn("pool={} {}", pool.name, text);
  if (rotten != seen.rotten) {
    events_.add(EventName::pool_replica_rotten, pool.name,
                fmt::format("{} of its labels and tables, which another one replaces: {}",
                            rotten - seen.rotten, fmt::join(pool.healed.texts, "; ")));
  }
  seen = {.rotten = rotten, .all = all};
}

void Daemon::note_caches() {
  for (const auto& cache : engine_->caches()) {
    const char* const state = cache.retired  ? "retired"
                              : !cache.open  ? "not open"
                              : cache.failed ? "failed"
                                             : "ok";
    const News news = states_.note("cache", cache.name, state);
    if (news == News::same) continue;
    if (cache.retired) {
      events_.add(EventName::cache_retired, cache.name, "it may be taken out");
    } else if (!cache.open) {
      events_.add(EventName::cache_unavailable, cache.name, cache.reason);
    } else if (cache.failed) {
      events_.add(EventName::cache_failed, cache.name, cache.reason);
    } else if (news == News::changed) {
      events_.add(EventName::cache_open, cache.name, "its volumes can be served");
    }
  }
}

// Blocks that nobody has any more: given up, or made so by a host.
void Daemon::note_lost_blocks() {
  for (const engine::Volume* volume : engine_->volumes()) {
    const std::string& name = volume->identity().name;
    const std::uint64_t bytes =
        engine_->losses_of(name).ranges.sectors().value * engine::sector_bytes;
    const News news = states_.note("lost", name, bytes == 0 ? "no" : "yes");
    if (news == News::same || (news == News::first && bytes == 0)) continue;
    if (bytes == 0) {
      events_.add(EventName::volume_blocks_mended, name, "each of its blocks can be read again");
      continue;
    }
    events_.add(EventName::volume_blocks_lost, name,
                fmt::format("{} bytes of it are lost: reading them fails until they are written; "
                            "forebayctl lost {}",
                            bytes, name));
  }
}

void Daemon::note_listeners() {
  for (const auto& listener : listeners_) {
    const ListenerStatus now = listener->status();
    const std::string& name = listener->options().name;
    const bool is_listening = now.state == ListenerState::listening;
    const News news = states_.note("listener", name, is_listening ? "listening" : "waiting");
    if (news != News::same && !is_listening) {
      events_.add(EventName::listener_waiting, name,
                  fmt::format("{}: {}", now.address, now.reason));
    } else if (news == News::changed) {
      events_.add(EventName::listener_listening, name, now.address);
    }
  }
}

// What a change of the configuration has taken out: who names it again begins anew.
void Daemon::forget_what_is_gone() {
  std::set<std::string> volumes;
  for (const engine::Volume* volume : engine_->volumes()) volumes.insert(volume->identity().name);
  std::set<std::string> pools;
  std::set<std::string> disks;
  for (const auto& pool : engine_->pools()) {
    pools.insert(pool.name);
    for (const auto& disk : pool.disks) disks.insert(disk.disk.path);
  }
  std::set<std::string> caches;
  for (const auto& cache : engine_->caches()) caches.insert(cache.name);
  std::set<std::string> listeners;
  for (const auto& listener : listeners_) listeners.insert(listener->options().name);
  states_.keep_only("volume", volumes);
  states_.keep_only("lost", volumes);
  write_times_.keep_only(volumes);
  states_.keep_only("pool", pools);
  std::erase_if(seen_replicas_, [&](const auto& seen) { return !pools.contains(seen.first); });
  states_.keep_only("filling", pools);
  states_.keep_only("disk", disks);
  states_.keep_only("cache", caches);
  states_.keep_only("listener", listeners);
}

}  // namespace target
