#include "target/control/event_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "engine/foundation/check.h"

namespace target::control {
namespace {

constexpr EventKind kinds[] = {
    {EventName::daemon_started, "daemon.started", Severity::info, false},
    {EventName::daemon_stopping, "daemon.stopping", Severity::info, false},
    {EventName::volume_online, "volume.online", Severity::info, false},
    {EventName::volume_degraded, "volume.degraded", Severity::warning, false},
    {EventName::volume_late, "volume.late", Severity::warning, false},
    {EventName::volume_cache_missing, "volume.cache-missing", Severity::error, false},
    {EventName::volume_failed, "volume.failed", Severity::error, false},
    {EventName::volume_refused, "volume.refused", Severity::error, false},
    {EventName::volume_write_protected, "volume.write-protected", Severity::info, true},
    {EventName::volume_writable, "volume.writable", Severity::info, true},
    {EventName::volume_format_started, "volume.format-started", Severity::warning, true},
    {EventName::volume_formatted, "volume.formatted", Severity::info, true},
    {EventName::volume_overloaded, "volume.overloaded", Severity::error, false},
    {EventName::volume_overload_over, "volume.overload-over", Severity::info, false},
    {EventName::volume_blocks_lost, "volume.blocks-lost", Severity::error, true},
    {EventName::volume_blocks_mended, "volume.blocks-mended", Severity::info, true},
    {EventName::pool_open, "pool.open", Severity::info, false},
    {EventName::pool_unavailable, "pool.unavailable", Severity::error, false},
    {EventName::pool_filling, "pool.filling", Severity::warning, false},
    {EventName::pool_filling_over, "pool.filling-over", Severity::info, false},
    {EventName::pool_replica_rotten, "pool.replica-rotten", Severity::warning, false},
    {EventName::disk_ailing, "disk.ailing", Severity::warning, false},
    {EventName::disk_well, "disk.well", Severity::info, false},
    {EventName::cache_open, "cache.open", Severity::info, false},
    {EventName::cache_unavailable, "cache.unavailable", Severity::error, false},
    {EventName::cache_failed, "cache.failed", Severity::error, false},
    {EventName::cache_retired, "cache.retired", Severity::info, false},
    {EventName::host_connected, "host.connected", Severity::info, true},
    {EventName::host_disconnected, "host.disconnected", Severity::info, true},
    {EventName::host_lost, "host.lost", Severity::warning, true},
    {EventName::host_refused, "host.refused", Severity::warning, true},
    {EventName::listener_listening, "listener.listening", Severity::info, false},
    {EventName::listener_waiting, "listener.waiting", Severity::warning, false},
    {EventName::path_changed, "path.changed", Severity::info, false},
    {EventName::change_done, "change.done", Severity::info, false},
    {EventName::change_refused, "change.refused", Severity::warning, false},
    {EventName::config_applied, "config.applied", Severity::info, false},
    {EventName::config_refused, "config.refused", Severity::warning, false},
    {EventName::config_fallback, "config.fallback", Severity::error, false},
    {EventName::override_set, "override.set", Severity::info, false},
    {EventName::override_cleared, "override.cleared", Severity::info, false},
    {EventName::override_damaged, "override.damaged", Severity::warning, false},
    {EventName::task_started, "task.started", Severity::info, false},
    {EventName::task_ended, "task.ended", Severity::info, false},
    {EventName::task_failed, "task.failed", Severity::warning, false},
    {EventName::scrub_healed, "scrub.healed", Severity::warning, false},
    {EventName::scrub_found, "scrub.found", Severity::error, false},
    {EventName::access_refused, "access.refused", Severity::warning, true},
    {EventName::certificate_expiring, "certificate.expiring", Severity::warning, false},
};

constexpr bool are_in_order() {
  for (std::size_t i = 0; i < std::size(kinds); ++i) {
    if (static_cast<std::size_t>(kinds[i].name) != i) return false;
  }
  return true;
}
static_assert(are_in_order());

boost::json::object object_of(const Event& event) {
  return {{"id", event.id},           {"time_ms", event.time_ms},
          {"name", event.kind.text},  {"severity", text(event.kind.severity)},
          {"subject", event.subject}, {"text", event.text}};
}

}  // namespace

std::span<const EventKind> event_kinds() { return kinds; }

const char* text(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "error";
}

EventLog::EventLog(const engine::Clock& clock, std::size_t most)
    : clock_(clock), most_(most), began_ms_(static_cast<std::uint64_t>(clock.wall().count())) {
  CHECK(most > 0);
}

void EventLog::add(EventName name, std::string subject, std::string text) {
  const EventKind& kind = kinds[static_cast<std::size_t>(name)];
  {
    const std::lock_guard guard(mutex_);
    if (kind.by_hosts) {
      LogLimit& limit =
          limits_.try_emplace(name, most_by_hosts, std::chrono::minutes(1)).first->second;
      if (!limit.allows(clock_.now())) return;
      if (limit.suppressed() > 0) {
        text += fmt::format(" ({} more of this kind were not kept)", limit.suppressed());
      }
    }
    if (events_.size() == most_) events_.pop_front();
    events_.push_back({.id = ++last_id_,
                       .time_ms = static_cast<std::uint64_t>(clock_.wall().count()),
                       .kind = kind,
                       .subject = std::move(subject),
                       .text = std::move(text)});
  }
  if (tell_) tell_();
}

EventLog::Slice EventLog::after(std::uint64_t id, std::size_t most) const {
  const std::lock_guard guard(mutex_);
  Slice slice{.events = {}, .last_id = last_id_};
  if (id > last_id_) id = 0;
  const std::uint64_t first = last_id_ - events_.size() + 1;  // that is kept
  slice.has_gap = id + 1 < first;
  const std::size_t skipped = id + 1 < first ? 0 : static_cast<std::size_t>(id + 1 - first);
  const std::size_t count = std::min(most, events_.size() - skipped);
  const auto begin = events_.begin() + static_cast<std::ptrdiff_t>(skipped);
  slice.events.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  return slice;
}

std::string to_json(const Event& event) { return boost::json::serialize(object_of(event)); }

std::string to_json(const EventLog::Slice& slice, std::uint64_t began_ms) {
  boost::json::array events;
  for (const Event& event : slice.events) events.emplace_back(object_of(event));
  return boost::json::serialize(boost::json::object{{"began_ms", began_ms},
                                                    {"last_id", slice.last_id},
                                                    {"has_gap", slice.has_gap},
                                                    {"events", std::move(events)}});
}

}  // namespace target::control
