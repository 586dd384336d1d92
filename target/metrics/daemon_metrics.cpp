// Metrics of reactors, and of the daemon as a whole.
#include <string>

#include "target/metrics/families.h"
#include "target/metrics/snapshot.h"

namespace target::metrics {
namespace {

double seconds_of(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

// `figure(reactor)` of each.
template <class F>
void add_each_reactor(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (std::size_t i = 0; i < snapshot.reactors.size(); ++i) {
    family.add({{"reactor", std::to_string(i)}}, figure(snapshot.reactors[i]));
  }
}

void add_stages(Families::Family family, const Snapshot& snapshot) {
  for (std::size_t i = 0; i < snapshot.reactors.size(); ++i) {
    const ReactorFigures& reactor = snapshot.reactors[i];
    const std::string number = std::to_string(i);
    for (std::size_t stage = 0; stage < block::command_stages; ++stage) {
      family.add({{"reactor", number}, {"stage", stage_names[stage]}}, reactor.stages[stage]);
    }
  }
}

void add_control(Families& families, const ControlFigures& control) {
  auto end = families.gauge("control_certificate_expiry_timestamp_seconds",
                            "When the control port's certificate ends.");
  if (control.certificate_end) end.add({}, *control.certificate_end);
  families.gauge("control_tokens", "Tokens that are valid.").add({}, control.tokens);
  auto refused =
      families.counter("control_refused_total", "Callers over TCP that were refused, by why.");
  refused.add({{"reason", "no-token"}}, control.refused_without_token);
  refused.add({{"reason", "unknown-token"}}, control.refused_unknown_token);
  refused.add({{"reason", "role"}}, control.refused_role);
  refused.add({{"reason", "blocked"}}, control.refused_blocked);
  refused.add({{"reason", "handshake"}}, control.refused_handshake);
}

}  // namespace

void add_reactors(Families& families, const Snapshot& snapshot) {
  add_each_reactor(families.counter("reactor_busy_seconds_total", "In turns that had work."),
                   snapshot, [](const auto& one) { return seconds_of(one.usage.busy_ns); });
  add_each_reactor(
      families.counter("reactor_idle_seconds_total", "Polling in vain and asleep."), snapshot,
      [](const auto& one) { return seconds_of(one.usage.polling_ns + one.usage.asleep_ns); });
  add_each_reactor(families.counter("reactor_polling_seconds_total", "Polling in vain."), snapshot,
                   [](const auto& one) { return seconds_of(one.usage.polling_ns); });
  add_each_reactor(families.counter("reactor_turns_total", "Turns."), snapshot,
                   [](const auto& one) { return one.usage.turns; });
  add_each_reactor(families.counter("reactor_sleeps_total", "How often it went to sleep."),
                   snapshot, [](const auto& one) { return one.usage.sleeps; });
  add_each_reactor(families.gauge("reactor_connections", "Connections that it serves."), snapshot,
                   [](const auto& one) { return one.usage.residents; });
  add_each_reactor(families.gauge("reactor_disk_operations", "Disk operations under way."),
                   snapshot, [](const auto& one) { return one.usage.disk_operations; });
  add_stages(
      families.histogram("reactor_stage_seconds", "Where reads and writes spend their time."),
      snapshot);
}

void add_daemon(Families& families, const Snapshot& snapshot) {
  families.gauge("build_info", "1; which program this is, and where.")
      .add({{"version", snapshot.version}, {"node", snapshot.node}}, 1.0);
  families.gauge("ready", "Whether /readyz says so.").add({}, snapshot.ready);
  families.gauge("config_info", "1; of the configuration that runs.")
      .add({{"hash", snapshot.config.hash}}, 1.0);
  families.gauge("config_last_reload_success", "Whether the last start or reload was applied.")
      .add({}, snapshot.config.last_reload_success);
  families.gauge("config_last_reload_timestamp_seconds", "When that was.")
      .add({}, snapshot.config.last_reload_time);
  families.gauge("config_fallback", "Whether the last applied copy runs, for want of a valid file.")
      .add({}, snapshot.config.is_fallback);
  families.gauge("overrides", "What operators have changed beside the configuration file.")
      .add({}, snapshot.config.overrides);
  add_control(families, snapshot.control);
  families.gauge("memory_used_bytes", "Buffers and indexes.").add({}, snapshot.memory_used_bytes);
  families.gauge("memory_limit_bytes", "What they may take.").add({}, snapshot.memory_limit_bytes);
  const ScrubFigures& scrub = snapshot.scrub;
  families.gauge("scrub_running", "Whether a volume is being scrubbed.").add({}, scrub.running);
  families.gauge("scrub_last_end_timestamp_seconds", "When a scrub last went to its end; 0: never.")
      .add({}, scrub.last_end);
  families.gauge("scrub_bad_volumes", "Volumes whose last scrub has found something.")
      .add({}, scrub.bad_volumes);
  families.gauge("scrub_last_bad_blocks", "Blocks that each volume's last scrub has found bad.")
      .add({}, scrub.bad_blocks);
  families.gauge("scrub_last_lost_blocks", "Of these, those that nobody else has.")
      .add({}, scrub.lost_blocks);
  families.counter("scrub_bytes_total", "Bytes of volumes that were scrubbed.")
      .add({}, scrub.checked_bytes);
  families.counter("scrub_findings_total", "Places that scrubs have found bad, also healed.")
      .add({}, scrub.findings);
  families.gauge("scrape_copy_seconds", "What copying the counters took, of this scrape.")
      .add({}, snapshot.copy_seconds);
}

}  // namespace target::metrics
