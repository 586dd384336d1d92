// What the daemon shows of itself: Daemon::status().
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "target/daemon.h"
#include "target/nvmf/options.h"

namespace target {
namespace {

const char* name_of(engine::PoolSpec::Kind kind) {
  switch (kind) {
    case engine::PoolSpec::Kind::file:
      return "file";
    case engine::PoolSpec::Kind::device:
      return "device";
    case engine::PoolSpec::Kind::memory:
      return "memory";
  }
  return "memory";
}

const char* name_of(config::Protocol protocol) {
  return protocol == config::Protocol::iscsi ? "iscsi" : "nvme-tcp";
}

// " (3 retries, next in 8 s)"; empty while the next one is only a look away.
std::string retry_text(const engine::PoolStatus& pool) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(pool.next_try_in).count();
  if (pool.tries < 2 || seconds < 2) return {};
  return fmt::format(" ({} retries, next in {} s)", pool.tries - 1, seconds);
}

control::QosStatus qos_of(const block::VolumeLimiter& limiter) {
  const block::VolumeLimits& limits = limiter.limits();
  const block::HoldCounts held = limiter.counts();
  const auto microseconds = [](engine::Duration time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  };
  const auto burst = std::chrono::duration_cast<std::chrono::milliseconds>(limits.burst);
  return {.read_iops = limits.read_commands,
          .write_iops = limits.write_commands,
          .iops = limits.commands,
          .read_bandwidth = limits.read_bytes,
          .write_bandwidth = limits.write_bytes,
          .bandwidth = limits.bytes,
          .burst_ms = static_cast<std::uint64_t>(burst.count()),
          .reads_held = held.reads_held,
          .writes_held = held.writes_held,
          .reads_held_total = held.reads,
          .writes_held_total = held.writes,
          .read_hold_us_total = microseconds(held.read_time),
          .write_hold_us_total = microseconds(held.write_time)};
}

control::OverloadStatus overload_of(const block::BlockVolume& volume) {
  const block::OverloadLadder& ladder = volume.overload();
  const auto milliseconds = [](engine::Duration time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  const block::OverloadTimes& times = ladder.times();
  const block::OverloadCounts counts = ladder.counts();
  const auto held = std::chrono::duration_cast<std::chrono::microseconds>(counts.hold_time);
  return {.hold_ms = milliseconds(times.hold),
          .retries = times.retries,
          .inaccessible_after_ms = milliseconds(times.inaccessible_after),
          .recovery_ms = milliseconds(times.recovery),
          .held = counts.held,
          .held_total = counts.held_total,
          .hold_us_total = static_cast<std::uint64_t>(held.count()),
          .interrupted_total = counts.interrupted,
          .closings_total = counts.closings,
          .closed = counts.closed,
          .disk_silent = volume.volume().is_backing_silent()};
}

// What a volume that is not served waits for; empty: no cache.
std::string device_waited_for(const config::Volume& wish, const engine::VolumeCondition& now) {
  const bool waits =
      now.state == engine::VolumeState::late || now.state == engine::VolumeState::refused;
  return waits && wish.cache ? wish.cache->device.value : std::string();
}

std::vector<control::LostRange> ranges_of(const engine::LostRanges& lost) {
  std::vector<control::LostRange> all;
  for (const engine::LostRange& range : lost.all()) {
    all.push_back({.offset_bytes = range.begin.value * engine::sector_bytes,
                   .length_bytes = range.count.value * engine::sector_bytes});
  }
  return all;
}

control::ScrubStatus status_of_scrub(const LastScrub& last, std::uint64_t block_bytes) {
  control::ScrubStatus status{.running = last.is_running,
                              .ended_ms = last.ended_ms,
                              .bad_blocks = last.bad_blocks,
                              .result = last.result};
  for (const auto& one : last.lost) {
    status.lost.push_back({.offset_bytes = one.lba.value * block_bytes,
                           .length_bytes = one.blocks.value * block_bytes});
  }
  return status;
}

std::string order_of(const config::Volume& wish) {
  const bool is_journalled =
      wish.cache && wish.cache->ordered == config::VolumeCache::Ordered::journal;
  return is_journalled ? "journal" : "batch";
}

const char* name_of(config::Discovery discovery) {
  switch (discovery) {
    case config::Discovery::also:
      return "also";
    case config::Discovery::only:
      return "only";
    case config::Discovery::none:
      return "none";
  }
  return "none";
}

const char* name_of(config::Digests digests) {
  switch (digests) {
    case config::Digests::permitted:
      return "permitted";
    case config::Digests::required:
      return "required";
    case config::Digests::refused:
      return "refused";
  }
  return "refused";
}

const char* name_of(config::Concat concat) {
  switch (concat) {
    case config::Concat::none:
      return "none";
    case config::Concat::permitted:
      return "permitted";
    case config::Concat::required:
      return "required";
  }
  return "";
}

const char* name_of(config::Tls tls) {
  switch (tls) {
    case config::Tls::none:
      return "none";
    case config::Tls::permitted:
      return "permitted";
    case config::Tls::required:
      return "required";
  }
  return "none";
}

control::ListenerStatus status_of_listener(const config::Listener& wish,
                                           const ListenerStatus& now) {
  const bool is_iscsi = wish.protocol == config::Protocol::iscsi;
  return {.name = wish.name,
          .protocol = name_of(wish.protocol),
          .address = now.address,
          .listening = now.state == ListenerState::listening,
          .reason = now.reason,
          .connections = now.connections,
          .discovery = is_iscsi ? "" : name_of(wish.discovery),
          .header_digest = name_of(is_iscsi ? wish.iscsi.header_digest : wish.nvme_tcp.digests),
          .data_digest = name_of(is_iscsi ? wish.iscsi.data_digest : wish.nvme_tcp.digests),
          .tls = is_iscsi ? "" : name_of(wish.nvme_tcp.tls),
          .group = wish.group};
}

control::KnownHost known_host(const config::Host& host) {
  control::KnownHost known{.name = host.name, .nqn = host.nqn, .iqn = host.iqn, .chap = "none"};
  known.dhchap = !host.dhchap ? "none" : host.dhchap->keys.controller_key ? "mutual" : "one-way";
  known.concat = host.dhchap ? name_of(host.dhchap->concat) : "none";
  for (const auto& ref : host.tls_psk) known.tls_keys.push_back(tls_key_name(ref.value));
  for (const auto& ref : host.tls_psk_old) known.tls_keys.push_back(tls_key_name(ref.value));
  if (!host.chap) return known;
  known.chap = host.chap->mutual_user ? "mutual" : "one-way";
  known.chap_user = host.chap->user.value;
  if (host.chap->mutual_user) known.mutual_user = host.chap->mutual_user->value;
  return known;
}

// NQNs of the hosts that see a namespace; empty: all that its subsystem admits.
std::vector<std::string> viewers_of(const config::Config& config, const std::string& nqn,
                                    std::uint32_t nsid) {
  std::vector<std::string> viewers;
  const auto subsystem = config.subsystems.find(nqn);
  if (subsystem == config.subsystems.end()) return viewers;
  const auto space = subsystem->second.namespaces.find(nsid);
  if (space == subsystem->second.namespaces.end() || !space->second.hosts) return viewers;
  for (const auto& name : *space->second.hosts) {
    const auto host = config.hosts.find(name.value);
    if (host != config.hosts.end()) viewers.push_back(host->second.nqn);
  }
  return viewers;
}

control::SubsystemStatus status_of_subsystem(const config::Config& config,
                                             const nvmf::SubsystemSnapshot& subsystem) {
  control::SubsystemStatus status{.nqn = subsystem.nqn,
                                  .serial = subsystem.serial,
                                  .allow_any_host = subsystem.allow_any_host,
                                  .hosts = subsystem.hosts,
                                  .listeners = subsystem.listeners};
  for (const auto& space : subsystem.namespaces) {
    status.namespaces.push_back({.nsid = space.nsid,
                                 .volume = space.volume,
                                 .size_bytes = space.size_blocks * space.block_bytes,
                                 .block_size = space.block_bytes,
                                 .hosts = viewers_of(config, subsystem.nqn, space.nsid)});
  }
  return status;
}

control::HostStatus status_of_controller(const nvmf::ControllerSnapshot& controller) {
  const auto& queues = controller.queues;
  return {.nqn = controller.host_nqn,
          .address = queues.empty() ? std::string("-") : queues.front().peer_address,
          .subsystem = controller.subsystem_nqn,
          .controller = controller.cntlid,
          .io_queues = static_cast<std::uint32_t>(queues.empty() ? 0 : queues.size() - 1),
          .security = controller.security,
          .connected_seconds = static_cast<std::uint64_t>(
              std::chrono::duration_cast<std::chrono::seconds>(controller.connected_for).count()),
          .listener = controller.listener,
          .discovery = controller.discovery,
          .read_commands = controller.read_commands,
          .write_commands = controller.write_commands,
          .bytes_read = controller.bytes_read,
          .bytes_written = controller.bytes_written};
}

// `counts` of the commands, `errors` by how they ended.
control::TrafficStatus traffic_of(const LatencyCounts& counts, std::uint64_t bytes,
                                  const block::VolumeCounts::Errors& errors) {
  control::TrafficStatus traffic{.count = counts.count(), .bytes = bytes};
  for (const std::uint64_t each : errors) traffic.errors += each;
  traffic.latency_counts.assign(counts.counts.begin(), counts.counts.end());
  return traffic;
}

control::TargetStatus status_of_node(const iscsi::NodeSnapshot& node) {
  control::TargetStatus status{.name = node.name,
                               .alias = node.alias,
                               .allow_any_host = node.allow_any_initiator,
                               .initiators = node.initiators,
                               .listeners = node.listeners,
                               .luns = {}};
  for (const auto& lun : node.luns) {
    status.luns.push_back({.lun = lun.lun,
                           .volume = lun.volume,
                           .size_bytes = lun.size_blocks * lun.block_bytes,
                           .block_size = lun.block_bytes,
                           .initiators = lun.initiators});
  }
  return status;
}

control::SessionStatus status_of_session(const iscsi::SessionSnapshot& session) {
  return {.initiator = session.initiator_name,
          .alias = session.initiator_alias,
          .address = session.peer_address,
          .portal = session.local_address,
          .listener = session.listener,
          .portal_group = session.portal_group,
          .target = session.target_name,
          .isid = fmt::format("{:012x}", session.isid),
          .tsih = session.tsih,
          .header_digest = session.header_digest,
          .data_digest = session.data_digest,
          .security = session.authentication,
          .queue_depth = session.queue_depth,
          .read_commands = session.counts.read_commands,
          .write_commands = session.counts.write_commands,
          .other_commands = session.counts.other_commands,
          .bytes_read = session.counts.bytes_read,
          .bytes_written = session.counts.bytes_written,
          .check_conditions = session.counts.check_conditions,
          .busy = session.counts.busy,
          .aborted = session.counts.aborted,
          .connected_seconds = static_cast<std::uint64_t>(
              std::chrono::duration_cast<std::chrono::seconds>(session.connected_for).count())};
}

}  // namespace

void Daemon::remember_figures() {
  const bool is_shown =
      !config_.control.listen.empty() || (config_.metrics && config_.metrics->status_page);
  if (!is_shown) return;
  using Event = engine::CacheTraffic::Event;
  std::vector<control::Sample> samples;
  for (const auto& [name, volume] : volumes_) {
    if (!config_.volumes.contains(name)) continue;
    const block::VolumeCounts counts = volume->counts();
    const auto cache = engine_->cache_of(name);
    samples.push_back({.name = name,
                       .reads = counts.reads,
                       .writes = counts.writes,
                       .read_bytes = counts.read_bytes,
                       .written_bytes = counts.written_bytes,
                       .hits = cache ? cache->traffic.of(Event::hit) : 0,
                       .misses = cache ? cache->traffic.of(Event::miss) : 0,
                       .dirty_bytes = cache ? cache->dirty.value : 0});
  }
  history_.add(std::move(samples), clock_.now());
}

control::Status Daemon::status() const {
  control::Status status;
  status.node = config_.node;
  status.version = FOREBAY_VERSION;
  status.discovery_nqn = nvmf::make_discovery_nqn(config_.node);
  status.config_file = config_.file;
  const ReloadStatus reloaded = reload_status();
  status.config_hash = reloaded.hash;
  status.config_applied_ms = reloaded.applied_ms;
  status.config_applied_by = reloaded.applied_by;
  status.config_note = reloaded.note;
  status.config_is_copy = reloaded.is_copy;
  status.config_disk_hash = reloaded.disk_hash;
  for (const Override& one : reloaded.overrides) {
    status.overrides.push_back({.kind = text(one.kind),
                                .subject = one.subject,
                                .value = one.value,
                                .file_value = one.file_value,
                                .by = one.by,
                                .since_ms = one.since_ms,
                                .text = sentence(one)});
  }
  if (overrides_) status.overrides_note = overrides_->damage();
  status.last_reload = {.time_ms = reloaded.last_ms,
                        .by = reloaded.last_by,
                        .result = reloaded.last_result,
                        .reason = reloaded.last_reason};
  if (const auto end = remote_->expires_at(); end && *end > 0) {
    status.certificate_end_ms = static_cast<std::uint64_t>(*end) * 1000;
  }
  status.uptime_seconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_at_).count());
  status.memory_used_bytes = (memory_.used() + memory_.reserved()).value;
  status.memory_limit_bytes = memory_.limit().value;
  status.removed_volumes = retired_volumes_->count();
  for (const auto& listener : listeners_) {
    const std::string& name = listener->options().name;
    const config::Listener& wish = config_.listeners.at(name);
    status.listeners.push_back(status_of_listener(wish, listener->status()));
    status.listeners.back().access = text(access_states_.of(wish));
    status.listeners.back().state_since_ms = states_.since_ms("listener", name);
  }
  std::map<std::string, std::string> retries;
  auto pools = engine_->pools();
  smart_->add_troubles(pools);
  for (const auto& pool : pools) {
    retries[pool.name] = retry_text(pool);
    status.pools.push_back({.name = pool.name,
                            .kind = name_of(pool.kind),
                            .open = pool.open,
                            .reason = pool.reason,
                            .size_bytes = pool.size.value,
                            .free_bytes = pool.free.value,
                            .promised_bytes = pool.promised.value,
                            .provisioning = pool.kind == engine::PoolSpec::Kind::file
                                                ? engine::text(pool.provisioning)
                                                : "",
                            .reserve_bytes = pool.reserve.value,
                            .warn_at_percent = pool.warn_at.value_or(0),
                            .queue_depth = pool.queue_depth,
                            .filling = pool.filling,
                            .rotten_replicas = pool.healed.rotten,
                            .cut_off_replicas = pool.healed.cut_off,
                            .advice = pool.advice,
                            .state_since_ms = states_.since_ms("pool", pool.name)});
    for (const auto& volume : pool.retained) {
      status.pools.back().retained.push_back(
          {.name = volume.name,
           .uuid = volume.uuid.text(),
           .size_bytes = volume.size.value,
           .block_size = volume.block_size.bytes,
           .cache = volume.cache.is_nil() ? std::string() : volume.cache.text(),
           .dirty = volume.dirty});
    }
    for (const engine::MemberState& member : pool.members) {
      status.pools.back().members.push_back({.index = member.index,
                                             .uuid = member.uuid.text(),
                                             .state = member.is_there ? "there" : "missing",
                                             .path = member.path,
                                             .device = member.device,
                                             .serial = member.serial,
                                             .reason = member.reason});
    }
    for (const auto& disk : pool.disks) {
      const SmartReport smart = smart_->report_of(disk.disk.whole_device);
      status.pools.back().disks.push_back(status_of_disk(disk, smart));
    }
  }
  for (const auto& cache : engine_->caches()) {
    status.caches.push_back({.name = cache.name,
                             .path = cache.path,
                             .open = cache.open,
                             .reason = cache.reason,
                             .note = cache.note,
                             .uuid = cache.open ? cache.uuid.text() : std::string(),
                             .media = cache.open ? cache.guarantee.text() : std::string(),
                             .size_bytes = cache.size.value,
                             .free_bytes = cache.free.value,
                             .dirty_bytes = cache.dirty.value,
                             .retiring = cache.retiring,
                             .retired = cache.retired,
                             .healed_reads = cache.healed_reads,
                             .lost_reads = cache.lost_reads,
                             .reads_in_place = cache.reads_in_place,
                             .bytes_in_place = cache.bytes_in_place.value,
                             .stores = cache.stores.copies,
                             .stored_bytes = cache.stores.bytes,
                             .fences = cache.stores.fences,
                             .state_since_ms = states_.since_ms("cache", cache.name)});
  }
  status.latency_bounds_ns.assign(LatencyCounts::bounds_ns.begin(), LatencyCounts::bounds_ns.end());
  for (const engine::Volume* volume : engine_->volumes()) {
    const auto& identity = volume->identity();
    const auto found = config_.volumes.find(identity.name);
    // One that is just being added, or removed.
    if (found == config_.volumes.end() || !volumes_.contains(identity.name)) continue;
    const config::Volume& wish = found->second;
    const engine::VolumeCondition now = volume->condition();
    const auto cache = engine_->cache_of(identity.name);
    const engine::LossStatus lost = engine_->losses_of(identity.name);
    const block::VolumeCounts counts = volumes_.at(identity.name)->counts();
    using Event = engine::CacheTraffic::Event;
    status.volumes.push_back(
        {.name = identity.name,
         .pool = wish.pool.value,
         .cache = cache ? cache->device : device_waited_for(wish, now),
         .configured_cache = wish.cache ? wish.cache->device.value : std::string(),
         .cache_mode = cache ? std::string(text(cache->mode)) : std::string(),
         .ordered = cache ? order_of(wish) : std::string(),
         .dirty_bytes = cache ? cache->dirty.value : 0,
         .draining = cache && cache->draining,
         .detaching = cache && cache->detaching,
         .detach_error = cache ? cache->detach_error : std::string(),
         .drain_bytes = cache ? cache->drain_left.value : 0,
         .drain_seconds = cache && cache->time_left
                              ? std::chrono::ceil<std::chrono::seconds>(*cache->time_left).count()
                              : -1,
         .consistent_time_ms = cache ? cache->consistent_time_ms : 0,
         .pool_mixed = cache && cache->backing_mixed,
         .lost_bytes = lost.ranges.sectors().value * engine::sector_bytes,
         .lost_ranges = ranges_of(lost.ranges),
         .lost_reads = lost.reads,
         .qos = qos_of(volumes_.at(identity.name)->limiter()),
         .overload = overload_of(*volumes_.at(identity.name)),
         .pool_errors = engine_->backing_errors_of(identity.name),
         .uuid = identity.uuid.is_nil() ? std::string("-") : identity.uuid.text(),
         .size_bytes = (now.size * identity.block_size).value,
         .block_size = identity.block_size.bytes,
         .state = now.lacks_cache ? "cache-missing" : text(now.state),
         .reason = now.state == engine::VolumeState::online ? std::string()
                                                            : now.reason + retries[wish.pool.value],
         .note = now.promise.note,
         .durable = now.promise.durable,
         .write_protected = volume->write_protection() != engine::WriteProtection::none,
         .state_since_ms = states_.since_ms("volume", identity.name),
         .reads = traffic_of(counts.reads, counts.read_bytes, counts.read_errors),
         .writes = traffic_of(counts.writes, counts.written_bytes, counts.write_errors),
         .cache_hits = cache ? cache->traffic.of(Event::hit) : 0,
         .cache_misses = cache ? cache->traffic.of(Event::miss) : 0,
         .scrub = status_of_scrub(tasks_->last_scrub(identity.name), identity.block_size.bytes)});
  }
  for (const auto& [name, host] : config_.hosts) status.known_hosts.push_back(known_host(host));
  const nvmf::TargetStatus of_nvmf = nvmf_->status();
  for (const auto& subsystem : of_nvmf.subsystems) {
    status.subsystems.push_back(status_of_subsystem(config_, subsystem));
  }
  for (const auto& controller : of_nvmf.controllers) {
    status.hosts.push_back(status_of_controller(controller));
  }
  const iscsi::TargetStatus of_iscsi = iscsi_->status();
  for (const auto& node : of_iscsi.nodes) {
    status.targets.push_back(status_of_node(node));
    const auto wish = config_.targets.find(node.name);
    if (wish == config_.targets.end() || !wish->second.chap) continue;
    status.targets.back().chap_user = wish->second.chap->user.value;
    if (const auto& mutual = wish->second.chap->mutual_user) {
      status.targets.back().mutual_user = mutual->value;
    }
  }
  for (const auto& session : of_iscsi.sessions) {
    status.sessions.push_back(status_of_session(session));
  }
  for (const auto& core : cores_) {
    const ReactorUsage now = core->reactor->usage();
    status.reactors.push_back({.name = core->reactor->options().name,
                               .connections = now.residents,
                               .timers = now.timers,
                               .disk_operations = now.disk_operations});
  }
  return status;
}

}  // namespace target
