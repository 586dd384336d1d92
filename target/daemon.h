// Daemon: everything that serves one configuration, in the order it starts and stops.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/engine.h"
#include "target/access_states.h"
#include "target/assembly.h"
#include "target/control/control_server.h"
#include "target/control/event_log.h"
#include "target/control/event_streams.h"
#include "target/control/history.h"
#include "target/control/http_port.h"
#include "target/control/state_times.h"
#include "target/control/status.h"
#include "target/event_keeper.h"
#include "target/formatter.h"
#include "target/iscsi/target.h"
#include "target/metrics/snapshot.h"
#include "target/net/connection_registry.h"
#include "target/net/listener.h"
#include "target/nvmf/target.h"
#include "target/overrides.h"
#include "target/pool_disks.h"
#include "target/reactor/reactor.h"
#include "target/reloader.h"
#include "target/remote_control.h"
#include "target/retired_volumes.h"
#include "target/served.h"
#include "target/smart_watch.h"
#include "target/tasks.h"
#include "target/troubles.h"
#include "target/write_times.h"

namespace target {

// Main thread only, but for what runs on the control thread: status, the watchdog. No disk is
// touched on either from start() to stop(): pools have threads of their own.
class Daemon final : private engine::VolumeObserver {
 public:
  // Where the configuration has come from.
  struct Origin {
    std::string text{};  // that it was read from
    std::string file{};  // what a reload reads
    ReloadStatus status{};
  };
  // Nothing happens before start().
  Daemon(const config::Config& config, Origin origin);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() = default;

  // Opens pools and volumes, starts the threads and, when all of the configuration is loaded,
  // listens. The error is one line for the operator that says what to change; stop() must be called
  // in either case.
  [[nodiscard]] engine::Result<void, std::string> start();

  // Finishes what was accepted. False if a disk did not answer in time: the process must then end
  // without destructors, because the kernel may still write into its buffers, or a thread waits for
  // it. (Killing it hard is equally safe.)
  [[nodiscard]] bool stop();

  // Any thread, from start() to the end: takes over the file as it is now, or says in log and
  // status why not. `by`: who wants that.
  void reload(const std::string& by);

 private:
  // One reactor with its connections, and whether it has answered the watchdog's last question.
  struct Core {
    std::unique_ptr<Reactor> reactor;
    std::unique_ptr<ConnectionRegistry> connections;
    std::atomic<bool> alive{true};
  };

  void volume_changed(engine::Volume& volume) noexcept override;

  void check_descriptor_limit() const;
  void open_engine();
  [[nodiscard]] engine::Result<void, std::string> start_reactors();
  void make_listeners();
  // Not open yet. What it says refers to `config`.
  [[nodiscard]] std::unique_ptr<Listener> make_listener(
      const std::shared_ptr<const config::Config>& config, const config::Listener& listener);
  // Reloading; see daemon_reload.cpp.
  void start_reloader();
  void stop_reloader();
  [[nodiscard]] ReloadStatus reload_status() const;
  [[nodiscard]] std::vector<control::Route> routes_of_reload();
  void take_config(const LoadedConfig& loaded);
  // Overrides; see daemon_overrides.cpp.
  void take_overrides();
  // A drain that has begun is an override until it is over: the next start goes on with it. Control
  // thread, as the rest of these.
  void drain_begun(const std::string& volume, const std::string& by);
  void drain_cancelled(const std::string& volume, const std::string& by);
  void follow_drains();
  void forget_what_is_gone();
  void end_drain(const std::string& volume, const std::string& why);
  void keep_overrides();
  void run_on_control(const std::function<void()>& task);
  // Empty, and a warning in the log, when there is none.
  [[nodiscard]] std::string writable_state_directory() const;
  // What becomes of the connections that the listener accepts.
  [[nodiscard]] Listener::Serve serve_nvmf(const config::Listener& listener);
  [[nodiscard]] Listener::Serve serve_iscsi(const config::Listener& listener);
  // Any thread, once the reactors are started.
  [[nodiscard]] ConnectionRegistry& connections_of(const Reactor& reactor);
  [[nodiscard]] engine::Result<void, std::string> start_control();
  void make_tasks();
  // Begins it for who asks, with the answer that it has begun.
  void begin_task(control::TaskKind kind, const std::string& object,
                  const control::ControlRoutes::Done& done);
  [[nodiscard]] engine::Result<void, std::string> listen();
  void start_chores();
  // Main thread before start_chores(), then control.
  void log_troubles();
  void log_notes() const;
  // Any thread, from listen() on.
  void announce_listeners();

  // Events; see daemon_events.cpp. Any thread.
  void note_volume(const engine::Volume& volume);
  void note_write_protection(const engine::Volume& volume);
  void protect(const std::string& name, bool on, const control::ControlRoutes::Done& done);
  void make_formatter();
  void renew_volume(const std::string& volume, std::function<void(const std::string& why)> done);
  // Who sees that volume beside this host now; empty: nobody.
  [[nodiscard]] std::string other_user(const block::BlockVolume& volume,
                                       const std::string& host) const;
  void note_host(const HostChange& change);
  void note_change(const control::AuditRecord& record);
  [[nodiscard]] control::Audit audit();
  // Names the configuration that is served, and what overrides it: "e41c7a9a", "e41c7a9a+77b0d121".
  [[nodiscard]] std::string running() const;
  // Control thread.
  void note_refused_access(const std::string& subject, const std::string& sentence);
  void note_certificate();
  void tell_event_streams();
  // Main thread before start_chores(), then control.
  void note_pools(const std::vector<engine::PoolStatus>& pools);
  void tell_of_replicas(const engine::PoolStatus& pool);
  void note_caches();
  void note_lost_blocks();
  void note_listeners();

  // Control thread.
  void refresh_changed_volumes();
  void look_at_overload();
  void look_at_writes();
  void look_at_retired_volumes();
  [[nodiscard]] std::optional<engine::Duration> since_last_write(const std::string& volume);
  void take_access(const AccessStates& states);
  // What both protocols know of the ways follows what has been said, as listeners are now.
  void apply_access_states();
  void answer_watchdog();
  void give_back_memory();
  [[nodiscard]] control::Status status() const;
  // What the status page has of the past, while somebody could look at it.
  void remember_figures();
  // daemon_metrics.cpp, the rest: what is asked on the metrics port.
  [[nodiscard]] std::vector<control::Route> metrics_routes();
  [[nodiscard]] metrics::Snapshot snapshot() const;
  [[nodiscard]] metrics::VolumeFigures figures_of_volume(const engine::Volume& volume,
                                                         const engine::VolumeIdentity& identity,
                                                         std::chrono::milliseconds now) const;
  // A line each; empty: all of the configuration is served.
  [[nodiscard]] std::vector<std::string> why_not_ready() const;
  // Main thread.
  void open_metrics();
  void choose_stages();

  const Origin origin_;
  // What is served: main thread before start_control(), then control.
  config::Config config_;
  LoadedConfig loaded_;                                // the same, until the reloader has it
  std::shared_ptr<const config::Config> file_config_;  // what it is without overrides
  std::string state_directory_;                        // empty: nothing is remembered
  const engine::SystemClock clock_;
  const engine::Instant started_at_;
  const double loaded_at_;  // seconds since 1970
  CountersByProtocol counters_;
  tls::KeyStore tls_keys_;
  tls::TlsCounters tls_counters_;

  control::EventLog events_{clock_};
  control::StateTimes states_{clock_};
  // Control thread; its routes are control_'s.
  control::EventStreams event_streams_{events_};
  std::atomic<bool> streams_told_{false};
  control::History history_;  // control thread
  // In this order: each may use those before it, and is destroyed before them.
  engine::MemoryBudget memory_;
  std::unique_ptr<engine::Engine> engine_;
  BlockVolumes volumes_;
  AccessStates access_states_;
  WriteTimes write_times_;                           // control thread
  std::unique_ptr<RetiredVolumes> retired_volumes_;  // there when the reactors are
  std::unique_ptr<EventKeeper> event_keeper_;
  std::unique_ptr<Formatter> formatter_;
  std::unique_ptr<nvmf::NvmfTarget> nvmf_;
  std::unique_ptr<iscsi::IscsiTarget> iscsi_;
  std::vector<std::unique_ptr<Core>> cores_;
  Listeners listeners_;
  std::unique_ptr<SmartWatch> smart_;      // there when engine_ is
  std::unique_ptr<Tasks> tasks_;           // there when the control thread is
  std::string asking_;                     // who asks for what is being begun
  std::unique_ptr<RemoteControl> remote_;  // there when control_ is
  std::unique_ptr<control::ControlServer> control_;
  std::unique_ptr<Overrides> overrides_;
  // By override; true: it has begun since the start. Control thread.
  std::map<std::string, bool> draining_;
  std::unique_ptr<Served> served_;
  std::unique_ptr<Reloader> reloader_;
  std::atomic<Reloader*> reloader_now_{nullptr};     // from the end of start() on
  std::unique_ptr<control::HttpPort> metrics_port_;  // null: nobody can ask
  std::atomic<bool> volumes_changed_{false};
  TroubleLog troubles_;
  struct SeenReplicas {
    std::uint64_t rotten = 0;
    std::uint64_t all = 0;
  };
  std::map<std::string, SeenReplicas> seen_replicas_;  // of pools, that have been told of
  std::set<std::string> filling_;                      // pools, when last looked at
  AilingDisks ailing_;                                 // the same
  std::string expiring_;  // what was last said of the certificate; control thread
  // At the last look; control thread.
  std::uint64_t memory_used_ = 0;
  std::uint64_t connections_closed_ = 0;
};

}  // namespace target
