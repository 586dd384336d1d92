// What the daemon shows of itself: Daemon::status().
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "target/daemon.h"

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

std::string order_of(const config::Volume& wish) {
  const bool is_journalled =
      wish.cache && wish.cache->ordered == config::VolumeCache::Ordered::journal;
  return is_journalled ? "journal" : "batch";
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

control::Status Daemon::status() const {
  control::Status status;
  status.node = config_.node;
  status.version = FOREBAY_VERSION;
  status.config_file = config_.file;
  status.config_hash = config_hash_;
  status.uptime_seconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_at_).count());
  status.memory_used_bytes = (memory_.used() + memory_.reserved()).value;
  status.memory_limit_bytes = memory_.limit().value;
  for (const auto& listener : listeners_) {
    const auto now = listener->status();
    const std::string& name = listener->options().name;
    status.listeners.push_back({.name = name,
                                .protocol = name_of(config_.listeners.at(name).protocol),
                                .address = now.address,
                                .listening = now.state == ListenerState::listening,
                                .reason = now.reason,
                                .connections = now.connections});
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
                            .filling = pool.filling,
                            .advice = pool.advice});
    for (const auto& volume : pool.retained) {
      status.pools.back().retained.push_back(
          {.name = volume.name,
           .uuid = volume.uuid.text(),
           .size_bytes = volume.size.value,
           .block_size = volume.block_size.bytes,
           .cache = volume.cache.is_nil() ? std::string() : volume.cache.text(),
           .dirty = volume.dirty});
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
                             .fences = cache.stores.fences});
  }
  for (const engine::Volume* volume : engine_->volumes()) {
    const auto& identity = volume->identity();
    const auto& wish = config_.volumes.at(identity.name);
    const engine::VolumeCondition now = volume->condition();
    const auto cache = engine_->cache_of(identity.name);
    const engine::LossStatus lost = engine_->losses_of(identity.name);
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
         .pool_errors = engine_->backing_errors_of(identity.name),
         .uuid = identity.uuid.is_nil() ? std::string("-") : identity.uuid.text(),
         .size_bytes = (now.size * identity.block_size).value,
         .block_size = identity.block_size.bytes,
         .state = now.lacks_cache ? "cache-missing" : text(now.state),
         .reason = now.state == engine::VolumeState::online ? std::string()
                                                            : now.reason + retries[wish.pool.value],
         .note = now.promise.note,
         .durable = now.promise.durable});
  }
  for (const auto& controller : nvmf_->status().controllers) {
    status.hosts.push_back(
        {.nqn = controller.host_nqn,
         .address =
             controller.queues.empty() ? std::string("-") : controller.queues.front().peer_address,
         .subsystem = controller.subsystem_nqn,
         .controller = controller.cntlid,
         .io_queues = static_cast<std::uint32_t>(
             controller.queues.empty() ? 0 : controller.queues.size() - 1),
         .security = controller.security,
         .connected_seconds = static_cast<std::uint64_t>(
             std::chrono::duration_cast<std::chrono::seconds>(controller.connected_for).count())});
  }
  const iscsi::TargetStatus of_iscsi = iscsi_->status();
  for (const auto& node : of_iscsi.nodes) status.targets.push_back(status_of_node(node));
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
