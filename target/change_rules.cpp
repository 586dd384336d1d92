// What changing each key means by itself: rule_of().
#include <algorithm>
#include <array>
#include <span>

#include "target/plan.h"

namespace target {
namespace {

struct Row {
  std::string_view key;
  Effect effect = Effect::live;
  std::string_view reason{};
};

constexpr std::string_view at_start =
    "is taken at the start of the daemon: apply everything else, then restart it";
constexpr std::string_view is_device =
    "a cache device that is open stays what it is: detach its volumes (forebayctl retire), and "
    "name the other one anew";
constexpr std::string_view is_pool =
    "a pool that is open stays what its label says: name the other one as a pool of its own";
constexpr std::string_view is_disk =
    "hosts know their disks by it: to serve it otherwise, remove it and add it anew";

constexpr Row settings_rows[] = {
    {"node", Effect::refused, at_start},
    {"reactors.count", Effect::refused, at_start},
    {"reactors.cpus", Effect::refused, at_start},
    {"memory", Effect::refused, at_start},
    {"iscsi.discovery_chap.user"},
    {"iscsi.discovery_chap.secret"},
    {"iscsi.discovery_chap.mutual_user"},
    {"iscsi.discovery_chap.mutual_secret"},
    {"iscsi.max_sessions"},
    {"metrics.address"},
    {"metrics.port"},
    {"metrics.stages"},
    {"metrics.status_page"},
    {"control.socket", Effect::refused, at_start},
    {"control.group", Effect::refused, at_start},
    {"control.listen"},
    {"control.tls"},
    {"control.certificate"},
    {"control.key"},
    {"scrub.rate"},
    {"log.level"},
};

// What connections are told as they are made holds for those that come from now on.
constexpr Row listener_rows[] = {
    {"protocol"},
    {"address"},
    {"port"},
    {"group"},
    {"max_connections"},
    {"idle_timeout"},
    {"discovery"},
    {"c2h_success"},
    {"digests"},
    {"in_capsule_data", Effect::reconnects},
    {"max_r2t"},
    {"max_h2c_data"},
    {"icreq_timeout"},
    {"connect_timeout"},
    {"tls"},
    {"tls_suites"},
    {"tls_groups"},
    {"tls_kernel"},
    {"auth_timeout"},
    {"portal_group", Effect::reconnects},
    {"iscsi.header_digest"},
    {"iscsi.data_digest"},
    {"iscsi.initial_r2t"},
    {"iscsi.immediate_data"},
    {"iscsi.first_burst"},
    {"iscsi.max_burst"},
    {"iscsi.max_recv_data_segment"},
    {"iscsi.max_outstanding_r2t"},
    {"iscsi.queue_depth"},
    {"iscsi.login_timeout"},
    {"iscsi.nop_interval"},
    {"iscsi.nop_timeout"},
};

constexpr Row cache_device_rows[] = {
    {"path", Effect::refused, is_device},
    {"uuid", Effect::refused, is_device},
    {"require", Effect::refused, is_device},
    {"payload_crc", Effect::refused, is_device},
};

constexpr Row pool_rows[] = {
    {"kind", Effect::refused, is_pool},
    {"directory", Effect::refused, is_pool},
    {"uuid", Effect::refused, is_pool},
    {"provisioning"},
    {"reserve"},
    {"warn_at"},
    {"queue_depth"},
    {"layout", Effect::refused, is_pool},
    {"chunk_size", Effect::refused, is_pool},
    {"members"},
};

constexpr Row volume_rows[] = {
    {"was"},
    {"pool", Effect::refused,
     "a volume stays in its pool: make another one, copy, and take this one out"},
    {"size", Effect::notified},
    {"block_size", Effect::refused,
     "what lies on a volume has been written in its blocks: make another one, and copy"},
    {"atomic", Effect::refused, at_start},
    {"allow_format", Effect::notified},
    {"qos.read_iops"},
    {"qos.write_iops"},
    {"qos.iops"},
    {"qos.read_bandwidth"},
    {"qos.write_bandwidth"},
    {"qos.bandwidth"},
    {"qos.burst"},
    {"overload.hold"},
    {"overload.retries"},
    {"overload.inaccessible_after"},
    {"overload.recovery"},
    {"cache.device", Effect::drains},
    {"cache.mode"},
    {"cache.guaranteed"},
    {"cache.maximum"},
    {"cache.dirty_low"},
    {"cache.dirty_high"},
    {"cache.max_dirty_age"},
    {"cache.ordered"},
};

constexpr Row host_rows[] = {
    {"nqn"},
    {"iqn"},
    {"tls_psk"},
    {"tls_psk_old"},
    {"tls_psk_old_until"},
    {"chap.user"},
    {"chap.secret"},
    {"networks"},
    {"chap.mutual_user"},
    {"chap.mutual_secret"},
    {"dhchap.key"},
    {"dhchap.controller_key"},
    {"dhchap.hash"},
    {"dhchap.dhgroup"},
    {"dhchap.required"},
    {"dhchap.discovery"},
    {"dhchap.concat"},
    {"dhchap.previous.key"},
    {"dhchap.previous.controller_key"},
    {"dhchap.previous.until"},
};

constexpr Row subsystem_rows[] = {
    {"listeners"},
    {"hosts"},
    {"allow_any_host"},
    {"serial", Effect::refused, is_disk},
    {"model", Effect::refused, is_disk},
    {"cntlid_range", Effect::reconnects},
    {"max_io_queues", Effect::reconnects},
    {"max_queue_depth", Effect::reconnects},
    {"mdts", Effect::reconnects},
};

constexpr Row target_rows[] = {
    {"alias"},
    {"listeners"},
    {"hosts"},
    {"allow_any_host"},
    {"chap.user"},
    {"chap.secret"},
    {"chap.mutual_user"},
    {"chap.mutual_secret"},
};

constexpr Row export_rows[] = {
    {"volume", Effect::notified},
    {"hosts", Effect::notified},
};

std::span<const Row> rows_of(config::Part part) {
  using config::Part;
  switch (part) {
    case Part::settings:
      return settings_rows;
    case Part::listener:
      return listener_rows;
    case Part::cache_device:
      return cache_device_rows;
    case Part::pool:
      return pool_rows;
    case Part::volume:
      return volume_rows;
    case Part::host:
      return host_rows;
    case Part::subsystem:
      return subsystem_rows;
    case Part::target:
      return target_rows;
    case Part::space:
    case Part::lun:
      return export_rows;
  }
  return {};
}

}  // namespace

std::optional<KeyRule> rule_of(config::Part part, std::string_view key) {
  const auto rows = rows_of(part);
  const auto found = std::ranges::find(rows, key, &Row::key);
  if (found == rows.end()) return std::nullopt;
  return KeyRule{.effect = found->effect, .reason = found->reason};
}

}  // namespace target
