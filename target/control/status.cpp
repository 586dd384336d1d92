#include "target/control/status.h"

#include <algorithm>
#include <boost/json.hpp>

namespace target::control {

namespace json = boost::json;

bool Status::healthy() const {
  return std::all_of(listeners.begin(), listeners.end(),
                     [](const auto& l) { return l.listening; }) &&
         std::all_of(pools.begin(), pools.end(),
                     [](const auto& p) { return p.open && p.reason.empty(); }) &&
         std::all_of(caches.begin(), caches.end(),
                     [](const auto& c) { return c.open || c.retired; }) &&
         std::all_of(volumes.begin(), volumes.end(),
                     [](const auto& v) { return v.state == "online"; });
}

namespace {

json::object value_of(const ListenerStatus& l) {
  return {{"name", l.name},           {"protocol", l.protocol}, {"address", l.address},
          {"listening", l.listening}, {"reason", l.reason},     {"connections", l.connections}};
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
          {"percentage_used", or_null(s.percentage_used)}};
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
          {"filling", p.filling},
          {"retained", list_of(p.retained)},
          {"disks", list_of(p.disks)},
          {"advice", json::array(p.advice.begin(), p.advice.end())}};
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
          {"fences", c.fences}};
}

json::object value_of(const LostRange& r) {
  return {{"offset_bytes", r.offset_bytes}, {"length_bytes", r.length_bytes}};
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
          {"pool_errors", v.pool_errors},
          {"uuid", v.uuid},
          {"size_bytes", v.size_bytes},
          {"block_size", v.block_size},
          {"state", v.state},
          {"reason", v.reason},
          {"note", v.note},
          {"durable", v.durable}};
}

json::object value_of(const HostStatus& h) {
  return {{"nqn", h.nqn},
          {"address", h.address},
          {"subsystem", h.subsystem},
          {"controller", h.controller},
          {"io_queues", h.io_queues},
          {"security", h.security},
          {"connected_seconds", h.connected_seconds}};
}

json::array names_of(const std::vector<std::string>& names) {
  return json::array(names.begin(), names.end());
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
          {"luns", list_of(t.luns)}};
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
  return json::serialize(json::object{{"node", s.node},
                                      {"version", s.version},
                                      {"healthy", s.healthy()},
                                      {"config_file", s.config_file},
                                      {"config_hash", s.config_hash},
                                      {"uptime_seconds", s.uptime_seconds},
                                      {"memory_used_bytes", s.memory_used_bytes},
                                      {"memory_limit_bytes", s.memory_limit_bytes},
                                      {"listeners", list_of(s.listeners)},
                                      {"pools", list_of(s.pools)},
                                      {"caches", list_of(s.caches)},
                                      {"volumes", list_of(s.volumes)},
                                      {"hosts", list_of(s.hosts)},
                                      {"targets", list_of(s.targets)},
                                      {"sessions", list_of(s.sessions)},
                                      {"reactors", list_of(s.reactors)}});
}

}  // namespace target::control
