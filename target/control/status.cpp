#include "target/control/status.h"

#include <algorithm>
#include <boost/json.hpp>

namespace target::control {

namespace json = boost::json;

bool Status::healthy() const {
  return !config_is_copy && std::all_of(listeners.begin(), listeners.end(), [](const auto& l) {
    return l.listening;
  }) && std::all_of(pools.begin(), pools.end(), [](const auto& p) {
    return p.open && p.reason.empty();
  }) && std::all_of(caches.begin(), caches.end(), [](const auto& c) {
    return c.retired || (c.open && c.reason.empty());
  }) && std::all_of(volumes.begin(), volumes.end(), [](const auto& v) {
    return v.state == "online";
  });
}

namespace {

json::object value_of(const ListenerStatus& l) {
  return {{"name", l.name},
          {"protocol", l.protocol},
          {"address", l.address},
          {"listening", l.listening},
          {"reason", l.reason},
          {"connections", l.connections},
          {"discovery", l.discovery},
          {"header_digest", l.header_digest},
          {"data_digest", l.data_digest},
          {"tls", l.tls},
          {"state_since_ms", l.state_since_ms},
          {"group", l.group},
          {"access", l.access}};
}

template <class T>
json::array list_of(const std::vector<T>& items);

json::object value_of(const RetainedVolume& v) {
  return {{"name", v.name},
          {"uuid", v.uuid},
          {"size_bytes", v.size_bytes},
          {"block_size", v.block_size},
          {"cache", v.cache},
          {"dirty", v.dirty}};
}

json::object value_of(const DiskWorkStatus& w) {
  return {{"count", w.count},       {"in_flight", w.in_flight}, {"errors", w.errors},
          {"timeouts", w.timeouts}, {"mean_us", w.mean_us},     {"p99_us", w.p99_us}};
}

json::value value_of(const std::optional<DiskErrorStatus>& e) {
  if (!e) return nullptr;
  return json::object{{"kind", e->kind},
                      {"error", e->error},
                      {"lba", e->lba < 0 ? json::value(nullptr) : json::value(e->lba)},
                      {"offset_bytes", e->offset_bytes},
                      {"time_ms", e->time_ms}};
}

template <class Number>
json::value or_null(const std::optional<Number>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::object value_of(const SmartStatus& s) {
  return {{"status", s.status},
          {"why", s.why},
          {"temperature_celsius", or_null(s.temperature_celsius)},
          {"power_on_hours", or_null(s.power_on_hours)},
          {"reallocated_sectors", or_null(s.reallocated_sectors)},
          {"pending_sectors", or_null(s.pending_sectors)},
          {"percentage_used", or_null(s.percentage_used)},
          {"spare_percent", or_null(s.spare_percent)}};
}

json::object value_of(const DiskStatus& d) {
  json::array troubles;
  for (const std::string& trouble : d.troubles) troubles.emplace_back(trouble);
  return {{"path", d.path},
          {"device", d.device},
          {"model", d.model},
          {"serial", d.serial},
          {"rotational", d.rotational},
          {"reads", value_of(d.reads)},
          {"writes", value_of(d.writes)},
          {"syncs", value_of(d.syncs)},
          {"zeroings", value_of(d.zeroings)},
          {"last_error", value_of(d.last_error)},
          {"smart", value_of(d.smart)},
          {"outlier", d.outlier.empty() ? json::value(nullptr) : json::value(d.outlier)},
          {"troubles", std::move(troubles)}};
}

json::object value_of(const MemberStatus& m) {
  return {{"index", m.index},   {"uuid", m.uuid},     {"state", m.state},  {"path", m.path},
          {"device", m.device}, {"serial", m.serial}, {"reason", m.reason}};
}

json::object value_of(const PoolStatus& p) {
  return {{"name", p.name},
          {"kind", p.kind},
          {"open", p.open},
          {"reason", p.reason},
          {"size_bytes", p.size_bytes},
          {"free_bytes", p.free_bytes},
          {"promised_bytes", p.promised_bytes},
          {"provisioning", p.provisioning},
          {"reserve_bytes", p.reserve_bytes},
          {"warn_at_percent", p.warn_at_percent},
          {"queue_depth", p.queue_depth},
          {"filling", p.filling},
          {"retained", list_of(p.retained)},
          {"disks", list_of(p.disks)},
          {"members", list_of(p.members)},
          {"rotten_replicas", p.rotten_replicas},
          {"cut_off_replicas", p.cut_off_replicas},
          {"advice", json::array(p.advice.begin(), p.advice.end())},
          {"state_since_ms", p.state_since_ms}};
}

json::object value_of(const CacheStatus& c) {
  return {{"name", c.name},
          {"path", c.path},
          {"open", c.open},
          {"reason", c.reason},
          {"note", c.note},
          {"uuid", c.uuid},
          {"media", c.media},
          {"size_bytes", c.size_bytes},
          {"free_bytes", c.free_bytes},
          {"dirty_bytes", c.dirty_bytes},
          {"retiring", c.retiring},
          {"retired", c.retired},
          {"healed_reads", c.healed_reads},
          {"lost_reads", c.lost_reads},
          {"reads_in_place", c.reads_in_place},
          {"bytes_in_place", c.bytes_in_place},
          {"stores", c.stores},
          {"stored_bytes", c.stored_bytes},
          {"fences", c.fences},
          {"state_since_ms", c.state_since_ms}};
}

json::object value_of(const LostRange& r) {
  return {{"offset_bytes", r.offset_bytes}, {"length_bytes", r.length_bytes}};
}

json::object value_of(const TrafficStatus& t) {
  return {{"count", t.count},
          {"bytes", t.bytes},
          {"errors", t.errors},
          {"latency_counts", json::array(t.latency_counts.begin(), t.latency_counts.end())}};
}

json::object value_of(const OverloadStatus& o) {
  return {{"hold_ms", o.hold_ms},
          {"retries", o.retries},
          {"inaccessible_after_ms", o.inaccessible_after_ms},
          {"recovery_ms", o.recovery_ms},
          {"held", o.held},
          {"held_total", o.held_total},
          {"hold_us_total", o.hold_us_total},
          {"interrupted_total", o.interrupted_total},
          {"closings_total", o.closings_total},
          {"closed", o.closed},
          {"disk_silent", o.disk_silent}};
}

json::object value_of(const QosStatus& q) {
  return {{"read_iops", q.read_iops},
          {"write_iops", q.write_iops},
          {"iops", q.iops},
          {"read_bandwidth", q.read_bandwidth},
          {"write_bandwidth", q.write_bandwidth},
          {"bandwidth", q.bandwidth},
          {"burst_ms", q.burst_ms},
          {"reads_held", q.reads_held},
          {"writes_held", q.writes_held},
          {"reads_held_total", q.reads_held_total},
          {"writes_held_total", q.writes_held_total},
          {"read_hold_us_total", q.read_hold_us_total},
          {"write_hold_us_total", q.write_hold_us_total}};
}

json::object value_of(const ScrubStatus& s) {
  return {{"running", s.running},
          {"ended_ms", s.ended_ms},
          {"bad_blocks", s.bad_blocks},
          {"result", s.result},
          {"lost", list_of(s.lost)}};
}

json::object value_of(const VolumeStatus& v) {
  return {{"name", v.name},
          {"pool", v.pool},
          {"cache", v.cache},
          {"configured_cache", v.configured_cache},
          {"cache_mode", v.cache_mode},
          {"ordered", v.ordered},
          {"dirty_bytes", v.dirty_bytes},
          {"draining", v.draining},
          {"detaching", v.detaching},
          {"detach_error", v.detach_error},
          {"drain_bytes", v.drain_bytes},
          {"drain_seconds", v.drain_seconds},
          {"consistent_time_ms", v.consistent_time_ms},
          {"pool_mixed", v.pool_mixed},
          {"lost_bytes", v.lost_bytes},
          {"lost_ranges", list_of(v.lost_ranges)},
          {"lost_reads", v.lost_reads},
          {"qos", value_of(v.qos)},
          {"overload", value_of(v.overload)},
          {"pool_errors", v.pool_errors},
          {"uuid", v.uuid},
          {"size_bytes", v.size_bytes},
          {"block_size", v.block_size},
          {"state", v.state},
          {"reason", v.reason},
          {"note", v.note},
          {"durable", v.durable},
          {"write_protected", v.write_protected},
          {"state_since_ms", v.state_since_ms},
          {"reads", value_of(v.reads)},
          {"writes", value_of(v.writes)},
          {"cache_hits", v.cache_hits},
          {"cache_misses", v.cache_misses},
          {"scrub", value_of(v.scrub)}};
}

json::array names_of(const std::vector<std::string>& names) {
  return json::array(names.begin(), names.end());
}

json::object value_of(const KnownHost& h) {
  return {{"name", h.name},
          {"nqn", h.nqn},
          {"iqn", h.iqn},
          {"chap", h.chap},
          {"chap_user", h.chap_user},
          {"mutual_user", h.mutual_user},
          {"tls_keys", names_of(h.tls_keys)},
          {"dhchap", h.dhchap},
          {"concat", h.concat}};
}

json::object value_of(const NamespaceStatus& n) {
  return {{"nsid", n.nsid},
          {"volume", n.volume},
          {"size_bytes", n.size_bytes},
          {"block_size", n.block_size},
          {"hosts", names_of(n.hosts)}};
}

json::object value_of(const SubsystemStatus& s) {
  return {{"nqn", s.nqn},
          {"serial", s.serial},
          {"allow_any_host", s.allow_any_host},
          {"hosts", names_of(s.hosts)},
          {"listeners", names_of(s.listeners)},
          {"namespaces", list_of(s.namespaces)}};
}

json::object value_of(const HostStatus& h) {
  return {{"nqn", h.nqn},
          {"address", h.address},
          {"subsystem", h.subsystem},
          {"controller", h.controller},
          {"io_queues", h.io_queues},
          {"security", h.security},
          {"connected_seconds", h.connected_seconds},
          {"listener", h.listener},
          {"discovery", h.discovery},
          {"read_commands", h.read_commands},
          {"write_commands", h.write_commands},
          {"bytes_read", h.bytes_read},
          {"bytes_written", h.bytes_written}};
}

json::object value_of(const LunStatus& l) {
  return {{"lun", l.lun},
          {"volume", l.volume},
          {"size_bytes", l.size_bytes},
          {"block_size", l.block_size},
          {"initiators", names_of(l.initiators)}};
}

json::object value_of(const TargetStatus& t) {
  return {{"name", t.name},
          {"alias", t.alias},
          {"allow_any_host", t.allow_any_host},
          {"initiators", names_of(t.initiators)},
          {"listeners", names_of(t.listeners)},
          {"luns", list_of(t.luns)},
          {"chap_user", t.chap_user},
          {"mutual_user", t.mutual_user}};
}

json::object value_of(const SessionStatus& s) {
  return {{"initiator", s.initiator},
          {"alias", s.alias},
          {"address", s.address},
          {"portal", s.portal},
          {"listener", s.listener},
          {"portal_group", s.portal_group},
          {"target", s.target},
          {"isid", s.isid},
          {"tsih", s.tsih},
          {"header_digest", s.header_digest},
          {"data_digest", s.data_digest},
          {"security", s.security},
          {"queue_depth", s.queue_depth},
          {"read_commands", s.read_commands},
          {"write_commands", s.write_commands},
          {"other_commands", s.other_commands},
          {"bytes_read", s.bytes_read},
          {"bytes_written", s.bytes_written},
          {"check_conditions", s.check_conditions},
          {"busy", s.busy},
          {"aborted", s.aborted},
          {"connected_seconds", s.connected_seconds}};
}

json::object value_of(const OverrideStatus& o) {
  return {
      {"kind", o.kind}, {"subject", o.subject},   {"value", o.value}, {"file_value", o.file_value},
      {"by", o.by},     {"since_ms", o.since_ms}, {"text", o.text}};
}

json::object value_of(const ReactorStatus& r) {
  return {{"name", r.name},
          {"connections", r.connections},
          {"timers", r.timers},
          {"disk_operations", r.disk_operations}};
}

template <class T>
json::array list_of(const std::vector<T>& items) {
  json::array list;
  for (const auto& item : items) list.emplace_back(value_of(item));
  return list;
}

}  // namespace

std::string to_json(const Status& s) {
  return json::serialize(json::object{
      {"node", s.node},
      {"version", s.version},
      {"discovery_nqn", s.discovery_nqn},
      {"healthy", s.healthy()},
      {"config_file", s.config_file},
      {"config_hash", s.config_hash},
      {"config_applied_ms", s.config_applied_ms},
      {"config_applied_by", s.config_applied_by},
      {"config_note", s.config_note},
      {"config_is_copy", s.config_is_copy},
      {"config_disk_hash", s.config_disk_hash},
      {"overrides", list_of(s.overrides)},
      {"overrides_note", s.overrides_note},
      {"last_reload", json::object{{"time_ms", s.last_reload.time_ms},
                                   {"by", s.last_reload.by},
                                   {"result", s.last_reload.result},
                                   {"reason", s.last_reload.reason}}},
      {"certificate_end_ms", s.certificate_end_ms},
      {"uptime_seconds", s.uptime_seconds},
      {"memory_used_bytes", s.memory_used_bytes},
      {"memory_limit_bytes", s.memory_limit_bytes},
      {"removed_volumes", s.removed_volumes},
      {"listeners", list_of(s.listeners)},
      {"pools", list_of(s.pools)},
      {"caches", list_of(s.caches)},
      {"latency_bounds_ns", json::array(s.latency_bounds_ns.begin(), s.latency_bounds_ns.end())},
      {"volumes", list_of(s.volumes)},
      {"known_hosts", list_of(s.known_hosts)},
      {"subsystems", list_of(s.subsystems)},
      {"hosts", list_of(s.hosts)},
      {"targets", list_of(s.targets)},
      {"sessions", list_of(s.sessions)},
      {"reactors", list_of(s.reactors)}});
}

}  // namespace target::control
