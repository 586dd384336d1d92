// What the daemon answers those that watch it: /metrics, /healthz, /readyz.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "target/control/status_page.h"
#include "target/daemon.h"
#include "target/metrics/collection.h"

namespace target {
namespace {

using std::chrono::duration;
using std::chrono::system_clock;

std::chrono::milliseconds now_since_1970() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      system_clock::now().time_since_epoch());
}

std::string state_of(const engine::VolumeCondition& now) {
  return now.lacks_cache ? "cache-missing" : text(now.state);
}

metrics::SmartFigures figures_of(const SmartReport& report) {
  metrics::SmartFigures figures;
  const auto number = [](const auto& told) {
    return told ? std::optional(static_cast<double>(*told)) : std::nullopt;
  };
  if (report.verdict != SmartReport::Verdict::unavailable) {
    figures.passed = report.verdict == SmartReport::Verdict::passed;
  }
  figures.temperature_celsius = number(report.temperature_celsius);
  if (report.power_on_hours) {
    figures.power_on_seconds = static_cast<double>(*report.power_on_hours) * 3600;
  }
  figures.reallocated_sectors = number(report.reallocated_sectors);
  figures.pending_sectors = number(report.pending_sectors);
  if (report.percentage_used) {
    figures.wear_ratio = static_cast<double>(*report.percentage_used) / 100;
  }
  if (report.spare_percent) {
    figures.spare_ratio = static_cast<double>(*report.spare_percent) / 100;
  }
  return figures;
}

// The answer to one question about all reactors: given by the last of them.
class Pulse {
 public:
  Pulse(control::Reply reply, std::size_t reactors) : reply_(std::move(reply)), left_(reactors) {}
  void beat() {
    if (left_.fetch_sub(1) == 1) reply_->answer({.body = "ok\n", .content_type = "text/plain"});
  }

 private:
  const control::Reply reply_;
  std::atomic<std::size_t> left_;
};

}  // namespace

std::vector<control::Route> Daemon::metrics_routes() {
  std::vector<control::Route> routes;
  routes.push_back({.method = control::Method::get,
                    .pattern = "/metrics",
                    .role = control::Role::anyone,
                    .handle = [this](const control::Request&, const control::Reply& reply) {
                      const metrics::Snapshot now = snapshot();
                      const metrics::Collection collection(now);
                      reply->answer({.body = collection.text(),
                                     .content_type = metrics::Collection::content_type});
                      return true;
                    }});
  routes.push_back({.method = control::Method::get,
                    .pattern = "/healthz",
                    .role = control::Role::anyone,
                    .handle =
                        [this](const control::Request&, const control::Reply& reply) {
                          const auto pulse = std::make_shared<Pulse>(reply, cores_.size());
                          for (const auto& core : cores_) {
                            core->reactor->post([pulse] { pulse->beat(); });
                          }
                          return true;
                        },
                    .patience = std::chrono::seconds(5),
                    .late = "a reactor has not run for 5 s"});
  routes.push_back({.method = control::Method::get,
                    .pattern = "/readyz",
                    .role = control::Role::anyone,
                    .handle = [this](const control::Request&, const control::Reply& reply) {
                      const std::vector<std::string> reasons = why_not_ready();
                      std::string body = reasons.empty() ? "ok\n" : "";
                      for (const std::string& reason : reasons) body += reason + "\n";
                      reply->answer({.status = reasons.empty() ? 200U : 503U,
                                     .body = std::move(body),
                                     .content_type = "text/plain; charset=utf-8"});
                      return true;
                    }});
  if (!config_.metrics->status_page) return routes;
  for (auto& route :
       control::StatusPage::routes([this] { return status(); }, history_, control::Role::anyone)) {
    routes.push_back(std::move(route));
  }
  return routes;
}

void Daemon::open_metrics() {
  if (!config_.metrics) return;
  const auto address =
      SocketAddress::parse(config_.metrics->address.value.text, config_.metrics->port.value);
  if (!address) {
    return log_warn("metrics: {} is not up, or no address of this machine; correct it",
                    config_.metrics->address.value.text);
  }
  metrics_port_ = control::HttpPort::open(
      control_->context(), {.name = "metrics", .address = *address}, metrics_routes());
}

// Of which volumes stages are told too.
void Daemon::choose_stages() {
  std::set<std::string_view> chosen;
  if (config_.metrics) {
    for (const auto& name : config_.metrics->stages) chosen.insert(name.value);
  }
  for (const auto& [name, volume] : volumes_) volume->tell_stages(chosen.contains(name));
}

std::vector<std::string> Daemon::why_not_ready() const {
  std::vector<std::string> reasons;
  if (const ReloadStatus now = reload_status(); now.is_copy) {
    reasons.push_back("config: " + now.note);
  }
  for (const engine::Volume* volume : engine_->volumes()) {
    const engine::VolumeCondition now = volume->condition();
    if (now.state == engine::VolumeState::online) continue;
    reasons.push_back(fmt::format("volume {} is {}{}{}", volume->identity().name, state_of(now),
                                  now.reason.empty() ? "" : ": ", now.reason));
  }
  return reasons;
}

// `identity`: as it was when that was looked for; it may be renamed meanwhile.
metrics::VolumeFigures Daemon::figures_of_volume(const engine::Volume& volume,
                                                 const engine::VolumeIdentity& identity,
                                                 std::chrono::milliseconds now) const {
  const engine::VolumeCondition condition = volume.condition();
  metrics::VolumeFigures figures;
  figures.name = identity.name;
  figures.uuid = identity.uuid.is_nil() ? std::string() : identity.uuid.text();
  figures.pool = config_.volumes.at(identity.name).pool.value;
  figures.state = state_of(condition);
  figures.online = condition.state == engine::VolumeState::online;
  figures.size_bytes = (condition.size * identity.block_size).value;
  figures.lost_bytes =
      engine_->losses_of(identity.name).ranges.sectors().value * engine::sector_bytes;
  figures.counts = volumes_.at(identity.name)->counts();
  figures.overload = volumes_.at(identity.name)->overload().counts();
  figures.stages = volumes_.at(identity.name)->stage_counts();
  figures.cache = engine_->cache_of(identity.name);
  if (figures.cache) {
    figures.consistent_point_age =
        duration<double>(figures.cache->consistent_point_age(now)).count();
  }
  return figures;
}

metrics::Snapshot Daemon::snapshot() const {
  const engine::Instant began = clock_.now();
  const auto now = now_since_1970();
  metrics::Snapshot all;
  all.version = FOREBAY_VERSION;
  all.node = config_.node;
  const ReloadStatus reloaded = reload_status();
  const bool is_applied = reloaded.last_ms == 0 || reloaded.last_result == "applied" ||
                          reloaded.last_result == text(PlanResult::nothing_to_do);
  all.config = {.hash = reloaded.hash,
                .last_reload_success = is_applied,
                .last_reload_time = reloaded.last_ms == 0
                                        ? loaded_at_
                                        : static_cast<double>(reloaded.last_ms) / 1e3,
                .overrides = reloaded.overrides.size(),
                .is_fallback = reloaded.is_copy};
  const control::GateCounts& refused = remote_->counts();
  all.control = {.certificate_end = {},
                 .tokens = remote_->tokens(),
                 .refused_without_token = refused.without_token,
                 .refused_unknown_token = refused.unknown_token,
                 .refused_role = refused.role,
                 .refused_blocked = refused.blocked,
                 .refused_handshake = refused.handshake};
  if (const auto end = remote_->expires_at()) {
    all.control.certificate_end = static_cast<double>(*end);
  }
  all.memory_used_bytes = (memory_.used() + memory_.reserved()).value;
  all.memory_limit_bytes = memory_.limit().value;
  all.scrub = tasks_->scrub_figures();
  for (const engine::Volume* volume : engine_->volumes()) {
    const engine::VolumeIdentity& identity = volume->identity();
    // One that is just being added, renamed or removed.
    if (!volumes_.contains(identity.name) || !config_.volumes.contains(identity.name)) continue;
    all.volumes.push_back(figures_of_volume(*volume, identity, now));
  }
  all.ready = why_not_ready().empty();
  all.caches = engine_->caches();
  all.pools = engine_->pools();
  smart_->add_troubles(all.pools);
  for (const engine::PoolStatus& pool : all.pools) {
    for (const engine::DiskStatus& disk : pool.disks) {
      const std::string& device = disk.disk.whole_device;
      all.smart.emplace(device, figures_of(smart_->report_of(device)));
    }
  }
  const nvmf::TargetStatus nvme = nvmf_->status();
  all.nvme = {.hosts = nvme.hosts,
              .logins = nvme.connects,
              .refused_logins = nvme.refused_connects,
              .failed_authentications = nvme.authentication_failures};
  const iscsi::TargetStatus iscsi = iscsi_->status();
  all.iscsi = {.hosts = iscsi.hosts,
               .logins = iscsi.logins,
               .refused_logins = iscsi.refused_logins,
               .failed_authentications = iscsi.failed_authentications};
  for (const auto& listener : listeners_) {
    const ListenerStatus status = listener->status();
    const std::string& name = listener->options().name;
    const bool is_iscsi = config_.listeners.at(name).protocol == config::Protocol::iscsi;
    all.listeners.push_back({.name = name,
                             .protocol = is_iscsi ? "iscsi" : "nvme-tcp",
                             .up = status.state == ListenerState::listening,
                             .connections = status.connections});
  }
  all.connections = metrics::figures_of(counters_);
  all.tls = metrics::figures_of(tls_counters_);
  for (const auto& core : cores_) {
    all.reactors.push_back({.usage = core->reactor->usage(),
                            .stages = std::as_const(*core->connections).stages().counts()});
  }
  all.copy_seconds = duration<double>(clock_.now() - began).count();
  return all;
}

}  // namespace target
