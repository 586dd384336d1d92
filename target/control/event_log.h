// EventLog: the last changes of state, each under a name that stays, for people and for scripts.
// docs/events.md explains each name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/reactor/log.h"

namespace target::control {

enum class Severity : std::uint8_t { info, warning, error };

enum class EventName : std::uint8_t {
  daemon_started,
  daemon_stopping,
  volume_online,
  volume_degraded,
  volume_late,
  volume_cache_missing,
  volume_failed,
  volume_refused,
  volume_write_protected,
  volume_writable,
  volume_format_started,
  volume_formatted,
  volume_overloaded,
  volume_overload_over,
  volume_blocks_lost,
  volume_blocks_mended,
  pool_open,
  pool_unavailable,
  pool_filling,
  pool_filling_over,
  pool_replica_rotten,
  disk_ailing,
  disk_well,
  cache_open,
  cache_unavailable,
  cache_failed,
  cache_retired,
  host_connected,
  host_disconnected,
  host_lost,
  host_refused,
  listener_listening,
  listener_waiting,
  path_changed,
  change_done,
  change_refused,
  config_applied,
  config_refused,
  config_fallback,
  override_set,
  override_cleared,
  override_damaged,
  task_started,
  task_ended,
  task_failed,
  scrub_healed,
  scrub_found,
  access_refused,
  certificate_expiring,
};

struct EventKind {
  EventName name = EventName::daemon_started;
  const char* text = "";  // "volume.degraded"
  Severity severity = Severity::info;
  bool by_hosts = false;  // a host can cause as many as it likes
};
// In the order of the names.
[[nodiscard]] std::span<const EventKind> event_kinds();
[[nodiscard]] const char* text(Severity severity);

struct Event {
  std::uint64_t id = 0;       // from 1 at each start of the daemon, without a gap
  std::uint64_t time_ms = 0;  // since 1970
  EventKind kind{};
  std::string subject{};  // what it is about: "vm01", a host's NQN; empty: the daemon
  std::string text{};     // one sentence
};

// Any thread. Holds its lock for as long as it copies what it is asked for.
class EventLog {
 public:
  static constexpr std::size_t most_events = 4096;
  // Of one kind that hosts cause, in a minute: they must not push out all others.
  static constexpr std::uint32_t most_by_hosts = 300;

  // `clock` outlives it; of `most` events the oldest goes for a new one.
  explicit EventLog(const engine::Clock& clock, std::size_t most = most_events);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Called after each new event by the thread that adds it. Set it before there is another thread.
  void on_added(std::function<void()> tell) { tell_ = std::move(tell); }
  void add(EventName name, std::string subject, std::string text);

  struct Slice {
    std::vector<Event> events;
    std::uint64_t last_id = 0;  // of all that there are
    bool has_gap = false;       // some that followed the one asked for are not kept any more
  };
  // The oldest `most` of those after `id`; of an `id` that is yet to come (the daemon has started
  // anew since) all of them.
  [[nodiscard]] Slice after(std::uint64_t id, std::size_t most = most_events) const;
  // When it began; with it an id is unique.
  [[nodiscard]] std::uint64_t began_ms() const { return began_ms_; }

 private:
  const engine::Clock& clock_;
  const std::size_t most_;
  const std::uint64_t began_ms_;
  std::function<void()> tell_;
  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::uint64_t last_id_ = 0;
  std::deque<Event> events_;
  std::map<EventName, LogLimit> limits_;
};

// One JSON object.
[[nodiscard]] std::string to_json(const Event& event);
// {"began_ms":...,"last_id":...,"has_gap":...,"events":[...]}
[[nodiscard]] std::string to_json(const EventLog::Slice& slice, std::uint64_t began_ms);

}  // namespace target::control
